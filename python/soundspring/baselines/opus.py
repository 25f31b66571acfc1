# SPDX-License-Identifier: GPL-3.0-or-later
"""Opus (RFC 6716) as a peer: packets of 20 ms at 16 kHz, in-band FEC, and losses laid on single packets.

By the C interface (opus.h) of the newest libopus on the machine: those inside the wheels `av` and `opuscodec`, and the
system's. Versions differ in what they make of a loss, so every figure names `version()`; builds of one version differ
in speed: that of `opuscodec` takes eight times as long as that of `av`, which is 80 times as large.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from .framed import FRAME, RATE, CodecMissing, FrameDecoder, FrameEncoder

MISSING = (
    "libopus was not found: pip install -c requirements/constraints.txt opuscodec (the newest, in a small wheel), "
    "or apt install libopus0"
)
_VOIP = 2048  # OPUS_APPLICATION_VOIP
_MAX_BYTES = 1275  # of a packet with one frame, RFC 6716 section 3.2.1
_SET = {"bitrate": 4002, "vbr": 4006, "complexity": 4010, "fec": 4012, "loss_percent": 4014}  # opus_defines.h
_GET_LOOKAHEAD = 4027


class OpusMissing(CodecMissing):
    """There is no libopus here; the message says what to install."""


def _places() -> Iterator[str]:
    """Files that may hold libopus."""
    for wheel, pattern in (("av", "../av.libs/libopus*.so*"), ("opuscodec", None)):
        spec = importlib.util.find_spec(wheel)
        if spec and spec.origin:
            origin = Path(spec.origin)
            yield from [str(origin)] if pattern is None else map(str, sorted(origin.parent.glob(pattern)))
    if system := ctypes.util.find_library("opus"):
        yield system


def _declare(lib: ctypes.CDLL) -> None:
    """Argument and result types; ctl functions are variadic: undeclared. AttributeError where one is missing."""
    pointer, integer = ctypes.c_void_p, ctypes.c_int
    samples = np.ctypeslib.ndpointer(np.float32, 1, flags="C")
    for name, result, arguments in (
        ("opus_get_version_string", ctypes.c_char_p, []),
        ("opus_encoder_create", pointer, [integer, integer, integer, ctypes.POINTER(integer)]),
        ("opus_decoder_create", pointer, [integer, integer, ctypes.POINTER(integer)]),
        ("opus_encoder_destroy", None, [pointer]),
        ("opus_decoder_destroy", None, [pointer]),
        ("opus_encode_float", integer, [pointer, samples, integer, ctypes.c_char_p, integer]),
        ("opus_decode_float", integer, [pointer, ctypes.c_char_p, integer, samples, integer, integer]),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    _ = lib.opus_encoder_ctl


def _release(lib: ctypes.CDLL) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", lib.opus_get_version_string().decode())[:3]))


@functools.cache
def libraries() -> list[ctypes.CDLL]:
    """Every libopus here, the newest first; of one version the quicker build first."""
    found = []
    for place in _places():
        try:
            lib = ctypes.CDLL(place)
            _declare(lib)
        except (OSError, AttributeError):
            continue
        found.append(lib)
    return sorted(found, key=_release, reverse=True)


def _newest() -> ctypes.CDLL:
    if not libraries():
        raise OpusMissing(MISSING)
    return libraries()[0]


def available() -> bool:
    """Whether there is a libopus here."""
    return bool(libraries())


def version(library: ctypes.CDLL | None = None) -> str:
    """Such as "libopus 1.6.1"; None: the newest. Raises OpusMissing."""
    return (library or _newest()).opus_get_version_string().decode()


def _checked(result: int, what: str) -> int:
    if result < 0:
        raise RuntimeError(f"libopus: {what} gave error {result} (opus_defines.h)")
    return result


class OpusEncoder(FrameEncoder):
    """Speech to packets of 20 ms.

    kbps: what the packets hold in all, their first byte (TOC) included, what carries them (RTP, UDP) not; constant, or
    the mean where `vbr` is set. expected_loss: percent of packets that the encoder is told will be lost; it decides by
    this and by the rate whether a packet carries a coarse copy of the one before (LBRR). None: no in-band FEC.
    complexity: 0 to 10. library: one of `libraries()`; None: the newest. Raises ValueError on impossible arguments,
    OpusMissing.
    """

    def __init__(
        self,
        kbps: float,
        expected_loss: float | None = None,
        vbr: bool = False,
        complexity: int = 10,
        library: ctypes.CDLL | None = None,
    ):
        if not 6 <= kbps <= 510:
            raise ValueError(f"kbps: expected 6 to 510, got {kbps}")
        if expected_loss is not None and not 0 <= expected_loss <= 100:
            raise ValueError(f"expected_loss: expected 0 to 100 percent or None, got {expected_loss}")
        if complexity not in range(11):
            raise ValueError(f"complexity: expected 0 to 10, got {complexity}")
        self._lib = library or _newest()
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(self._lib.opus_encoder_create(RATE, 1, _VOIP, ctypes.byref(error)))
        _checked(error.value, "opus_encoder_create")
        settings = {"bitrate": round(1000 * kbps), "vbr": int(vbr), "complexity": complexity,
                    "fec": int(expected_loss is not None), "loss_percent": round(expected_loss or 0)}
        for name, value in settings.items():
            _checked(self._lib.opus_encoder_ctl(self._state, _SET[name], ctypes.c_int(value)), name)

    def __del__(self):
        if getattr(self, "_state", None):
            self._lib.opus_encoder_destroy(self._state)

    @property
    def delay(self) -> int:
        """Samples by which decoded sound is late."""
        out = ctypes.c_int()
        _checked(self._lib.opus_encoder_ctl(self._state, _GET_LOOKAHEAD, ctypes.byref(out)), "lookahead")
        return out.value

    def push(self, frame: np.ndarray) -> bytes:
        """float32 [320] -> one packet."""
        packet = ctypes.create_string_buffer(_MAX_BYTES)
        frame = np.ascontiguousarray(frame, np.float32)
        if frame.shape != (FRAME,):
            raise ValueError(f"frame: expected {FRAME} samples, got shape {frame.shape}")
        size = _checked(self._lib.opus_encode_float(self._state, frame, FRAME, packet, _MAX_BYTES), "opus_encode_float")
        return packet.raw[:size]


class OpusDecoder(FrameDecoder):
    """Packets, or what arrived of them, to speech. Packet i is one call of `push`; a lost one is None.

    fec: wait for the next packet where one is lost, and take the copy in it (one packet, 20 ms, of look-ahead); where
    it has none, or with fec False, libopus conceals. library as of the encoder. Raises OpusMissing.
    """

    def __init__(self, fec: bool = True, library: ctypes.CDLL | None = None):
        self._lib, self.fec = library or _newest(), bool(fec)
        error = ctypes.c_int()
        self._state = ctypes.c_void_p(self._lib.opus_decoder_create(RATE, 1, ctypes.byref(error)))
        _checked(error.value, "opus_decoder_create")

    def __del__(self):
        if getattr(self, "_state", None):
            self._lib.opus_decoder_destroy(self._state)

    def push(self, packet: bytes | None, following: bytes | None = None) -> np.ndarray:
        """The sound of one packet, float32 [320]; `following` (None: lost too) is looked at only where it is lost."""
        out, repair = np.zeros(FRAME, np.float32), packet is None and self.fec and following is not None
        data = following if repair else packet
        got = self._lib.opus_decode_float(self._state, data, len(data or b""), out, FRAME, int(repair))
        _checked(got, "opus_decode_float")
        return out
