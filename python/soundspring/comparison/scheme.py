# SPDX-License-Identifier: GPL-3.0-or-later
"""What a scheme is: sound to the symbols of bursts and back. All else is the same for all of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .terms import Terms

OK, PARTLY, LOST = ".-x"
"""What became of a superframe: all of it arrived, a part, nothing."""


@dataclass(frozen=True)
class Played:
    """Sound float32 [samples], and what became of each superframe, one letter each: `OK`, `PARTLY`, `LOST`."""

    audio: np.ndarray
    fates: str


class Scheme(ABC):
    """One way from sound to symbols and back, under some terms. Its methods keep nothing from call to call.

    name: of the family. mode: how it is set. symbols: payload symbols of one of its bursts, at most those of the terms.
    """

    name: str
    mode: str
    symbols: int

    @classmethod
    @abstractmethod
    def modes(cls, terms: Terms) -> list[str]:
        """The settings that fit the terms; the first is the one for a comparison at a fixed profile."""

    @abstractmethod
    def __init__(self, mode: str, terms: Terms):
        """ValueError on a mode that is not one or does not fit; an ImportError that says what to install."""

    @property
    def label(self) -> str:
        """Name and mode."""
        return f"{self.name}:{self.mode}"

    @property
    @abstractmethod
    def payload_bps(self) -> float | None:
        """Bits a second that the bursts carry above FEC; None for one that sends no bits."""

    @abstractmethod
    def encode(self, audio: np.ndarray) -> list[np.ndarray]:
        """float32 [n] at 16 kHz -> complex64 [symbols] of unit mean power for each superframe."""

    @abstractmethod
    def receive(self, symbols: np.ndarray, noise_var: np.ndarray) -> Any:
        """Equalised symbols of one burst and their noise variance -> what is known of the superframe, None: nothing."""

    @abstractmethod
    def play(self, received: Sequence[Any], samples: int) -> Played:
        """What `receive` made of consecutive bursts (None also where none came) -> sound in its place."""

    def digest(self, received: Sequence[Any]) -> bytes | None:
        """Equal where `play` would give the same; None where that cannot be said cheaply."""
        return None
