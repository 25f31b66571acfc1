# SPDX-License-Identifier: GPL-3.0-or-later
"""The two headers: byte-aligned packets for networks and files, and the 25 bits that stand once in a radio burst."""
from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass

import numpy as np

from .crc import crc, to_bits, to_int

MAGIC = 0xA0  # upper half of a packet's first byte; the lower half is the version
VERSION = 5  # of the whole bit stream: PMFs, range coder, payload, headers
OVERHEAD = 9  # bytes of a packet beside its payload
MAX_PAYLOAD = 2047
BURST_BITS = 25
_HEAD = struct.Struct(">BHHH")  # magic | version, group | reserved | length, model, sequence


class PacketError(ValueError):
    """A packet or burst header that cannot be used; the message says why and what to do. Count it and drop it."""


class NotAPacket(PacketError):
    """The first bits are not those of a packet."""


class Truncated(PacketError):
    """The data end before the packet does."""


class BadCrc(PacketError):
    """Damaged on the way."""


class WrongVersion(PacketError):
    """Another version of the bit stream."""


class WrongModel(PacketError):
    """Coded with other weights."""


def model_id(sha256: str, bits: int) -> int:
    """The leading `bits` (6 in a burst, 16 in a packet) of the weights' SHA-256, given in hex."""
    if len(sha256) * 4 < bits or not set(sha256) <= set("0123456789abcdefABCDEF"):
        raise ValueError(f"sha256: must be hexadecimal with at least {bits} bits; got {sha256!r}")
    return int(sha256, 16) >> (len(sha256) * 4 - bits)


@dataclass(frozen=True)
class Packet:
    """One layer group of one superframe. payload: bytes (bits padded with zeros). sequence: of the superframe, 16 bits.
    """

    model: int
    sequence: int
    group: int
    payload: bytes

    @property
    def bits(self) -> np.ndarray:
        """The payload as uint8 bits; padding zeros included, they are harmless."""
        return np.unpackbits(np.frombuffer(self.payload, np.uint8))

    def to_bytes(self) -> bytes:
        """The packet, len(payload) + 9 bytes. Raises ValueError naming the field that does not fit."""
        for name, value, limit in (("model", self.model, 1 << 16), ("sequence", self.sequence, 1 << 16),
                                   ("group", self.group, 8), ("payload", len(self.payload), MAX_PAYLOAD + 1)):
            if not 0 <= value < limit:
                raise ValueError(f"{name}: must be 0..{limit - 1}; got {value}")
        fields = self.group << 13 | len(self.payload)
        body = _HEAD.pack(MAGIC | VERSION, fields, self.model, self.sequence) + self.payload
        return body + struct.pack(">H", binascii.crc_hqx(body, 0xFFFF))


def payload_bytes(bits: np.ndarray) -> bytes:
    """uint8 bits [n] to bytes, padded with zeros, which a group's payload may end in or not."""
    return np.packbits(np.asarray(bits, np.uint8)).tobytes()


def parse(data: bytes, model: int | None = None) -> Packet:
    """The packet that is exactly `data`. model: the 16-bit id to insist on. Raises PacketError."""
    packet, end = parse_at(data, 0, model)
    if end != len(data):
        raise NotAPacket(f"{len(data) - end} bytes follow the packet; split concatenated packets with parse_at")
    return packet


def parse_at(data: bytes, start: int, model: int | None = None) -> tuple[Packet, int]:
    """The packet at `start` in `data` and the position behind it. Raises PacketError."""
    if len(data) - start < OVERHEAD:
        raise Truncated(f"{len(data) - start} bytes are too few for a packet (at least {OVERHEAD}); drop it")
    first, fields, packet_model, sequence = _HEAD.unpack_from(data, start)
    if first & 0xF0 != MAGIC:
        raise NotAPacket(f"first byte is {first:#04x}, not {MAGIC | VERSION:#04x}: no SoundSpring packet; drop it")
    if first & 0x0F != VERSION:
        raise WrongVersion(f"packet of version {first & 0x0F}, but this program reads version {VERSION}; "
                           "use the same release at both ends")
    end = start + OVERHEAD + (fields & MAX_PAYLOAD)
    if end > len(data):
        raise Truncated(f"packet of {end - start} bytes ends after {len(data) - start}; drop it")
    if binascii.crc_hqx(data[start:end - 2], 0xFFFF) != int.from_bytes(data[end - 2:end], "big"):
        raise BadCrc("CRC of the packet does not match, it was damaged on the way; drop it")
    if fields & 0x1800:
        raise WrongVersion("a reserved bit is set: packet of a newer release; use the same release at both ends")
    if model is not None and packet_model != model:
        raise WrongModel(f"packet made with model {packet_model:04x}, but the model loaded here is {model:04x}; "
                         "load the same weights at both ends")
    payload = bytes(data[start + _HEAD.size:end - 2])
    return Packet(packet_model, sequence, fields >> 13, payload), end


@dataclass(frozen=True)
class BurstHeader:
    """What concerns a whole burst: profile (0..7), model (6 leading bits of the SHA-256), sequence (0..255)."""

    profile: int
    model: int
    sequence: int


def pack_burst_header(header: BurstHeader) -> np.ndarray:
    """uint8 bits [25]: version 2, profile 3, model 6, sequence 8, CRC 6. ValueError where a field does not fit."""
    fields = (("profile", header.profile, 3), ("model", header.model, 6), ("sequence", header.sequence, 8))
    for name, value, width in fields:
        if not 0 <= value < 1 << width:
            raise ValueError(f"{name}: must be 0..{(1 << width) - 1}; got {value}")
    body = np.concatenate([to_bits(VERSION % 4, 2)] + [to_bits(value, width) for _, value, width in fields])
    return np.concatenate([body, to_bits(crc(body, 6), 6)])


def parse_burst_header(bits: np.ndarray, model: int | None = None) -> BurstHeader:
    """Undo `pack_burst_header`. model: the 6-bit id to insist on. Raises PacketError."""
    if len(bits) < BURST_BITS:
        raise Truncated(f"burst header of {len(bits)} bits, {BURST_BITS} are needed; drop the burst")
    bits = np.asarray(bits[:BURST_BITS], np.uint8)
    if crc(bits[:-6], 6) != to_int(bits[-6:]):
        raise BadCrc("CRC of the burst header does not match; drop the burst")
    version, header = to_int(bits[:2]), BurstHeader(to_int(bits[2:5]), to_int(bits[5:11]), to_int(bits[11:19]))
    if version != VERSION % 4:
        raise WrongVersion(f"burst of version {version} (modulo 4), but this program reads version {VERSION}; "
                           "use the same release at both ends")
    if model is not None and header.model != model:
        raise WrongModel(f"burst made with model {header.model:02x} (6 bits), but the one loaded here is {model:02x}; "
                         "load the same weights at both ends")
    return header
