# SPDX-License-Identifier: GPL-3.0-or-later
"""Two radios and the air between them, for the benchmarks of the modem: an oscillator at each end that sets carrier and
sample clock alike, a medium wide enough for every carrier offset, and the receiver's channel filter before it samples.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.signal import firwin, upfirdn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from soundspring.burst_header import HeaderCode  # noqa: E402
from soundspring.channel.fading import TappedDelayLine  # noqa: E402
from soundspring.channel.impairments import Cfo, Chain, ClockError  # noqa: E402
from soundspring.coding.packet import BurstHeader, PacketError  # noqa: E402
from soundspring.fec.ldpc import LdpcCode  # noqa: E402
from soundspring.modem import Burst, BurstModulator, BurstReceiver, Numerology, demap, map_bits  # noqa: E402
from soundspring.modem.burst import PREAMBLE_SYMBOLS  # noqa: E402
from soundspring.profile import Phy  # noqa: E402

MEDIUM = 3  # samples of the medium per critical sample
RECEIVED = 1.5  # the receiver's, behind its filter
CARRIER_HZ = 2.5e9  # 60 ppm of it are 150 kHz, 0.15 of the rate of 1 MS/s; at other rates as large a part
MAX_PPM = 60.0
FADING = {"awgn": None, "tdl-a": ("TDL-A", 100e-9, 50.0), "tdl-c": ("TDL-C", 300e-9, 50.0),
          "tdl-a 10 Hz": ("TDL-A", 100e-9, 10.0), "tdl-c 10 Hz": ("TDL-C", 300e-9, 10.0)}  # spread in s, Doppler in Hz
SEGMENTS = 50  # bursts in a stream
KEPT = 8  # streams that are kept for the next SNR


@dataclass
class Sent:
    """One burst on its way: payload bits of each packet, all its samples, its place in the stream of the receiver."""

    sequence: int
    payloads: list[np.ndarray]
    data: np.ndarray  # payload symbols
    start: float = 0.0
    response: np.ndarray | None = None  # of the channel, at each payload symbol
    noise: np.ndarray | None = None  # of the receiver that knows it, at 0 dB


class Stream(NamedTuple):
    """Bursts as they arrive: samples behind the receiver's filter without noise, the noise at 0 dB, what was sent."""

    clean: np.ndarray
    noise: np.ndarray
    sent: list[Sent]


@dataclass
class Outcome:
    """What became of a burst: found at all, its header decoded, and each of its packets, here and by the genie."""

    found: bool
    header: bool
    packets: list[bool]
    genie: list[bool]
    burst: Burst | None = None


