# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding bursts in a stream: matched filters for the two chirps of the preamble, by overlap-save FFT."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import scipy.fft

from ._kernels import normalise, pair
from .burst import CHIRP_SYMBOLS, chirp
from .numerology import Numerology

SEARCH_RATE = Fraction(3, 2)  # of the critical rate; whatever the input rate is, the search runs at this one
BLOCK = 64  # OFDM bodies per search block; a quarter where they would last longer than LONGEST_S
LONGEST_S = 0.05


@dataclass(frozen=True)
class Detection:
    """Where a burst may begin: `start` in input samples, its carrier offset in Hz, the two filters' answers added."""

    start: int
    cfo_hz: float
    score: float


class ChirpSearch:
    """Stateful search over consecutive overlapping blocks of `block` samples, `hop` apart.

    Each filter's answer is divided by the power in the band during the chirp, so in noise of any level it is
    exponential with mean 1, and for a clean burst it is the time-bandwidth product of the chirp (260). A burst is
    where an up-chirp's and a down-chirp's answers, as far apart as an allowed carrier offset puts them, are of like
    size and add up to the threshold. In noise at 1 MS/s a sum above 20 occurs 5 times a second, above 24 once in 20
    seconds, and every step of 1 makes it 3 times rarer; the check of the header sorts such places out.

    Args:
        numerology, oversampling: of the input
        max_cfo_hz: largest carrier offset that is looked for
        threshold: smallest sum of the two answers
        first: index in the input of the first sample of the first block
    """

    SINGLE = 8.0  # an up-chirp's answer below this is not looked into
    UNLIKE = 8.0  # answers that differ by more than this factor are not of one burst
    SURE = 12.0  # unless both are above this, which fading may have done

    def __init__(self, numerology: Numerology, oversampling: Fraction, max_cfo_hz: float, threshold: float, first: int):
        chirp_length = CHIRP_SYMBOLS * numerology.symbol_length
        self._to_input = float(oversampling / SEARCH_RATE)
        self._chirp = int(chirp_length * SEARCH_RATE)
        self._rate_hz = numerology.rate * float(SEARCH_RATE)
        self._slope = numerology.active * numerology.carrier_spacing * self._rate_hz / self._chirp  # Hz per second
        self._reach = int(np.ceil(max_cfo_hz / self._slope * self._rate_hz)) + 1  # shift by the largest offset
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
        """Spectra [3, size]: both matched filters (unit energy) and the band; and the band's share of the rate."""
        bank = np.zeros((3, self._size), complex)
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
        spectrum = scipy.fft.fft(samples)
        half = self._size // 2
        spectrum = np.concatenate([spectrum[:half], spectrum[-half:]]) * np.float32(self._size / len(samples))
        answers = scipy.fft.ifft(self._bank * spectrum, overwrite_x=True)
        return normalise(answers, self._chirp, self._keep, self._band)

    def _decide(self) -> list[Detection]:
        """Settle every place whose whole neighbourhood has been seen."""
        found = []
        ready = len(self._up) - self._chirp - 6 * self._reach - 1
        begin = self._next - self._base
        candidates = np.flatnonzero(self._up > self.SINGLE)
        for n in candidates[candidates < ready]:
            if n < begin or self._pair(n)[0] < self._threshold:
                continue
            near = candidates[(candidates >= n) & (candidates <= n + 4 * self._reach)]
            score, up, down = max((*self._pair(m),) for m in near)
            cfo = self._slope * (down - up - self._chirp) / (2 * self._rate_hz)
            start = (up + down - self._chirp) / 2
            found.append(Detection(round((self._base + start) * self._to_input) + self._first, cfo, score))
            begin = int(start) + self._chirp + self._reach
        self._next = self._base + max(begin, ready)
        return found

    def _pair(self, n: int) -> tuple[float, int, int]:
        """The up-chirp's answer at n with the best down-chirp's that may belong to it: (sum, n, its place).

        The sum is 0 for an unlike pair: a burst that was cut off before its down-chirp is none.
        """
        low = max(n + self._chirp - 2 * self._reach, 0)
        score, m = pair(self._up, self._down, n, low, n + self._chirp + 2 * self._reach + 1, self.UNLIKE,
                        self.SURE)
        return score, int(n), m
