# SPDX-License-Identifier: GPL-3.0-or-later
"""The band-limited interpolator behind fractional delays and clock errors."""

from __future__ import annotations

import numpy as np

HALF = 12
"""Taps on either side of the interpolated point, and therefore the delay in samples of a causal interpolator."""

_BETA = 5.65
"""Kaiser shape for 60 dB: with 24 taps the error stays below -57 dB up to 0.8 of the Nyquist frequency."""


def kernel(distance: np.ndarray) -> np.ndarray:
    """Return the Kaiser-windowed sinc at `distance` (in samples, any shape), zero beyond `HALF`; float64."""
    distance = np.asarray(distance, dtype=np.float64)
    inside = np.clip(1.0 - (distance / HALF) ** 2, 0.0, None)
    window = np.i0(_BETA * np.sqrt(inside)) / np.i0(_BETA)
    return np.where(np.abs(distance) < HALF, np.sinc(distance) * window, 0.0)
