# SPDX-License-Identifier: GPL-3.0-or-later
"""What the conventional codecs share: frames of 20 ms at 16 kHz to packets, packets or gaps back to frames."""

from __future__ import annotations

import ctypes
import ctypes.util
from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

RATE = 16000
FRAME = 320  # samples of a packet, 20 ms


class CodecMissing(ImportError):
    """The library of a codec is not here; the message says what to install."""


def load(name: str, package: str) -> ctypes.CDLL:
    """The shared library lib`name`. Raises CodecMissing that names the Debian `package`."""
    place = ctypes.util.find_library(name)
    if place is None:
        raise CodecMissing(f"lib{name} was not found: apt install {package}")
    return ctypes.CDLL(place)


def to_pcm(frame: np.ndarray) -> np.ndarray:
    """float within +-1 -> int16, clipped."""
    return np.ascontiguousarray(np.clip(np.rint(np.asarray(frame) * 32768), -32768, 32767), np.int16)


class FrameEncoder(ABC):
    """Speech to packets of 20 ms. One object for one stream."""

    @property
    @abstractmethod
    def delay(self) -> int:
        """Samples by which decoded sound is late."""

    @abstractmethod
    def push(self, frame: np.ndarray) -> bytes:
        """float32 [320] -> one packet."""

    def encode(self, audio: np.ndarray) -> list[bytes]:
        """float32 [n] at 16 kHz -> ceil((n + delay) / 320) packets; the end is filled up with silence."""
        count = -(-(len(audio) + self.delay) // FRAME)
        padded = np.pad(np.asarray(audio, np.float32), (0, count * FRAME - len(audio)))
        return [self.push(frame) for frame in padded.reshape(count, FRAME)]


class FrameDecoder(ABC):
    """Packets, or what arrived of them, to speech. One object for one stream."""

    @abstractmethod
    def push(self, packet: bytes | None, following: bytes | None = None) -> np.ndarray:
        """The sound of one packet, float32 [320]; None: lost. `following`: the next one, for codecs that look at it."""

    def decode(self, packets: Sequence[bytes | None], samples: int, delay: int) -> np.ndarray:
        """All packets -> float32 [samples], aligned with what was encoded; delay: the encoder's."""
        frames = [self.push(p, n) for p, n in zip(packets, [*packets[1:], None], strict=True)]
        audio = np.concatenate([*frames, np.zeros(0, np.float32)])[delay:]
        return np.pad(audio, (0, max(samples - len(audio), 0)))[:samples]


class Repeater:
    """Concealment for codecs without one: the last packet again, `fade` times as loud with every frame.

    The decoder's state lives on, so that what comes after the gap joins on; what it makes of one packet again and again
    may grow louder, and is kept at the level of the last frame that came. TS 26.191 clause 6 has the same idea for
    AMR-WB, parameter by parameter.
    """

    def __init__(self, fade: float = 0.9):
        if not 0 <= fade <= 1:
            raise ValueError(f"fade: expected 0 to 1, got {fade}")
        self.fade, self.last, self.lost, self.gain, self.level = fade, None, 0, 1.0, 0.0

    def packet(self, packet: bytes | None) -> bytes | None:
        """The packet to decode: this one, or the last where it is lost. None where nothing ever came."""
        self.lost = 0 if packet is not None else self.lost + 1
        self.last = packet if packet is not None else self.last
        return self.last

    def sound(self, frame: np.ndarray) -> np.ndarray:
        """What was decoded of that packet, float [320] -> what to play, float32 [320]."""
        level, before, self.gain = float(np.sqrt(np.mean(np.square(frame)))), self.gain, 1.0
        if self.lost:
            self.gain = self.fade**self.lost * min(self.level / max(level, 1e-9), 1.0)
        else:
            self.level = level
        return (frame * np.linspace(before, self.gain, FRAME)).astype(np.float32)
