# SPDX-License-Identifier: GPL-3.0-or-later
"""A conventional codec as a link, so that the chain and the blocks of `analog` carry it: superframes to symbols."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from ..analog import SymbolLink
from ..baselines.framed import FRAME
from ..profile import LinkProfile, PacketPhy, load, replace_profile, with_radio
from .conventional import Conventional
from .registry import make
from .terms import Terms

NO_LIMIT_DB = 30.0  # of peaks, where the profile has none


@dataclass(frozen=True)
class _Library:
    """What both ends must have, as other links have models; named by the scheme."""

    label: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.label.encode()).hexdigest()


class CodecLink(SymbolLink):
    """Scheme `opus`, `amrwb` or `codec2`, perhaps with its mode (`opus:12`), on the terms of a profile.

    Its bursts are those of the profile, with one code block for all packets of 20 ms of a superframe. Raises
    ValueError where it does not fit, ImportError that says what to install.
    """

    def __init__(self, spec: str, profile: str | LinkProfile = "reference"):
        profile = with_radio(load(profile))
        self.terms = Terms.of(profile, profile.phy.papr_db or NO_LIMIT_DB)
        self.scheme = make(spec, self.terms)
        if not isinstance(self.scheme, Conventional):
            raise ValueError(f"scheme: {spec!r} is no conventional codec")
        block = PacketPhy(self.scheme.block_bits, self.scheme.symbols * self.scheme.order, self.scheme.order)
        self.label, phy = self.scheme.label, replace(profile.phy, packets=(block,))
        super().__init__(replace_profile(profile, phy=phy, copies=()), _Library(self.label))

    @property
    def delay(self) -> int:
        """Samples by which decoded sound is late: the codec's, and the packet that its decoder looks ahead."""
        return self.scheme.delay + FRAME * self.scheme.ahead

    @property
    def source_bits(self) -> int:
        """Of the codec, in a superframe."""
        return self.scheme.packet_bits[self.scheme.mode] * self.profile.superframe

    def encoder(self) -> Sender:
        return Sender(self.scheme)

    def decoder(self) -> Player:
        return Player(self.scheme)

    def fates(self, symbols: np.ndarray, noise_var: np.ndarray) -> tuple[str, ...]:
        """Whether the code block of a superframe is right: ("ok",) or ("lost",)."""
        came = np.isfinite(noise_var).all() and self.scheme.receive(symbols, noise_var) is not None
        return ("ok" if came else "lost",)


class Sender:
    """Sound to symbols, superframe by superframe."""

    def __init__(self, scheme: Conventional):
        self._scheme = scheme
        self.reset()

    def reset(self) -> None:
        """What comes next is another sound."""
        self._encoder = self._scheme.encoder()

    def push(self, audio: np.ndarray) -> np.ndarray:
        """float32 [n * superframe] at 16 kHz -> complex64 [n, symbols]."""
        return np.stack(self._scheme.symbols_of([self._encoder.push(f) for f in audio.reshape(-1, FRAME)]))


class Player:
    """Symbols to sound, `CodecLink.delay` samples late."""

    def __init__(self, scheme: Conventional):
        self._scheme = scheme
        self.reset()

    def reset(self) -> None:
        """What comes next is another transmission."""
        self._decoder, self._held, self._late = self._scheme.decoder(), [], self._scheme.ahead

    def push(self, symbols: np.ndarray, noise_var: np.ndarray) -> np.ndarray:
        """Equalised symbols [n, symbols] with their noise, inf where nothing came -> float32 [n * superframe]."""
        return np.concatenate([self._superframe(*rows) for rows in zip(symbols, noise_var, strict=True)])

    def _superframe(self, symbols: np.ndarray, noise_var: np.ndarray) -> np.ndarray:
        block = self._scheme.receive(symbols, noise_var) if np.isfinite(noise_var).all() else None
        packets = [*self._held, *self._scheme.packets_of(block)]
        ready = len(packets) - self._scheme.ahead
        frames = [self._decoder.push(p, n) for p, n in zip(packets[:ready], [*packets[1:], None], strict=False)]
        silence, self._late, self._held = np.zeros(self._late * FRAME, np.float32), 0, packets[ready:]
        return np.clip(np.concatenate([silence, *frames]), -1, 1).astype(np.float32)

    def lost(self) -> np.ndarray:
        """`push` for one superframe of which nothing came."""
        shape = (1, self._scheme.symbols)
        return self.push(np.zeros(shape, np.complex64), np.full(shape, np.inf, np.float32))
