# SPDX-License-Identifier: GPL-3.0-or-later
"""Removing the DC offset of a direct-conversion receiver."""

import numpy as np

from ._kernels import moments


class DcRemover:
    """Subtracts a slowly learned mean, but only once it is more than chance: an OFDM burst has a mean of its own.

    The estimate averages the means of blocks, over at most MEMORY blocks, and is used when its power is SIGNIFICANT
    times what the same number of random samples of this power would give. And only from blocks that come nearer to
    zero by it: after a click of great power the estimate is wrong for long, and would silence what follows.
    """

    MEMORY = 100
    SIGNIFICANT = 30.0

    def __init__(self):
        self._mean, self._power, self._blocks = 0.0, 0.0, 0

    def step(self, samples: np.ndarray) -> np.ndarray:
        """One block [n] (n the same each time) -> the block without the offset."""
        self._blocks = min(self._blocks + 1, self.MEMORY)
        own, power = moments(samples)
        self._mean += (own - self._mean) / self._blocks
        self._power += (power - self._power) / self._blocks
        chance = self._power / (self._blocks * len(samples))
        known, helps = abs(self._mean) ** 2 > self.SIGNIFICANT * chance, abs(own - self._mean) < abs(own)
        return samples - np.complex64(self._mean) if known and helps else samples
