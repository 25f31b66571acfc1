# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact carrier offset, timing and channel of a burst, from its whole preamble."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.fft

from ._kernels import rotate, strongest
from .burst import PREAMBLE_SYMBOLS, preamble
from .numerology import Numerology


@dataclass(frozen=True)
class Acquisition:
    """What the preamble says, delays in input samples after the place where the search saw the burst.

    arrival: delay of the strongest path, rounded
    centre: rounded delay about which the paths lie; half a prefix on both sides is free of inter-symbol interference
    cfo_hz: carrier offset beyond the coarse one
    lags: delays near the centre; profile: power of the correlation at each, without the noise's share
    answer: correlation with the preamble at each of these lags; gram: that of the preamble with itself
    likeness: the energy found over that of the samples, to compare places
    """

    arrival: int
    centre: int
    cfo_hz: float
    lags: np.ndarray
    profile: np.ndarray
    answer: np.ndarray
    gram: np.ndarray
    likeness: float


class Acquirer:
    """Correlates with the known preamble, in pieces of a quarter of a symbol and at all delays near the coarse one,
    a critical sample apart.

    A DFT over the pieces gives the answer of the whole preamble at each carrier offset within +-25 kHz (at the default
    numerology). The offset is where the energy within one cyclic prefix of delays is largest: this holds with several
    paths too, where the coarse search may have paired an up-chirp of one path with the down-chirp of another.

    Only samples are used in which, at every delay, there is nothing but preamble; so the header and whatever went
    before do not disturb the channel estimate.
    """

    def __init__(self, numerology: Numerology, oversampling: Fraction):
        self._rate_hz = numerology.rate * float(oversampling)
        self._prefix = numerology.cp  # in lags
        reach = 3 * self._prefix // 2
        self.skip = math.ceil(reach * oversampling)  # first sample used, after the coarse start
        self._piece = int(numerology.symbol_length * oversampling) // 4
        self._pieces = (int(PREAMBLE_SYMBOLS * numerology.symbol_length * oversampling) - 2 * self.skip) // self._piece
        self.length = self._pieces * self._piece
        self._lags = np.arange(-reach, reach) * float(oversampling)  # a critical sample apart
        # A row a lag: those near some lag are then in one piece of memory, which saves a copy for each burst.
        self._known = np.ascontiguousarray(np.conj(self._delayed(numerology, oversampling)).T, np.complex64)
        self._gram = self._known @ self._known.conj().T
        self._by_piece = self._known.reshape(-1, self._pieces, self._piece).transpose(1, 0, 2)
        # The centre is the lag with the most energy within half a prefix of it, in the middle if there is room.
        x = np.arange(-self._prefix, self._prefix + 1) / (self._prefix / 2)
        self._kernel = np.where(np.abs(x) <= 1, 1 - 0.01 * x**2, np.maximum(0.99 - 2 * (np.abs(x) - 1), 0))
        self._bins = 1 << int(np.ceil(np.log2(6 * self._pieces)))

    def _delayed(self, numerology: Numerology, oversampling: Fraction) -> np.ndarray:
        """The samples used of a preamble that is late by each lag, [length, lags]; exact between samples too."""
        fine = oversampling.denominator
        known = preamble(numerology, oversampling * fine)
        first = fine * self.skip - np.rint(fine * self._lags).astype(int)
        return known[first + fine * np.arange(self.length)[:, None]]

    def __call__(self, samples: np.ndarray, coarse_cfo_hz: float) -> Acquisition:
        """Args: samples [length] from `skip` after the coarse start on."""
        samples = self._turned(samples, coarse_cfo_hz)
        partial = np.matmul(self._by_piece, samples.reshape(self._pieces, -1, 1))[:, :, 0]
        spectrum = scipy.fft.fft(partial.T, self._bins)  # [lags, bins]
        peak, found, profile, centre = strongest(spectrum, self._prefix, self._kernel)
        turns = (peak + self._bins // 2) % self._bins - self._bins // 2  # per `bins` pieces
        cfo = turns / self._bins * self._rate_hz / self._piece
        margin = self._prefix // 2 + self._prefix // 4
        near = slice(max(centre - margin, 0), centre + margin + 1)
        answer, gram = self._known[near] @ self._turned(samples, cfo), self._gram[near, near]
        arrival, centre = (round(self._lags[i]) for i in (profile.argmax(), centre))
        likeness = float(found / (np.vdot(samples, samples).real + 1e-30))
        return Acquisition(arrival, centre, cfo, self._lags[near], profile[near], answer, gram, likeness)

    def _turned(self, samples: np.ndarray, cfo_hz: float) -> np.ndarray:
        """The samples with the carrier offset taken out, its phase zero at the coarse start; complex64 [length]."""
        step = -2 * np.pi * cfo_hz / self._rate_hz
        return rotate(samples, self.skip * step, step)
