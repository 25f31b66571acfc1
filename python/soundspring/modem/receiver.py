# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples -> bursts: the streaming receiver."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ._kernels import cut, training_noise, within
from .acquire import Acquirer, Acquisition
from .burst import CHIRP_SYMBOLS, PREAMBLE_SYMBOLS, TRAINING_SYMBOLS, frame, ratio_of
from .channel_estimate import Channel, estimate_channel
from .dc import DcRemover
from .equalise import Equalised, equalise
from .numerology import Numerology
from .qam import demap
from .search import ChirpSearch, Detection, Place

LARGEST = 1e8  # magnitude of a part of a sample, whatever full scale is


@dataclass(frozen=True)
class Burst:
    """A received burst.

    header: what `decode_header` made of it; None where it failed, then `symbols` and `noise_var` are empty
    symbols: equalised payload, complex64 [n], unit mean energy; noise_var: float32 [n], of each symbol
    snr_db: mean Es/N0 per active carrier; evm: rms error of the pilots, 1 = the amplitude of a pilot
    cfo_hz: carrier offset; clock_ppm: how much longer the sender's sample period is (rough for short bursts)
    start_sample: input sample at which the burst begins, counted from the first pushed
    """

    header: Any
    symbols: np.ndarray
    noise_var: np.ndarray
    snr_db: float
    evm: float
    cfo_hz: float
    clock_ppm: float
    start_sample: int


@dataclass
class _Pending:
    """A burst that waits for input up to `need`: first for its header, then (header set) for its payload."""

    start: int  # absolute input sample of the coarse start, at first of the earliest that there may be
    need: int
    places: list[Place]
    lone: bool
    cfo_hz: float = 0.0
    arrival: int = 0
    cut: int = 0  # input samples from `start` to the first sample of the first training symbol's DFT
    channel: Channel | None = None
    received: np.ndarray | None = None  # carriers of the symbols so far, header first
    result: Equalised | None = None
    header: Any = field(default=None)
    payload: int = 0


def usable(samples: np.ndarray) -> np.ndarray:
    """Samples complex64 [n], with zeros for those whose powers cannot be summed."""
    parts = np.ascontiguousarray(samples).view(np.float32)
    if within(parts, LARGEST):
        return samples
    return np.where((np.abs(parts) <= LARGEST).reshape(-1, 2).all(1), samples, 0)


