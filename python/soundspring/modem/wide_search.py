# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts whose carrier may be off by several times their bandwidth: a bank of receivers, one after the first burst."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.fft

from .burst import PREAMBLE_SYMBOLS, ratio_of
from .numerology import Numerology
from .receiver import Burst, BurstReceiver, usable

INNER = 2  # oversampling behind the bank
REACH = 0.15  # of the critical rate: the carrier offset that one receiver of the bank looks for
SPAN = 256  # output samples of one block of the bank, a quarter of them overlap
HOLD_S = 3.0  # without a burst for so long the search is as wide as at first


def make_receiver(numerology: Numerology, header_code_bits: int, decode_header: Callable[[np.ndarray], Any],
                  payload_symbols: Callable[[Any], int], oversampling=2, *, max_cfo_hz: float | None = None,
                  **options) -> "BurstReceiver | WideReceiver":
    """The receiver that can do with carrier offsets up to `max_cfo_hz`; arguments and options as of `BurstReceiver`."""
    kind = BurstReceiver if max_cfo_hz is None or max_cfo_hz <= 0.25 * numerology.rate else WideReceiver
    return kind(numerology, header_code_bits, decode_header, payload_symbols, oversampling, max_cfo_hz=max_cfo_hz,
                **options)


@dataclass
class _Channel:
    """A receiver of the bank: `shift`, its centre in bins of the bank; `begin`, the input sample it started with."""

    shift: int
    receiver: BurstReceiver
    begin: int


