# SPDX-License-Identifier: GPL-3.0-or-later
"""Short-term postfilter: what is weaker than its surroundings in the spectrum is made weaker still.

A decoder that does not know a coefficient makes a mean of what it might be, so decoded spectra are too flat: valleys
between formants and harmonics are filled with noise. The idea is that of the formant postfilters of CELP codecs (Chen
and Gersho, "Adaptive postfiltering for quality enhancement of coded speech", IEEE Trans. Speech Audio Process. 3(1),
1995), here as a gain for each coefficient; as it compares within 750 Hz only, no tilt has to be compensated.
"""

import torch
from torch.nn.functional import avg_pool1d

NEAR, WIDE = 1, 30  # coefficients of 25 Hz to each side over which powers are averaged
GAINS = 0.3, 1.15
FLOOR = 1e-9  # power of a coefficient that is silence


def sharpen(coefficients: torch.Tensor, exponent: float | torch.Tensor) -> torch.Tensor:
    """MDCT coefficients [B, T, hop] -> the same, times the ratio of their power near by and about, to exponent / 2.

    exponent: 0 (nothing is done) to 1, everywhere or for each frame [B, T].
    """
    power = coefficients.pow(2).flatten(0, 1) + FLOOR
    near, wide = (avg_pool1d(power, 2 * n + 1, 1, n, count_include_pad=False) for n in (NEAR, WIDE))
    half = torch.as_tensor(exponent / 2).to(power).expand(coefficients.shape[:2]).reshape(-1, 1)
    return coefficients * (near / wide).pow(half).clamp(*GAINS).view_as(coefficients)