class Radio:
    """Both ends of one physical layer: codes, modulator at the medium's rate, receiver behind its channel filter.

    payload: False for bursts that end with their header. papr_db: of the modulator.
    """

    def __init__(self, phy: Phy, payload: bool = True, papr_db: float | None = None):
        self.phy, packets = phy, phy.packets if payload else ()
        self._payload = sum(p.symbols for p in packets)
        self.numerology = Numerology(phy.fft, phy.cp, phy.data_carriers, phy.pilots, phy.rate)
        self.header_code = HeaderCode(phy.header_code_bits)
        self.codes = [LdpcCode(p.payload_bits, p.code_bits, p.bits_per_symbol) for p in packets]
        self.modulator = BurstModulator(self.numerology, phy.header_code_bits, MEDIUM, papr_db)
        # Flat up to 0.61 of the critical rate (band and carrier offset), 60 dB down where it would fold onto that.
        self.low_pass = firwin(49, 0.75, window=("kaiser", 5.65), fs=MEDIUM).astype(np.float32)

    def receiver(self, **options) -> BurstReceiver:
        bits, payload = self.phy.header_code_bits, self._payload
        return BurstReceiver(self.numerology, bits, self.decode_header, lambda _: payload, RECEIVED,
                             **{"encode_header": self.header_code.encode} | options)

    def decode_header(self, llr: np.ndarray) -> BurstHeader | None:
        try:
            return self.header_code.decode(llr, 0)
        except PacketError:
            return None

    def make(self, rng: np.random.Generator, sequence: int) -> tuple[Sent, np.ndarray]:
        """A burst of random payloads: (what it says, complex64 samples of the medium)."""
        payloads = [rng.integers(0, 2, code.k).astype(np.uint8) for code in self.codes]
        coded = zip(self.codes, payloads, strict=True)
        symbols = [map_bits(code.encode(bits), code.bits_per_symbol) for code, bits in coded]
        data = np.concatenate([*symbols, np.zeros(0, np.complex64)])
        header = self.header_code.encode(BurstHeader(1, 0, sequence))
        return Sent(sequence, payloads, data), self.modulator.modulate(header, data)

    def decode(self, symbols: np.ndarray, noise_var: np.ndarray, payloads: Sequence[np.ndarray]) -> list[bool]:
        """Which packets come out as they were sent."""
        out, at = [], 0
        for code, bits in zip(self.codes, payloads, strict=True):
            own = slice(at, at := at + code.e // code.bits_per_symbol)
            llr = demap(symbols[own], noise_var[own], code.bits_per_symbol)
            out.append(bool(np.array_equal(code.decode(llr).bits, bits)))
        return out

    def front_end(self, medium: np.ndarray) -> np.ndarray:
        """Samples of the medium -> of the receiver, complex64; without delay."""
        delay = len(self.low_pass) // 2
        step = int(MEDIUM / RECEIVED)
        return upfirdn(self.low_pass, medium, 1, step)[delay // step :][: len(medium) // step].astype(np.complex64)

    def noise(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """White noise of the medium for an Es/N0 of 0 dB, complex64 [n]."""
        return (np.float32(np.sqrt(MEDIUM / 2)) * rng.standard_normal(2 * n, np.float32)).view(np.complex64)


class Air:
    """Sends bursts over one channel and tells what became of them.

    channel: one of FADING. ppm: of the oscillators' difference, one number for carrier and clock alike, with
    random sign; None draws it evenly from within MAX_PPM. genie: also decode each burst as one would who knows the
    channel, its noise and where the burst begins; the channel's realisation is the same, the noise another.
    """

    def __init__(self, radio: Radio, seed: int, channel: str = "awgn", ppm: float | None = None, genie: bool = False):
        self.radio, self.channel, self.ppm, self.genie = radio, channel, ppm, genie
        self._seed = seed
        self._rate = MEDIUM * radio.numerology.rate
        self._carrier_hz = CARRIER_HZ * radio.numerology.rate / 1e6
        self._kept: dict[tuple[int, int], Stream] = {}

    def send(self, bursts: int, snr_db: float, **options) -> list[Outcome]:
        """`bursts` bursts in streams of SEGMENTS, a random pause before each; `options` go to the receiver.

        The same bursts over the same channels in the same noise at every SNR, so that curves compare.
        """
        out, scale = [], np.float32(10 ** (-snr_db / 20))
        for first in range(0, bursts, SEGMENTS):
            stream = self._stream(first, min(SEGMENTS, bursts - first))
            receiver = self.radio.receiver(**options)
            received = receiver.push(stream.clean + scale * stream.noise) + receiver.flush()
            out += [self._outcome(one, received, snr_db) for one in stream.sent]
        return out

    def _stream(self, first: int, bursts: int) -> Stream:
        if (first, bursts) in self._kept:
            return self._kept[first, bursts]
        rng, sent, parts, at = np.random.default_rng([self._seed, first]), [], [], 0
        for sequence in range(bursts):
            one, samples = self.radio.make(rng, sequence)
            pause = int(rng.integers(0, 6 * MEDIUM * self.radio.numerology.symbol_length))
            part = self._distort(one, samples, pause, rng)
            one.start += (at + pause) * RECEIVED / MEDIUM
            at += len(part)
            sent.append(one)
            parts.append(part)
        noise = self.radio.front_end(self.radio.noise(rng, at))
        stream = Stream(self.radio.front_end(np.concatenate(parts)), noise, sent)
        if len(self._kept) < KEPT:
            self._kept[first, bursts] = stream
        return stream

    def _distort(self, one: Sent, samples: np.ndarray, pause: int, rng) -> np.ndarray:
        """The burst with fading, both oscillators' difference and a random phase, silence around it."""
        tail = np.zeros(8 * MEDIUM * self.radio.numerology.cp, np.complex64)
        ppm = rng.uniform(-MAX_PPM, MAX_PPM) if self.ppm is None else self.ppm * rng.choice([-1, 1])
        clean = np.concatenate([samples * np.complex64(np.exp(2j * np.pi * rng.uniform())), tail])
        if FADING[self.channel]:
            fading = TappedDelayLine(*FADING[self.channel], self._rate, int(rng.integers(1 << 31)))
            clean = np.concatenate([fading.process(clean)[fading.delay :], np.zeros(fading.delay, np.complex64)])
        if self.genie:
            numerology = self.radio.numerology
            first, count = PREAMBLE_SYMBOLS + self.radio.modulator.header_symbols, numerology.symbols_for(len(one.data))
            response = self._carriers(clean, first, count) / self._carriers(samples, first, count)
            one.response = response.ravel()[: len(one.data)]
            draws = rng.standard_normal((2, len(one.data))) * np.sqrt(0.5)
            one.noise = draws[0] + 1j * draws[1]
        clock = ClockError(ppm)
        clean = np.concatenate([np.zeros(pause, np.complex64), clean, np.zeros(clock.delay + 2, np.complex64)])
        out = Chain([clock, Cfo(1e-6 * ppm * self._carrier_hz, self._rate)]).process(clean)[clock.delay :]
        one.start = -1e-6 * ppm * pause * RECEIVED / MEDIUM
        return out

    def _ask_genie(self, one: Sent, snr_db: float) -> list[bool]:
        """Decode with the true response of every carrier in every symbol, and the true noise variance."""
        if one.response is None:
            return []
        n0 = 10 ** (-snr_db / 10)
        symbols = one.data + np.sqrt(n0) * one.noise / one.response
        return self.radio.decode(symbols, n0 / np.abs(one.response) ** 2, one.payloads)

    def _carriers(self, samples: np.ndarray, first: int, count: int) -> np.ndarray:
        """Data carriers [count, data_carriers] of the OFDM symbols from `first` on, in the medium."""
        numerology = self.radio.numerology
        length, n = MEDIUM * numerology.symbol_length, MEDIUM * numerology.fft
        starts = (first + np.arange(count)) * length + MEDIUM * numerology.cp * 3 // 4
        spectrum = np.fft.fft(samples[starts[:, None] + np.arange(n)], axis=1)
        return spectrum[:, numerology.carriers[~numerology.pilot_mask]]

    def _outcome(self, one: Sent, received: list[Burst], snr_db: float) -> Outcome:
        near = self.radio.numerology.cp * RECEIVED
        found = [b for b in received if abs(b.start_sample - one.start) <= near]
        good = [b for b in found if b.header is not None and b.header.sequence == one.sequence]
        genie = self._ask_genie(one, snr_db)
        if not good:
            return Outcome(bool(found), False, [False] * len(one.payloads), genie)
        packets = self.radio.decode(good[0].symbols, good[0].noise_var, one.payloads)
        return Outcome(True, True, packets, genie, good[0])
