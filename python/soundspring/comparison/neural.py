# SPDX-License-Identifier: GPL-3.0-or-later
"""This module's own families behind the interface of a scheme: tokens with LDPC and QAM, and analog symbols."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from .. import link as chain
from ..profile import ladders, load, load_ladder
from .scheme import LOST, OK, PARTLY, Played, Scheme
from .terms import Terms

Payloads = list[np.ndarray | None]


class SoundSpring(Scheme):
    """The digital chain of `link.py`. Modes are profiles; on a rung of a ladder the ladder's other rungs fit too."""

    name = "soundspring"

    def __init__(self, mode: str, terms: Terms):
        self.mode, self._profile = mode, load(mode)
        if self._profile.phy is None or self._profile.superframe != terms.profile.superframe:
            raise ValueError(f"scheme soundspring: mode {mode} has no radio part or no superframe of "
                             f"{terms.profile.superframe} frames")
        self.symbols = self._profile.phy.payload_symbols

    @classmethod
    def modes(cls, terms: Terms) -> list[str]:
        ladder, _, place = terms.profile.name.rpartition("-")
        if place.isdigit() and ladder in ladders():
            return [p.name for p in load_ladder(ladder).rungs if p.phy.payload_symbols <= terms.symbols]
        return [terms.profile.name]

    @cached_property
    def _link(self) -> chain.Link:
        return chain.Link(self._profile, chain.shared_models())

    @property
    def payload_bps(self) -> float:
        return sum(self._profile.room) * self._profile.superframes_per_second

    def encode(self, audio: np.ndarray) -> list[np.ndarray]:
        coder = self._link.frame_coder()
        return [coder.encode(n, payloads)[1] for n, payloads in chain.encode(self._link, audio)]

    @cached_property
    def _coder(self) -> chain.FrameCoder:
        return self._link.frame_coder()

    def receive(self, symbols: np.ndarray, noise_var: np.ndarray) -> Payloads:
        return self._coder.decode(symbols, noise_var)

    def play(self, received: Sequence[Payloads | None], samples: int) -> Played:
        nothing, counts = [None] * self._profile.packets, chain.Counts()
        audio = chain.decode(self._link, enumerate(r or nothing for r in received), samples, counts)
        whole, none = {"ok"}, {"lost", "undecodable", "desync"}
        fates = (OK if set(s) <= whole else LOST if set(s) <= none else PARTLY for s in counts.status)
        return Played(audio, "".join(fates))

    def digest(self, received: Sequence[Payloads | None]) -> bytes:
        nothing = [None] * self._profile.packets
        return b"".join(b"\0" if p is None else b"\1" + p.tobytes() for r in received for p in r or nothing)


class Jscc(Scheme):
    """Analog symbols straight from sound: no bits, no code, no lower rate to retreat to. One mode."""

    name = "jscc"

    def __init__(self, mode: str, terms: Terms):
        if mode not in self.modes(terms):
            raise ValueError(f"scheme jscc: mode {mode!r} is not one of {', '.join(self.modes(terms))}")
        from ..analog import shared_model

        try:
            model = shared_model()
        except (ImportError, OSError) as error:
            raise ImportError(f"scheme jscc: this installation has no analog model ({error}); install a release that "
                              "has models/jscc") from error
        self.mode, self._superframe, self.symbols = mode, terms.profile.superframe_samples, terms.symbols
        self._model = model.network(self.symbols)
        if self._model.samples != self._superframe:
            raise ValueError(f"scheme jscc: its model sends {self._model.samples} samples at a time, a superframe of "
                             f"profile {terms.profile.name} has {self._superframe}")

    @classmethod
    def modes(cls, terms: Terms) -> list[str]:
        return ["analog"]

    @property
    def payload_bps(self) -> None:
        return None

    def encode(self, audio: np.ndarray) -> list[np.ndarray]:
        from ..jscc.api import Transmitter

        padded = np.pad(audio, (0, -(len(audio) + self._model.delay) % self._superframe + self._model.delay))
        return list(Transmitter(self._model).push(padded.astype(np.float32)))

    def receive(self, symbols: np.ndarray, noise_var: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return symbols, noise_var

    def play(self, received: Sequence[tuple | None], samples: int) -> Played:
        from ..jscc.api import Receiver

        nothing = np.zeros(self.symbols, np.complex64), np.full(self.symbols, np.inf, np.float32)
        symbols, noise = (np.stack(rows) for rows in zip(*(r or nothing for r in received), strict=True))
        audio = Receiver(self._model).push(symbols, noise)[self._model.delay :]
        fates = "".join(LOST if r is None else OK for r in received)
        return Played(np.pad(audio, (0, max(samples - len(audio), 0)))[:samples], fates)
