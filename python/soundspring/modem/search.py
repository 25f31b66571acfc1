# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding bursts in a stream: matched filters for the two chirps of the preamble, by overlap-save FFT."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import scipy.fft

from ._kernels import best_pair, filtered, next_answer, normalise
from .burst import CHIRP_SYMBOLS, chirp
from .numerology import Numerology

SEARCH_RATE = Fraction(3, 2)  # of the critical rate; whatever the input rate is, the search runs at this one
BLOCK = 64  # OFDM bodies per search block; a quarter where they would last longer than LONGEST_S
LONGEST_S = 0.05


class Place(NamedTuple):
    """A burst's first sample in the input and its carrier offset in Hz."""

    start: int
    cfo_hz: float


@dataclass(frozen=True)
class Detection:
    """A burst seems to be at one of these places; lone: by the answer of one filter alone."""

    places: list[Place]
    lone: bool


class ChirpSearch:
    """Stateful search over consecutive overlapping blocks of `block` samples, `hop` apart.

    Each filter's answer is divided by the power in the band during the chirp, so in noise of any level it is
    exponential with mean 1, and for a clean burst it is the time-bandwidth product of the chirp (260). A burst is
    where an up-chirp's and a down-chirp's answers, as far apart as an allowed carrier offset puts them, are of like
    size and add up to the threshold. In noise at 1 MS/s a sum above 20 occurs 5 times a second, above 24 once in 20
    seconds, and every step of 1 makes it 3 times rarer; the check of the header sorts such places out.

    A long burst may lose one chirp to a fade. The other by itself leaves a line of places, one for each carrier offset,
    of which the receiver takes the one where the whole preamble fits best. In noise at 1 MS/s such a lone answer comes
    once in ten seconds; so nothing is made of it unless a header follows.

    Args:
        numerology, oversampling: of the input
        max_cfo_hz: largest carrier offset that is looked for
        threshold: smallest sum of the two answers
        first: index in the input of the first sample of the first block
    """

    SINGLE = 8.0  # an up-chirp's answer below this is not looked into
    UNLIKE = 8.0  # answers that differ by more than this factor are not of one burst
    SURE = 12.0  # unless both are above this, which fading may have done
    LONE = 17.0  # an answer above this is looked into even where the other one may lie in a fade
    STEP = 0.025  # of the critical rate: between the carrier offsets that are then tried

    def __init__(self, numerology: Numerology, oversampling: Fraction, max_cfo_hz: float, threshold: float, first: int):
        chirp_length = CHIRP_SYMBOLS * numerology.symbol_length
        self._to_input = float(oversampling / SEARCH_RATE)
        self._chirp = int(chirp_length * SEARCH_RATE)
        self._rate_hz = numerology.rate * float(SEARCH_RATE)
        self._slope = numerology.active * numerology.carrier_spacing * self._rate_hz / self._chirp  # Hz per second
        self._reach = int(np.ceil(max_cfo_hz / self._slope * self._rate_hz)) + 1  # shift by the largest offset
        self._steps = 2 * math.ceil(max_cfo_hz / (self.STEP * numerology.rate)) + 1
        self._threshold = threshold
        blocks_lost = -(-chirp_length // numerology.fft)
        bodies = BLOCK if BLOCK * numerology.fft <= LONGEST_S * numerology.rate else BLOCK // 4
        self.block = int(bodies * numerology.fft * oversampling)
        self.hop = int((bodies - blocks_lost) * numerology.fft * oversampling)
        self._size = int(bodies * numerology.fft * SEARCH_RATE)
        self._keep = int((bodies - blocks_lost) * numerology.fft * SEARCH_RATE)
        self._bank, self._band = self._filters(numerology)
        self._up = self._down = np.zeros(0, np.float32)
        self._base = 0  # search index of the first kept answer
        self._next = 0  # search index from which on nothing has been decided yet
        self._first = first

    def _filters(self, numerology: Numerology) -> tuple[np.ndarray, float]:
        """Spectra [4, size]: both matched filters (unit energy), the band, and nothing, because four transforms at once
        take less time than three; and the band's share of the rate."""
        bank = np.zeros((4, self._size), complex)
        frequency = np.abs(np.fft.fftfreq(self._size, 1 / self._rate_hz))
        near = frequency <= numerology.occupied_bandwidth / 2 + numerology.carrier_spacing  # no neighbour's leakage
        for row, sign in enumerate((1, -1)):
            template = chirp(numerology, SEARCH_RATE, sign)
            bank[row] = np.conj(np.fft.fft(template / np.linalg.norm(template), self._size)) * near
        bank[2] = frequency <= numerology.occupied_bandwidth / 2
        return bank.astype(np.complex64), float(bank[2].real.mean())

    @property
    def position(self) -> int:
        """Input index before which no further detection will start."""
        return int((self._next - self._reach) * self._to_input) + self._first

    def step(self, samples: np.ndarray) -> list[Detection]:
        """Take the next block [block], already overlapping the one before; return what it settles."""
        up, down = self._answers(samples)
        drop = min(self._next - self._base, len(self._up))
        self._up = np.concatenate([self._up[drop:], up])
        self._down = np.concatenate([self._down[drop:], down])
        self._base += drop
        return self._decide()

    def _answers(self, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        answers = scipy.fft.ifft(filtered(scipy.fft.fft(samples), self._bank), overwrite_x=True)
        return normalise(answers, self._chirp, self._keep, self._band)

    def _decide(self) -> list[Detection]:
        """Settle every place whose whole neighbourhood has been seen."""
        found = []
        ready = max(len(self._up) - self._chirp - 6 * self._reach - 1, 0)
        begin = self._next - self._base
        behind = self._down[self._chirp :]  # a down-chirp's place, seen from that of its up-chirp
        n = begin - 1
        while (n := self._next_answer(max(n + 1, begin), ready)) < ready:
            last = n + 4 * self._reach
            if self._best_pair(n, n)[0] >= self._threshold:
                score, up, down = self._best_pair(n, last)
                found.append(self._detection(score, up, down))
                begin = (up + down + self._chirp) // 2 + self._reach
            elif max(self._up[n], behind[n]) > self.LONE and self._best_pair(n, last)[0] < self._threshold:
                up, down = (n + int(answers[n : last + 1].argmax()) for answers in (self._up, behind))
                found.append(self._detection(0.0, up, down + self._chirp))
                begin = last + 1
        self._next = self._base + max(begin, ready)
        return found

    def _next_answer(self, first: int, stop: int) -> int:
        """The first place from `first` on that is worth a look; `stop` where there is none before it."""
        return next_answer(self._up, self._down, self._chirp, first, stop, self.SINGLE, self.LONE)

    def _best_pair(self, first: int, last: int) -> tuple[float, int, int]:
        """Of the up-chirps' answers from first to last and the down-chirps' that belong to them: (sum, both places).

        Unlike pairs count for nothing: a burst that was cut off before its down-chirp is none.
        """
        return best_pair(self._up, self._down, first, last, self.SINGLE, self._chirp, self._reach, self.UNLIKE,
                         self.SURE)

    def _detection(self, score: float, up: int, down: int) -> Detection:
        """Of these answers, which are a pair or else (score 0) have nothing to do with each other."""
        places = [self._place((up + down - self._chirp) / 2, (down - up - self._chirp) / 2)] if score else []
        if not score or min(self._up[up], self._down[down]) < self.SURE:
            places += self._line(up, down)
        return Detection(places, not score)

    def _line(self, up: int, down: int) -> list[Place]:
        """The stronger answer by itself: by how much a carrier offset has moved it cannot be seen."""
        shifts = np.linspace(-self._reach, self._reach, self._steps)
        starts = up + shifts if self._up[up] > self._down[down] else down - self._chirp - shifts
        return [self._place(*x) for x in zip(starts, shifts, strict=True)]

    def _place(self, start: float, shift: float) -> Place:
        """Args: in samples of the search; shift: by which the carrier offset makes the up-chirp's answer early."""
        return Place(round((self._base + start) * self._to_input) + self._first, self._slope * shift / self._rate_hz)
