# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts of any scheme over a channel: the same header, preamble, pilots, modulator and receiver for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..burst_header import HeaderCode
from ..channel.factory import CHANNELS, make_channel
from ..channel.loss import parse_loss
from ..coding.packet import BurstHeader, PacketError, model_id
from ..link import SEQUENCES, Unwrapper, numerology_of
from ..modem.receiver import Burst
from ..modem.wide_search import make_receiver
from .scheme import Scheme
from .terms import Terms

CHUNK = 1 << 20  # samples that pass the channel at once, to bound memory


@dataclass(frozen=True)
class Air:
    """A channel by name with its parameters, and losses of whole bursts behind it (see `channel.loss.parse_loss`)."""

    name: str
    snr_db: float
    doppler_hz: float = 10.0
    delay_spread_ns: float = 100.0
    cfo_hz: float = 0.0
    loss: str = "none"

    def __post_init__(self):
        if self.name not in CHANNELS or self.name == "none":
            raise ValueError(f"channel: {self.name!r} is not one of {', '.join(c for c in CHANNELS if c != 'none')}")
        parse_loss(self.loss)

    @property
    def label(self) -> str:
        """The channel without its SNR and losses, such as `rayleigh 10 Hz`."""
        more = "" if self.name == "awgn" else f" {self.doppler_hz:g} Hz"
        more += f" {self.delay_spread_ns:g} ns" if self.name.startswith("tdl") else ""
        return self.name + more + (f" offset {self.cfo_hz:g} Hz" if self.cfo_hz else "")

    def make(self, terms: Terms, seed: int):
        """The seeded sample channel at the rate of the terms' bursts."""
        phy = terms.profile.phy
        return make_channel(self.name, rate=phy.rate * phy.oversampling, snr_db=self.snr_db,
                            oversampling=phy.oversampling, doppler_hz=self.doppler_hz,
                            delay_spread_s=self.delay_spread_ns * 1e-9, cfo_hz=self.cfo_hz, seed=seed)


class Ether:
    """Sends the symbols of one scheme's superframes and gives back what arrived of them."""

    def __init__(self, terms: Terms, scheme: Scheme):
        self.terms, self.scheme = terms, scheme
        self._header = HeaderCode(terms.profile.phy.header_code_bits)
        self._model = model_id(hashlib.sha256(scheme.label.encode()).hexdigest(), 6)
        rate = terms.profile.phy.rate * terms.profile.phy.oversampling
        self._period = round(rate / terms.profile.superframes_per_second)

    def bursts(self, sent: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Payload symbols of each superframe -> complex64 samples of its burst."""
        modulator = self.terms.modulator()
        headers = (BurstHeader(self.terms.profile.id, self._model, n % SEQUENCES) for n in range(len(sent)))
        return [modulator.modulate(self._header.encode(h), s) for h, s in zip(headers, sent, strict=True)]

    def carry(self, bursts: Sequence[np.ndarray], air: Air, seed: int) -> list[Burst | None]:
        """One burst a superframe over the channel; None where one was not found, or dropped by `air.loss`."""
        channel, receiver = air.make(self.terms, seed), self._receiver()
        samples = np.concatenate([np.pad(b, (0, self._period - len(b))) for b in bursts])
        found = [b for at in range(0, len(samples), CHUNK)
                 for b in receiver.push(channel.process(samples[at : at + CHUNK]))]
        unwrap, out = Unwrapper(self._period, 0), [None] * len(bursts)
        for burst in [*found, *receiver.flush()]:
            if burst.header is not None:
                number = unwrap(burst.header.sequence, burst.start_sample)
                if 0 <= number < len(out):
                    out[number] = burst
        lost = parse_loss(air.loss, seed).step(len(out))
        return [None if gone else burst for burst, gone in zip(out, lost, strict=True)]

    def _receiver(self):
        phy = self.terms.profile.phy
        return make_receiver(numerology_of(self.terms.profile), phy.header_code_bits, self._read_header,
                             lambda header: self.scheme.symbols, phy.oversampling, max_cfo_hz=phy.max_cfo_hz)

    def _read_header(self, llr: np.ndarray) -> BurstHeader | None:
        try:
            return self._header.decode(llr, self._model)
        except PacketError:
            return None
