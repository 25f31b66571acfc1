# SPDX-License-Identifier: GPL-3.0-or-later
"""Codec2 as a peer: 3200 or 2400 bit/s at 8 kHz, packets of 20 ms, by the C interface of libcodec2 (codec2.h).

It knows narrowband alone: sound is brought from 16 kHz to 8 and back. It has no answer to a lost frame; the last one is
repeated with a fade.
"""

from __future__ import annotations

import ctypes

import numpy as np

from .framed import FRAME, CodecMissing, FrameDecoder, FrameEncoder, Repeater, load, to_pcm

BITS = {3.2: 64, 2.4: 48}
"""Rates in kbit/s and bits of their frames."""
_MODE = {3.2: 0, 2.4: 1}  # CODEC2_MODE_3200, CODEC2_MODE_2400
_TAPS = 81
_OWN_DELAY = 320  # samples at 16 kHz by which libcodec2 itself is late; measured


def _library() -> ctypes.CDLL:
    lib = load("codec2", "libcodec2-1.0")
    pointer = ctypes.c_void_p
    lib.codec2_create.restype, lib.codec2_create.argtypes = pointer, [ctypes.c_int]
    lib.codec2_destroy.restype, lib.codec2_destroy.argtypes = None, [pointer]
    lib.codec2_encode.restype, lib.codec2_encode.argtypes = None, [pointer, ctypes.c_char_p, pointer]
    lib.codec2_decode.restype, lib.codec2_decode.argtypes = None, [pointer, pointer, ctypes.c_char_p]
    return lib


def available() -> bool:
    """Whether there is a libcodec2 here."""
    try:
        _library()
    except CodecMissing:
        return False
    return True


class _HalfBand:
    """The low pass between 16 and 8 kHz, linear-phase and streaming: (_TAPS - 1) / 2 samples of delay."""

    def __init__(self):
        from scipy.signal import firwin

        self.taps = firwin(_TAPS, 3800, fs=16000)
        self.past = np.zeros(_TAPS - 1)

    def step(self, x: np.ndarray) -> np.ndarray:
        """float [n] -> float [n] without what lies above 4 kHz."""
        joined = np.concatenate([self.past, x])
        self.past = joined[len(x) :]
        return np.convolve(joined, self.taps, "valid")


class _Codec2:
    def __init__(self, kbps: float):
        if kbps not in BITS:
            raise ValueError(f"kbps: {kbps} is not one of {', '.join(map(str, BITS))}")
        self._size = BITS[kbps] // 8
        self._lib = _library()
        self._state = ctypes.c_void_p(self._lib.codec2_create(_MODE[kbps]))
        self._filter = _HalfBand()

    def __del__(self):
        if getattr(self, "_state", None):
            self._lib.codec2_destroy(self._state)


class Codec2Encoder(_Codec2, FrameEncoder):
    """Speech to packets of BITS[kbps] bits. Raises ValueError on another rate, CodecMissing."""

    delay = _OWN_DELAY + _TAPS - 1

    def __init__(self, kbps: float = 3.2):
        super().__init__(kbps)

    def push(self, frame: np.ndarray) -> bytes:
        """float32 [320] at 16 kHz -> one packet."""
        if np.shape(frame) != (FRAME,):
            raise ValueError(f"frame: expected {FRAME} samples, got shape {np.shape(frame)}")
        pcm, packet = to_pcm(self._filter.step(frame)[::2]), ctypes.create_string_buffer(self._size)
        self._lib.codec2_encode(self._state, packet, pcm.ctypes.data)
        return packet.raw


class Codec2Decoder(_Codec2, FrameDecoder):
    """Packets to speech. Raises ValueError, CodecMissing."""

    def __init__(self, kbps: float = 3.2):
        super().__init__(kbps)
        self._repeater = Repeater()

    def push(self, packet: bytes | None, following: bytes | None = None) -> np.ndarray:
        """The sound of one packet, float32 [320] at 16 kHz; None: lost. ValueError on a packet of another size."""
        if packet is not None and len(packet) != self._size:
            raise ValueError(f"packet: expected {self._size} bytes, got {len(packet)}")
        packet = self._repeater.packet(packet)
        out = np.zeros(FRAME // 2, np.int16)
        if packet is not None:
            self._lib.codec2_decode(self._state, out.ctypes.data, packet)
        wide = np.zeros(FRAME)
        wide[::2] = out / 16384  # twice as loud, for every other sample is zero
        return self._repeater.sound(self._filter.step(wide))
