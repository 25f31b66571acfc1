# SPDX-License-Identifier: GPL-3.0-or-later
"""Exact carrier offset, timing and channel of a burst, from its whole preamble."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from .burst import preamble
from .numerology import Numerology


@dataclass(frozen=True)
class Acquisition:
    """What the preamble says, delays in input samples after the place where the search saw the burst.

    arrival: delay of the strongest path
    centre: delay about which the paths lie; half a prefix on both sides of it is free of inter-symbol interference
    cfo_hz: carrier offset beyond the coarse one
    lags: delays near the centre; profile: power of the correlation at each, without the noise's share
    answer: correlation with the preamble at each of these lags; gram: that of the preamble with itself
    """

    arrival: int
    centre: int
    cfo_hz: float
    lags: np.ndarray
    profile: np.ndarray
    answer: np.ndarray
    gram: np.ndarray


class Acquirer:
    """Correlates with the known preamble, in pieces of a quarter of a symbol and at all delays near the coarse one.

    A DFT over the pieces gives the answer of the whole preamble at each carrier offset within +-25 kHz (at the default
    numerology). The offset is where the energy within one cyclic prefix of delays is largest: this holds with several
    paths too, where the coarse search may have paired an up-chirp of one path with the down-chirp of another.

    Only samples are used in which, at every delay, there is nothing but preamble; so the header and whatever went
    before do not disturb the channel estimate.
    """

    def __init__(self, numerology: Numerology, oversampling: Fraction):
        known = preamble(numerology, oversampling)
        self._rate_hz = numerology.rate * float(oversampling)
        self._step = int(oversampling)  # between lags, input samples
        self._prefix = int(numerology.cp * oversampling) // self._step  # in lags
        reach = 3 * self._prefix // 2
        self.skip = reach * self._step  # first sample used, after the coarse start
        self._piece = int(numerology.symbol_length * oversampling) // 4
        self._pieces = (len(known) - 2 * self.skip) // self._piece
        self.length = self._pieces * self._piece
        self._lags = np.arange(-reach, reach) * self._step
        delayed = [known[self.skip - lag : self.skip - lag + self.length] for lag in self._lags]
        self._known = np.conj(np.stack(delayed, axis=1)).astype(np.complex64)  # [length, lags]
        self._gram = self._known.T @ self._known.conj()
        self._by_piece = self._known.reshape(self._pieces, self._piece, -1)
        self._bins = 1 << int(np.ceil(np.log2(6 * self._pieces)))
        place = np.arange(2 * reach) - np.arange(2 * reach - self._prefix + 1)[:, None]
        self._windows = ((place >= 0) & (place < self._prefix)).astype(float)  # sums over one prefix, [places, lags]

    def __call__(self, samples: np.ndarray, coarse_cfo_hz: float) -> Acquisition:
        """Args: samples [length] from `skip` after the coarse start on."""
        samples = samples * self._turn(coarse_cfo_hz)
        partial = np.matmul(samples.reshape(self._pieces, 1, -1), self._by_piece)[:, 0]
        spectrum = np.fft.fft(partial.T, self._bins)
        energy = spectrum.real**2 + spectrum.imag**2  # [lags, bins]
        best = (self._windows @ energy).max(axis=0)
        peak = int(best.argmax())
        shift = _parabola(best[peak - 1], best[peak], best[(peak + 1) % self._bins])
        cfo = (np.fft.fftfreq(self._bins)[peak] + shift / self._bins) * self._rate_hz / self._piece
        noise = energy.mean(axis=1).min()  # over all offsets, at the quietest delay
        profile = np.maximum(energy[:, peak] - 3 * noise, 0.1 * noise)
        centre = self._centre(profile)
        margin = self._prefix // 2 + self._prefix // 4
        near = slice(max(centre - margin, 0), centre + margin + 1)
        answer = (samples * self._turn(cfo)) @ self._known[:, near]
        arrival, centre = self._lags[profile.argmax()], self._lags[centre]
        return Acquisition(arrival, centre, cfo, self._lags[near], profile[near], answer, self._gram[near, near])

    def _turn(self, cfo_hz: float) -> np.ndarray:
        """Rotation that takes the carrier offset out, zero at the coarse start; complex64 [length]."""
        turn = -2j * np.pi * cfo_hz / self._rate_hz
        pieces = np.exp(turn * (self.skip + self._piece * np.arange(self._pieces)))
        return (pieces[:, None] * np.exp(turn * np.arange(self._piece))).astype(np.complex64).ravel()

    def _centre(self, profile: np.ndarray) -> int:
        """Index of the lag with the most energy within half a prefix on both sides, in the middle if there is room."""
        x = np.arange(-self._prefix, self._prefix + 1) / (self._prefix / 2)
        kernel = np.where(np.abs(x) <= 1, 1 - 0.01 * x**2, np.maximum(0.99 - 2 * (np.abs(x) - 1), 0))
        return int(np.convolve(profile, kernel, mode="same").argmax())


def _parabola(left: float, middle: float, right: float) -> float:
    """Place of the maximum of the parabola through three neighbours, relative to the middle one."""
    bend = left - 2 * middle + right
    return 0.5 * (left - right) / bend if bend < 0 else 0.0
