# SPDX-License-Identifier: GPL-3.0-or-later
"""Bursts of any scheme over a channel: the same header, preamble, pilots, modulator and receiver for all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..burst_header import HeaderCode
from ..channel.base import SampleChannel
from ..channel.factory import CHANNELS, make_channel
from ..channel.loss import parse_loss
from ..coding.packet import BurstHeader, PacketError, model_id
from ..link import SEQUENCES, Unwrapper, numerology_of
from ..modem.receiver import Burst
from ..modem.wide_search import make_receiver
from ..untrusted import short
from .scheme import Scheme
from .terms import Terms


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
        if not isinstance(self.name, str) or self.name not in CHANNELS or self.name == "none":
            names = ", ".join(c for c in CHANNELS if c != "none")
            raise ValueError(f"channel: {short(self.name)} is not one of {names}")
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

    def losses(self, seed: int):
        """The seeded process that drops bursts."""
        return parse_loss(self.loss, seed)


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

    def carry(self, bursts: Sequence[np.ndarray], channel: SampleChannel, loss=None, whole: bool = False
              ) -> list[Burst | None]:
        """One burst a superframe over a channel; None where one was not found, or dropped by `loss`.

        The channel runs in real time, but the receiver is given only as much of the noise between bursts as it needs
        to find them, which is most of the work saved. whole: it is given all.
        """
        receiver, out = self._receiver(), [None] * len(bursts)
        heard = self._period if whole else min(max(map(len, bursts)) + receiver.latency, self._period)

        def found():
            for burst in bursts:
                yield from receiver.push(channel.process(np.pad(burst, (0, heard - len(burst)))))
                channel.skip(self._period - heard)
            yield from receiver.flush()

        unwrap = Unwrapper(heard, 0)
        for burst in found():
            if burst.header is not None:
                number = unwrap(burst.header.sequence, burst.start_sample)
                if 0 <= number < len(out):  # else a header that noise had changed
                    out[number] = burst
        lost = np.zeros(len(out), bool) if loss is None else loss.step(len(out))
        return [None if gone else burst for burst, gone in zip(out, lost, strict=True)]

    def _receiver(self):
        phy = self.terms.profile.phy
        return make_receiver(numerology_of(self.terms.profile), phy.header_code_bits, self._read_header,
                             lambda header: self.scheme.symbols, phy.oversampling, max_cfo_hz=phy.max_cfo_hz,
                             encode_header=self._header.encode)

    def _read_header(self, llr: np.ndarray) -> BurstHeader | None:
        try:
            return self._header.decode(llr, self._model)
        except PacketError:
            return None