class WideReceiver:
    """`BurstReceiver` behind a bank of filters, for carrier offsets beyond a quarter of the critical rate.

    The bank is one FFT of overlapping blocks (overlap-save), of which each receiver takes its own bins: that shifts,
    filters and resamples to twice the critical rate in one. At first all receivers listen; a burst with a good header
    leaves only the one that is nearest to its carrier, until `HOLD_S` seconds pass without one.

    Args:
        as of `BurstReceiver`, options too; oversampling a multiple of 2.

    Attributes:
        detections, header_failures, truncated: as of `BurstReceiver`, of all receivers.
        tracking: only one receiver listens.

    Raises:
        ValueError: a parameter out of range.
    """

    def __init__(self, numerology: Numerology, header_code_bits: int, decode_header: Callable[[np.ndarray], Any],
                 payload_symbols: Callable[[Any], int], oversampling, *, max_cfo_hz: float, **options):
        ratio = ratio_of(oversampling, numerology)
        if ratio % INNER:
            raise ValueError(f"oversampling must be a multiple of {INNER} with so wide a search, not {oversampling}")
        self._decimation = int(ratio / INNER)
        self._size = SPAN * self._decimation
        self._hop = self._size * 3 // 4
        rate = numerology.rate * float(ratio)
        if not 0 < max_cfo_hz <= rate / 2 - numerology.rate:
            raise ValueError(f"max_cfo_hz must lie in 0..{rate / 2 - numerology.rate:g} at this rate, not {max_cfo_hz}")
        self.numerology, self.max_cfo_hz, self._rate_hz = numerology, max_cfo_hz, rate
        self._make = lambda: BurstReceiver(numerology, header_code_bits, decode_header, payload_symbols, INNER,
                                           max_cfo_hz=REACH * numerology.rate, **options)
        self._bin = rate / self._size
        # Centres are multiples of 4 bins: from block to block, 3/4 of them apart, their phases then go on.
        step = 4 * math.floor(2 * REACH * numerology.rate / self._bin / 4)
        count = max(math.ceil((max_cfo_hz - REACH * numerology.rate) / self._bin / step), 0)
        self._shifts = step * np.arange(-count, count + 1)
        self._filter = self._response()
        self._gone = np.zeros(3)  # counts of receivers that were given up
        self._start()

    def _response(self) -> np.ndarray:
        """Spectrum [SPAN] of the low pass, in an FFT's order: flat over band and reach, and nothing that would fold."""
        taps = self._size // 4 + 1
        cutoff = 0.375 / self._decimation  # cycles per input sample; half of the rate behind the bank is 0.5
        n = np.arange(taps) - taps // 2
        low_pass = 2 * cutoff * np.sinc(2 * cutoff * n) * np.kaiser(taps, 8.0)
        spectrum = np.fft.fft(low_pass / low_pass.sum(), self._size) / self._decimation
        return np.concatenate([spectrum[: SPAN // 2], spectrum[-SPAN // 2 :]]).astype(np.complex64)

    def _start(self) -> None:
        self._buffer = np.zeros(self._size - self._hop, np.complex64)
        self._done = 0  # input samples that went through the bank
        self._last = 0  # input sample at which the last good burst was reported
        self._channels: list[_Channel] = []
        self._listen(self._shifts)

    def _listen(self, shifts) -> None:
        """Keep the receivers at these centres, begin new ones where there are none, give up the others."""
        kept = {c.shift: c for c in self._channels if c.shift in shifts}
        self._gone += sum((self._counts(c) for c in self._channels if c.shift not in shifts), np.zeros(3))
        self._channels = [kept.get(s) or _Channel(int(s), self._make(), self._done) for s in shifts]
        low = np.concatenate([np.arange(SPAN // 2), np.arange(-SPAN // 2, 0)])
        self._bins = (low + np.array(shifts, int)[:, None]) % self._size  # of each receiver, in an FFT's order

    @staticmethod
    def _counts(channel: _Channel) -> np.ndarray:
        return np.array([channel.receiver.detections, channel.receiver.header_failures, channel.receiver.truncated])

    def _count(self, which: int) -> int:
        return int(self._gone[which] + sum(self._counts(c)[which] for c in self._channels))

    detections = property(lambda self: self._count(0))
    header_failures = property(lambda self: self._count(1))
    truncated = property(lambda self: self._count(2))

    @property
    def tracking(self) -> bool:
        return len(self._channels) < len(self._shifts)

    @property
    def latency(self) -> int:
        """Input samples that may be needed beyond a burst's end before it is reported."""
        return self._channels[0].receiver.latency * self._decimation + self._size

    def push(self, samples: np.ndarray) -> list[Burst]:
        """As of `BurstReceiver`: any number of samples, at the input rate, to the bursts now complete."""
        samples = np.asarray(samples, np.complex64)
        if samples.ndim != 1:
            raise ValueError(f"samples must be one row, not shape {samples.shape}")
        self._buffer = np.concatenate([self._buffer, usable(samples)])
        bursts, at = [], 0
        while at + self._size <= len(self._buffer):
            bursts += self._block(self._buffer[at : at + self._size])
            at += self._hop
        self._buffer = self._buffer[at:]
        return bursts

    def flush(self) -> list[Burst]:
        """End of the stream: return the last bursts and start anew (sample 0 is the next one pushed; counts go on)."""
        bursts = self.push(np.zeros(self._size, np.complex64))
        bursts += self._distinct([self._placed(b, c) for c in self._channels for b in c.receiver.flush()])
        self._listen([])
        self._start()
        return bursts

    def _block(self, block: np.ndarray) -> list[Burst]:
        """One block through the bank and the receivers that listen; then decide which go on listening."""
        parts = scipy.fft.ifft(scipy.fft.fft(block)[self._bins] * self._filter, overwrite_x=True)[:, SPAN // 4 :]
        found = []
        for channel, part in zip(self._channels, parts, strict=True):
            found += [self._placed(b, channel) for b in channel.receiver.push(part)]
        self._done += self._hop
        found = self._distinct(found)
        good = [b for b in found if b.header is not None]
        if good:
            self._last = self._done
            self._listen([self._shifts[np.abs(self._shifts * self._bin - good[-1].cfo_hz).argmin()]])
        elif self.tracking and self._done - self._last > HOLD_S * self._rate_hz:
            self._listen(self._shifts)
        return found

    def _placed(self, burst: Burst, channel: _Channel) -> Burst:
        """With offset and start as seen at the input."""
        delay = self._size // 8  # of the low pass
        start = channel.begin + burst.start_sample * self._decimation - delay
        return replace(burst, cfo_hz=burst.cfo_hz + channel.shift * self._bin, start_sample=start)

    def _distinct(self, bursts: list[Burst]) -> list[Burst]:
        """Of bursts that begin together, the one with the best SNR: two receivers heard the same one."""
        apart = PREAMBLE_SYMBOLS * self.numerology.symbol_length * self._decimation
        out: list[Burst] = []
        for b in sorted(bursts, key=lambda b: (b.header is None, -b.snr_db)):
            if all(abs(b.start_sample - o.start_sample) > apart for o in out):
                out.append(b)
        return sorted(out, key=lambda b: b.start_sample)
