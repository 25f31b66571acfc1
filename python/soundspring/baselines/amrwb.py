# SPDX-License-Identifier: GPL-3.0-or-later
"""AMR-WB (3GPP TS 26.190) as a peer: packets of 20 ms at 16 kHz, by VisualOn's encoder and OpenCORE's decoder.

A packet holds a frame's speech bits and nothing else (no frame type, no quality bit): both ends know the rate, and what
carries it tells of losses. OpenCORE's answer to a lost frame falls behind repetition with a fade in PESQ and STOI and
is ahead in PLCMOS, so repetition is the default.
"""

from __future__ import annotations

import ctypes

import numpy as np

from .framed import FRAME, CodecMissing, FrameDecoder, FrameEncoder, Repeater, load, to_pcm

BITS = {6.6: 132, 8.85: 177, 12.65: 253, 14.25: 285, 15.85: 317, 18.25: 365, 19.85: 397, 23.05: 461, 23.85: 477}
"""Rates in kbit/s and speech bits of their frames, TS 26.201."""
CONCEALMENT = ("repeat", "library")
_RATES = tuple(BITS)
_LOST = bytes([14 << 3 | 4])  # frame type SPEECH_LOST with the quality bit, RFC 4867 section 5.3
_LONGEST = 61  # bytes of a frame with its type


def _encoder() -> ctypes.CDLL:
    lib = load("vo-amrwbenc", "libvo-amrwbenc0")
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    lib.E_IF_init.restype, lib.E_IF_init.argtypes = pointer, []
    lib.E_IF_exit.restype, lib.E_IF_exit.argtypes = None, [pointer]
    lib.E_IF_encode.restype, lib.E_IF_encode.argtypes = integer, [pointer, integer, pointer, ctypes.c_char_p, integer]
    return lib


def _decoder() -> ctypes.CDLL:
    lib = load("opencore-amrwb", "libopencore-amrwb0")
    pointer = ctypes.c_void_p
    lib.D_IF_init.restype, lib.D_IF_init.argtypes = pointer, []
    lib.D_IF_exit.restype, lib.D_IF_exit.argtypes = None, [pointer]
    lib.D_IF_decode.restype, lib.D_IF_decode.argtypes = None, [pointer, ctypes.c_char_p, pointer, ctypes.c_int]
    return lib


def available() -> bool:
    """Whether both libraries are here."""
    try:
        _ = _encoder(), _decoder()
    except CodecMissing:
        return False
    return True


def _checked(kbps: float) -> float:
    if kbps not in BITS:
        raise ValueError(f"kbps: {kbps} is not one of {', '.join(map(str, BITS))}")
    return kbps


class AmrwbEncoder(FrameEncoder):
    """Speech to packets of BITS[kbps] bits, padded to bytes. Raises ValueError on another rate, CodecMissing."""

    delay = 94  # look-ahead of the encoder less what its filters give back; measured by correlation

    def __init__(self, kbps: float = 6.6):
        self._mode = _RATES.index(_checked(kbps))
        self._lib = _encoder()
        self._state = ctypes.c_void_p(self._lib.E_IF_init())

    def __del__(self):
        if getattr(self, "_state", None):
            self._lib.E_IF_exit(self._state)

    def push(self, frame: np.ndarray) -> bytes:
        """float32 [320] -> one packet."""
        if np.shape(frame) != (FRAME,):
            raise ValueError(f"frame: expected {FRAME} samples, got shape {np.shape(frame)}")
        pcm, packet = to_pcm(frame), ctypes.create_string_buffer(_LONGEST)
        size = self._lib.E_IF_encode(self._state, self._mode, pcm.ctypes.data, packet, 0)
        return packet.raw[1:size]  # the first byte is the frame type


class AmrwbDecoder(FrameDecoder):
    """Packets to speech. concealment: "repeat" or "library". Raises ValueError, CodecMissing."""

    def __init__(self, kbps: float = 6.6, concealment: str = "repeat"):
        if concealment not in CONCEALMENT:
            raise ValueError(f"concealment: {concealment!r} is not one of {', '.join(CONCEALMENT)}")
        self._type = bytes([_RATES.index(_checked(kbps)) << 3 | 4])
        self._size = -(-BITS[kbps] // 8)
        self._repeater = Repeater() if concealment == "repeat" else None
        self._lib = _decoder()
        self._state = ctypes.c_void_p(self._lib.D_IF_init())

    def __del__(self):
        if getattr(self, "_state", None):
            self._lib.D_IF_exit(self._state)

    def push(self, packet: bytes | None, following: bytes | None = None) -> np.ndarray:
        """The sound of one packet, float32 [320]; None: lost. ValueError on a packet of another size."""
        if packet is not None and len(packet) != self._size:
            raise ValueError(f"packet: expected {self._size} bytes, got {len(packet)}")
        if self._repeater:
            packet = self._repeater.packet(packet)
            if packet is None:
                return np.zeros(FRAME, np.float32)
        out = np.zeros(FRAME, np.int16)
        self._lib.D_IF_decode(self._state, _LOST if packet is None else self._type + packet, out.ctypes.data, 0)
        sound = out / np.float32(32768)
        return self._repeater.sound(sound) if self._repeater else sound
