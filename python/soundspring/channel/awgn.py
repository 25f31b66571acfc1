# SPDX-License-Identifier: GPL-3.0-or-later
"""Additive white Gaussian noise."""

from __future__ import annotations

import numpy as np

from .base import as_samples, generator, number


def noise_variance(snr_db: float, oversampling: float = 1.0) -> float:
    """Return the noise variance per sample that gives `snr_db`, the mean Es/N0 per active carrier.

    With a unitary FFT and unit mean power on the active carriers Es/N0 = 1/N0 at the critical sample rate; sampled
    `oversampling` times faster, noise of the same density has `oversampling` times the variance.
    """
    snr_db = number("snr_db", snr_db, -200.0, 200.0)
    return number("oversampling", oversampling, 1e-3) * 10.0 ** (-snr_db / 10.0)


class Awgn:
    """Circular complex Gaussian noise of variance `noise_var` per sample, half of it in each component."""

    delay = 0

    def __init__(self, noise_var: float, seed: int = 0):
        """`noise_var` >= 0, in the units of |x|^2; ValueError otherwise."""
        self.noise_var = number("noise_var", noise_var, 0.0)
        self._rng = generator(seed, "awgn")

    def process(self, x: np.ndarray) -> np.ndarray:
        """Return x + noise, complex64 [n]; the k-th sample of the stream always meets the k-th noise sample."""
        x = as_samples(x)
        # Real and imaginary parts are drawn alternately, so that cutting the stream cannot reorder the draws.
        noise = self._rng.standard_normal(2 * x.size, dtype=np.float32).view(np.complex64)
        return x + np.float32(np.sqrt(self.noise_var / 2)) * noise

    def skip(self, n: int) -> int:
        """Nothing to keep up with: noise has no memory."""
        return n