class BurstReceiver:
    """Finds bursts in a stream and equalises their symbols.

    The input is worked through in blocks of fixed size and place, so the result does not depend on how it was cut
    into chunks. Each OFDM symbol's DFT is taken at the input rate, which is the matched low pass and the decimation
    in one. Bursts are reported in the order in which they end, at most about `latency` samples after that. The search
    goes on inside bursts: one that was cut off does not hide the next.

    Args:
        numerology: as in the modulator
        header_code_bits: as in the modulator
        decode_header: LLRs float32 [header_code_bits] (positive = bit 1) -> header, or None if it is not one
        payload_symbols: header -> number of payload symbols
        oversampling: input rate / numerology.rate, at least 1.5 and a multiple of 1/cp and 1/fft
        threshold: of the search, see `ChirpSearch`
        max_cfo_hz: largest carrier offset; 0.15 * numerology.rate if not given
        max_payload: more payload symbols than this is taken for a wrong header
        encode_header: what `decode_header` undoes: header -> its code bits, uint8 [header_code_bits]; with it the
            receiver estimates the channel once more from the header that it decoded. None: it does without

    Attributes:
        detections, header_failures, truncated: counts; `truncated` are bursts whose end had not come at `flush`. What
            is found by one chirp alone counts, and is reported, only if its header decodes

    Raises:
        ValueError: a parameter out of range
    """

    def __init__(
        self,
        numerology: Numerology,
        header_code_bits: int,
        decode_header: Callable[[np.ndarray], Any],
        payload_symbols: Callable[[Any], int],
        oversampling=2,
        threshold: float = 29.0,
        max_cfo_hz: float | None = None,
        max_payload: int = 100_000,
        encode_header: Callable[[Any], np.ndarray] | None = None,
    ):
        self._ratio = ratio_of(oversampling, numerology)
        if self._ratio < 1.5 or (self._ratio * numerology.cp).denominator != 1:
            raise ValueError(f"oversampling must be a multiple of 1/cp of at least 1.5, not {oversampling}")
        if header_code_bits < 1:
            raise ValueError(f"header_code_bits must be at least 1, not {header_code_bits}")
        if threshold <= 0:
            raise ValueError(f"threshold must be positive, not {threshold}")
        self.numerology = numerology
        self.max_cfo_hz = 0.15 * numerology.rate if max_cfo_hz is None else max_cfo_hz
        if not 0 < self.max_cfo_hz <= 0.25 * numerology.rate:
            raise ValueError(f"max_cfo_hz must lie in 0..{0.25 * numerology.rate} (a quarter of the rate)")
        self._threshold, self._max_payload = threshold, max_payload
        self._header_bits = header_code_bits
        self._header_symbols = numerology.symbols_for(header_code_bits)
        self._decode_header, self._payload_symbols = decode_header, payload_symbols
        self._encode_header = encode_header
        self._acquirer = Acquirer(numerology, self._ratio)
        self._symbol = int(numerology.symbol_length * self._ratio)
        self._rate_hz = numerology.rate * float(self._ratio)
        # The middle of the prefix may lie between two samples: the DFT begins at the one before, its phases do not.
        self._half_prefix, over = divmod(numerology.cp * self._ratio, 2)
        n = np.arange(int(numerology.fft * self._ratio))[:, None] - float(over / 2)
        dft = np.exp(-2j * np.pi / len(n) * n * numerology.carriers)
        self._dft = (dft / (float(self._ratio) * math.sqrt(numerology.fft))).astype(np.complex64)
        # The header that is all zeros, and the places of its bits, for whatever header was decoded.
        self._zeros = frame(np.zeros(header_code_bits, np.uint8), np.zeros(0), numerology).astype(np.complex64)
        places = np.arange(self._zeros.size).reshape(self._zeros.shape)
        self._bit_at = places[:, numerology.data_index].ravel()[:header_code_bits]
        self.detections = self.header_failures = self.truncated = 0
        self._restart()

    def _restart(self) -> None:
        # Silence before the first sample, so that the search may look to the left of a burst that starts there.
        lead = 2 * CHIRP_SYMBOLS * self._symbol
        self._search = ChirpSearch(self.numerology, self._ratio, self.max_cfo_hz, self._threshold, -lead)
        self._dc = DcRemover()
        self._raw: list[np.ndarray] = []
        self._raw_size = 0
        self._buffer, self._base = np.zeros(lead, np.complex64), -lead
        self._at = -lead  # where the next search block begins
        self._pending: list[_Pending] = []

    @property
    def latency(self) -> int:
        """Input samples that may be needed beyond a burst's end before it is reported."""
        return self._search.block + self._search.hop

    def push(self, samples: np.ndarray) -> list[Burst]:
        """Take any number of samples (complex [n], at numerology.rate * oversampling); return the bursts now complete.

        Samples that are not finite, or beyond LARGEST, count as zero. Raises ValueError if samples is not one row.
        """
        samples = np.asarray(samples, np.complex64)
        if samples.ndim != 1:
            raise ValueError(f"samples must be one row, not shape {samples.shape}")
        self._raw.append(samples)
        self._raw_size += len(samples)
        hop = self._search.hop
        if self._raw_size < hop:
            return []
        raw = np.concatenate(self._raw)
        bursts = []
        whole = len(raw) - len(raw) % hop
        for i in range(0, whole, hop):
            bursts += self._take(self._dc.step(usable(raw[i : i + hop])), math.inf)
        self._raw, self._raw_size = [raw[whole:]], len(raw) - whole
        return bursts

    def flush(self) -> list[Burst]:
        """End of the stream: return the last bursts and start anew (sample 0 is the next one pushed; counts go on)."""
        end = self._base + len(self._buffer) + self._raw_size
        hop = self._search.hop
        tail = np.concatenate([*self._raw, np.zeros(4 * hop, np.complex64)])
        bursts = []
        for i in range(0, 4 * hop, hop):
            block = tail[i : i + hop]
            bursts += self._take(np.where(np.isfinite(block), block, 0), end)
        self.truncated += sum(p.header is not None or not p.lone for p in self._pending)
        self._restart()
        return bursts

    def _take(self, block: np.ndarray, end: float) -> list[Burst]:
        """Append one hop; search if that completes a block; serve the bursts that wait for no more than came."""
        self._buffer = np.concatenate([self._buffer, block])
        bursts = []
        while self._base + len(self._buffer) >= self._at + self._search.block:
            for found in self._search.step(self._slice(self._at, self._search.block)):
                self._expect(found)
            bursts += self._serve(min(self._at + self._search.block, end))
            self._at += self._search.hop
        oldest = min([self._search.position, self._at, *(p.start for p in self._pending)]) - self._acquirer.skip
        drop = max(oldest - self._base, 0)
        self._buffer, self._base = self._buffer[drop:], self._base + drop
        return bursts

    def _slice(self, start: int, length: int) -> np.ndarray:
        return self._buffer[start - self._base : start - self._base + length]

    def _serve(self, available: float) -> list[Burst]:
        bursts = []
        while self._pending:
            first = min(self._pending, key=lambda p: p.need)
            if first.need > available:
                break
            if first.result is None:
                self._begin(first)
                if first.header is not None:
                    self.detections += first.lone  # else counted when it was found
                    continue  # when its payload has come
            else:
                self._finish(first)
            self._pending.remove(first)
            if first.header is not None or not first.lone:
                bursts.append(self._report(first))
        return bursts

    def _expect(self, found: Detection) -> None:
        """Wait for the header. What would have begun before the stream did is chance."""
        places = [p for p in found.places if p.start + self._acquirer.skip >= self._base]
        if places:
            length = (PREAMBLE_SYMBOLS + self._header_symbols) * self._symbol + self._acquirer.skip
            starts = [p.start for p in places]
            self._pending.append(_Pending(min(starts), max(starts) + length, places, found.lone))
            self.detections += not found.lone

    def _begin(self, p: _Pending) -> None:
        """Acquire, estimate the channel and decode the header, None if that fails."""
        fine = self._acquire(p)
        p.cut = int(fine.centre) + 2 * CHIRP_SYMBOLS * self._symbol + self._half_prefix
        p.received = self._carriers(p, 0, TRAINING_SYMBOLS + self._header_symbols)
        noise = training_noise(p.received[:TRAINING_SYMBOLS])
        p.channel = estimate_channel(fine, noise, self.numerology, float(self._ratio))
        p.received = p.received[TRAINING_SYMBOLS:]
        p.result = self._equalise(p)
        bits = slice(0, self._header_bits)
        p.header = self._decode_header(demap(p.result.symbols.ravel()[bits], p.result.noise_var.ravel()[bits], 1))
        p.payload = 0 if p.header is None else self._payload_symbols(p.header)
        if p.header is None or not 0 <= p.payload <= self._max_payload:
            self.header_failures += not p.lone
            p.header, p.payload = None, 0
        symbols = TRAINING_SYMBOLS + self._header_symbols + self.numerology.symbols_for(p.payload)
        p.need = p.start + p.cut + symbols * self._symbol - int(self.numerology.cp * self._ratio)

    def _acquire(self, p: _Pending) -> Acquisition:
        """The preamble at that of its places where it is most like one."""
        length = self._acquirer.length
        tried = [self._acquirer(self._slice(x.start + self._acquirer.skip, length), x.cfo_hz) for x in p.places]
        fine, place = max(zip(tried, p.places, strict=True), key=lambda pair: pair[0].likeness)
        p.start, p.cfo_hz, p.arrival = place.start, place.cfo_hz + fine.cfo_hz, place.start + int(fine.arrival)
        return fine

    def _finish(self, p: _Pending) -> None:
        """Equalise header and payload, the header now known."""
        if p.payload:
            first, count = TRAINING_SYMBOLS + self._header_symbols, self.numerology.symbols_for(p.payload)
            p.received = np.concatenate([p.received, self._carriers(p, first, count)])
        p.result = self._equalise(p, self._known(p.header) if self._encode_header else None)

    def _known(self, header) -> np.ndarray:
        """The header's carriers as they were sent, complex64 [header symbols, active]."""
        negative = np.zeros(self._zeros.shape, bool)
        negative.ravel()[self._bit_at] = self._encode_header(header)
        return np.where(negative, -self._zeros, self._zeros)

    def _equalise(self, p: _Pending, known: np.ndarray | None = None) -> Equalised:
        numerology = self.numerology
        length = PREAMBLE_SYMBOLS * numerology.symbol_length
        energy = max(p.channel.es / p.channel.noise, 1e-3) * length * numerology.active / numerology.fft
        # Twice the Cramer-Rao bound of the offset of a known signal of this energy and length, and a floor of 5 Hz.
        cfo_sd = 2 * math.sqrt(6 / energy) / length * numerology.symbol_length
        cfo_sd = math.hypot(cfo_sd, 2 * math.pi * 5 * numerology.symbol_duration)
        drift = p.result.drift if p.result else None  # during the header
        return equalise(p.received, self._header_symbols, p.channel, numerology, cfo_sd, drift, known)

    def _carriers(self, p: _Pending, first: int, count: int) -> np.ndarray:
        """Active carriers [count, active] of the OFDM symbols from `first` on (0 = training), offset removed."""
        begin = p.start + p.cut + first * self._symbol - self._base
        size = len(self._dft)
        body = self._buffer[begin : begin + (count - 1) * self._symbol + size]
        step = -2 * np.pi * p.cfo_hz / self._rate_hz
        return cut(body, self._symbol, count, size, step * (p.cut + first * self._symbol), step) @ self._dft

    def _report(self, p: _Pending) -> Burst:
        result, skip, numerology = p.result, self._header_symbols, self.numerology
        per_symbol = 2 * np.pi * numerology.symbol_duration
        # A carrier k turns by -2 pi k / fft per critical sample of delay.
        clock = -result.drift[3] * numerology.fft / (2 * np.pi * numerology.symbol_length)
        return Burst(
            header=p.header,
            symbols=result.symbols[skip:].ravel()[: p.payload],
            noise_var=result.noise_var[skip:].ravel()[: p.payload],
            snr_db=10 * math.log10(result.es / result.noise),
            evm=result.evm,
            cfo_hz=p.cfo_hz + result.drift[1] / per_symbol,
            clock_ppm=clock * 1e6,
            start_sample=p.arrival,
        )
