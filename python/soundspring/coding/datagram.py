# SPDX-License-Identifier: GPL-3.0-or-later
"""All payloads of one superframe in one datagram with one short header.

For networks that keep a datagram's bounds and check its bytes, as UDP does. What arrives damaged all the same is found
by the token checks, which cover the sequence number too. docs/wire-format.md has the bits.
"""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .crc import to_bits, to_int
from .packet import VERSION, BurstHeader, Truncated, WrongModel, WrongVersion

HEADER_BITS = 19
_FIELDS = (2, 3, 6, 8)  # version modulo 4, profile, model, sequence
_SHORT, _LONG = 6, 12  # bits of a length; a short one of all ones says that a long one follows
_ESCAPE = (1 << _SHORT) - 1


def pack_datagram(header: BurstHeader, payloads: Sequence[np.ndarray]) -> bytes:
    """uint8 bits of each payload -> bytes. ValueError on what does not fit."""
    if not payloads:
        raise ValueError("payloads: expected at least one")
    values = (VERSION % 4, header.profile, header.model, header.sequence)
    for name, value, width in zip(("version", "profile", "model", "sequence"), values, _FIELDS, strict=True):
        if not 0 <= value < 1 << width:
            raise ValueError(f"{name}: must be 0..{(1 << width) - 1}; got {value}")
    parts = [to_bits(value, width) for value, width in zip(values, _FIELDS, strict=True)]
    for bits in payloads[:-1]:
        if len(bits) >= 1 << _LONG:
            raise ValueError(f"payloads: must be shorter than {1 << _LONG} bits; got {len(bits)}")
        parts.append(to_bits(min(len(bits), _ESCAPE), _SHORT))
        if len(bits) >= _ESCAPE:
            parts.append(to_bits(len(bits), _LONG))
    return np.packbits(np.concatenate([*parts, *payloads]).astype(np.uint8)).tobytes()


def unpack_datagram(data: bytes, count: int, model: int | None = None) -> tuple[BurstHeader, list[np.ndarray]]:
    """Undo `pack_datagram` for `count` payloads; the last keeps the zeros that filled its byte, they are harmless.

    model: the 6-bit id to insist on. Raises PacketError: Truncated, WrongVersion, WrongModel.
    """
    bits = np.unpackbits(np.frombuffer(data, np.uint8))
    at = 0

    def take(width: int) -> np.ndarray:
        nonlocal at
        if at + width > len(bits):
            raise Truncated(f"datagram of {len(data)} bytes ends within its fields; drop it")
        at += width
        return bits[at - width : at]

    values = [to_int(take(width)) for width in _FIELDS]
    if values[0] != VERSION % 4:
        raise WrongVersion(f"datagram of version {values[0]} (modulo 4), but this program reads version {VERSION}; "
                           "use the same release at both ends")
    if model is not None and values[2] != model:
        raise WrongModel(f"datagram made with model {values[2]:02x} (6 bits), but the one loaded here is {model:02x}; "
                         "load the same weights at both ends")
    sizes = []
    for _ in range(count - 1):
        short = to_int(take(_SHORT))
        sizes.append(to_int(take(_LONG)) if short == _ESCAPE else short)
    payloads = [take(size) for size in sizes]
    return BurstHeader(*values[1:]), [*payloads, bits[at:]]
