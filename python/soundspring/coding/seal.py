# SPDX-License-Identifier: GPL-3.0-or-later
"""Payloads sealed with a pre-shared key: authenticated, and encrypted if asked, by AES-CCM (RFC 3610).

A sealed payload is: data, plain or encrypted | tag | one byte of the transmission's number. docs/authentication.md says
why, what it costs and what it does not do; docs/wire-format.md has the bytes.
"""
from __future__ import annotations

import os
import secrets
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from .packet import VERSION, PacketError

PIECES = 8  # bytes of the upper half of a number; each packet brings one
UPPER = 1 << 8 * PIECES  # an upper half counts the wraps of the 8-bit sequence number, from a random start
LONGEST = 1 << 40  # superframes of one transmission
GROUPS = 8
NUMBERS = UPPER << 8
WINDOW = 256 * GROUPS  # packets behind the newest one that may still come
REMEMBERED = 1000  # transmissions
_ALL = (1 << WINDOW) - 1
UNCHECKED = "none"
_DIGITS = {32, 64}


class Refused(PacketError):
    """A payload that is not accepted. `kind`: "joining", "unverified" or "replayed"."""

    def __init__(self, kind: str, text: str):
        super().__init__(text)
        self.kind = kind


def read_key(reference: str) -> bytes:
    """The key that `file:PATH` or `env:NAME` names: 32 or 64 hexadecimal digits, for AES-128 or AES-256.

    Raises ValueError, which never shows what may be a key, and OSError.
    """
    kind, _, name = reference.partition(":")
    if kind == "file" and name:
        text = Path(name).expanduser().read_text(encoding="ascii", errors="replace")
    elif kind == "env" and name:
        text = os.environ.get(name, "")
    else:
        raise ValueError("key: name a file or a variable that holds it, as file:PATH or env:NAME; never give it itself")
    digits = "".join(text.split())
    if len(digits) not in _DIGITS or not set(digits) <= set("0123456789abcdefABCDEF"):
        raise ValueError(f"key: {reference} must hold 32 or 64 hexadecimal digits; `openssl rand -hex 32` makes some")
    return bytes.fromhex(digits)


class _Ccm:
    """AES-CCM with one key: (number, group, piece, data) <-> data and tag."""

    def __init__(self, key: bytes, tag_bytes: int, encrypt: bool, identity: str):
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESCCM
        except ImportError as error:
            raise ModuleNotFoundError("a key needs the package cryptography: apt install python3-cryptography, or pip "
                                      "install cryptography") from error
        self._ccm, self._wrong, self._tag, self._encrypt = AESCCM(key, tag_bytes), InvalidTag, tag_bytes, encrypt
        self._context = b"SoundSpring" + bytes([VERSION]) + bytes.fromhex(identity)

    def seal(self, number: int, group: int, piece: int, data: bytes) -> bytes:
        nonce, known = number.to_bytes(9, "big") + bytes([group]), self._context + bytes([piece])
        if self._encrypt:
            return self._ccm.encrypt(nonce, data, known)
        return data + self._ccm.encrypt(nonce, b"", known + data)

    def open(self, number: int, group: int, piece: int, sealed: bytes) -> bytes | None:
        """The data; None where the tag is not theirs."""
        nonce, known = number.to_bytes(9, "big") + bytes([group]), self._context + bytes([piece])
        try:
            if self._encrypt:
                return self._ccm.decrypt(nonce, sealed, known)
            data = sealed[: -self._tag]
            self._ccm.decrypt(nonce, sealed[-self._tag :], known + data)
            return data
        except self._wrong:
            return None


def _piece_at(sequence: int, group: int) -> int:
    """Which byte of the upper half, the lowest first, a packet brings; groups bring different ones."""
    return (sequence + 4 * group) % PIECES


class Sealer:
    """One transmission, from its first superframe to its last; the next needs another Sealer, which starts elsewhere.

    Packets are numbered from a random start, so no number comes twice under one key.

    Args:
        key: 16, 24 or 32 bytes.
        tag_bytes: 4, 6, ..., 16.
        encrypt: hide the payloads too.
        identity: SHA-256 of the weights in hexadecimal digits; both ends have the same.

    Raises:
        ModuleNotFoundError: without the package cryptography. ValueError: a key or tag of another length.
    """

    def __init__(self, key: bytes, tag_bytes: int = 4, encrypt: bool = False, identity: str = ""):
        self._ccm, self._tag = _Ccm(key, tag_bytes, encrypt, identity), tag_bytes
        self._start = secrets.randbelow(UPPER) << 8
        self._last = -1

    def seal(self, sequence: int, group: int, bits: np.ndarray, room: int | None = None) -> np.ndarray:
        """uint8 bits [n] of a packet -> uint8 bits, whole bytes, 8 (tag_bytes + 1) more than the data's.

        room: bits, a multiple of 8, to fill up with zeros first; None: as few bytes as it takes.
        Raises ValueError on packets that do not rise in sequence and group: a number would come twice.
        """
        if not 0 <= sequence < LONGEST or not 0 <= group < GROUPS:
            raise ValueError(f"sequence, group: must be below 2^40 and {GROUPS}; got {sequence}, {group}")
        if sequence * GROUPS + group <= self._last:
            raise ValueError(f"sequence: packet {group} of superframe {sequence} or a later one is sealed already; a "
                             "transmission that begins again needs another Sealer")
        if room is not None and len(bits) > room:
            raise ValueError(f"bits: {len(bits)} exceed the room of {room}")
        self._last = sequence * GROUPS + group
        number = (self._start + sequence) % NUMBERS
        piece = number >> 8 + 8 * _piece_at(sequence, group) & 255
        data = np.packbits(np.asarray(bits, np.uint8)).tobytes().ljust((room or 0) // 8, b"\0")
        sealed = self._ccm.seal(number, group, piece, data) + bytes([piece])
        return np.unpackbits(np.frombuffer(sealed, np.uint8))


class Replays:
    """Which packets came before: a window behind the newest packet of each transmission of late.

    A transmission is known by its numbers, which start at random and so lie far from all others. What lies before its
    first packet here counts as come: it was sent before the receiver joined.
    """

    def __init__(self) -> None:
        self._windows: list[list[int]] = []  # of [newest number, mask: bit d is the packet d before it]

    def take(self, number: int, group: int) -> bool:
        """Whether the packet is new; from now on it is not."""
        place = number * GROUPS + group
        for window in reversed(self._windows):
            ahead = _apart(place, window[0])
            if abs(ahead) < LONGEST * GROUPS:
                return self._within(window, place, ahead)
        self._windows = [*self._windows[1 - REMEMBERED :], [place, _ALL]]
        return True

    @staticmethod
    def _within(window: list[int], place: int, ahead: int) -> bool:
        if ahead > 0:
            mask = window[1] << ahead if ahead < WINDOW else 0
            window[:] = [place, (mask | 1) & _ALL]
            return True
        if -ahead >= WINDOW or window[1] >> -ahead & 1:
            return False
        window[1] |= 1 << -ahead
        return True


def _apart(place: int, other: int) -> int:
    """place - other around the circle of all numbers."""
    half = NUMBERS * GROUPS // 2
    return (place - other + half) % (2 * half) - half


class Opener:
    """The other end of any number of Sealers with the same key, one after the other.

    A burst tells the lowest 8 bits of its number. The other 64 are known from the packets before, or read from one
    packet for each of their bytes; what they are taken to be is right if the tag says so.

    Args:
        key, tag_bytes, encrypt, identity: as of the Sealer. key None: takes everything unchecked, if not encrypted.

    Attributes:
        refused: packets by the `kind` of their refusal.
    """

    def __init__(self, key: bytes | None, tag_bytes: int = 4, encrypt: bool = False, identity: str = ""):
        if key is None and encrypt:
            raise ValueError("key: none is for payloads that are not encrypted")
        self._ccm = None if key is None else _Ccm(key, tag_bytes, encrypt, identity)
        self._tag = tag_bytes
        self.refused: Counter[str] = Counter()
        self._origin: int | None = None  # upper half of the number of superframe 0, as the receiver counts
        self._last = 0  # the number accepted last
        self._pieces: dict[int, tuple[int, int]] = {}  # place in the upper half -> wraps of the sequence then, byte
        self._replays = Replays()

    @property
    def joined(self) -> bool:
        """A transmission was followed at some time."""
        return self._origin is not None

    def open(self, sequence: int, group: int, bits: np.ndarray) -> np.ndarray:
        """uint8 bits [n] of a sealed payload, with less than a byte of padding -> those of its data.

        sequence: of the superframe; its lowest 8 bits are as sent, the rest is a count of the receiver's own.
        Raises Refused.
        """
        try:
            number, data = self._unsealed(sequence, group, bits)
            if number is not None:
                if not self._replays.take(number, group):
                    raise Refused("replayed", f"packet {group} of superframe {sequence} came before: it is a replay")
                self._follow(number, sequence)
        except Refused as error:
            self.refused[error.kind] += 1
            raise
        return np.unpackbits(np.frombuffer(data, np.uint8))

    def join(self, packets: Iterable[tuple[int, int, np.ndarray]]) -> None:
        """Look into packets (sequence, group, bits) at hand, a file's, so that even the first of them will open."""
        for sequence, group, bits in packets:
            try:
                number, _ = self._unsealed(sequence, group, bits)
            except Refused:
                continue
            if number is not None:
                self._follow(number, sequence)
            return

    def _unsealed(self, sequence: int, group: int, bits: np.ndarray) -> tuple[int | None, bytes]:
        """The number, None without a key, and the data. Raises Refused."""
        sealed = np.packbits(bits[: len(bits) // 8 * 8]).tobytes()
        if len(sealed) <= self._tag or not 0 <= group < GROUPS:
            raise Refused("unverified", f"{len(sealed)} bytes, packet {group}: this is no sealed payload")
        body, piece = sealed[:-1], sealed[-1]
        if self._ccm is None:
            return None, body[: -self._tag]
        place = _piece_at(sequence, group)
        before = self._pieces.get(place)
        self._pieces[place] = (sequence >> 8, piece)
        for upper in dict.fromkeys(self._uppers(sequence)):
            number = upper << 8 | sequence & 255
            data = self._ccm.open(number, group, piece, body)
            if data is not None:
                # A replay must not spoil what was read of another transmission.
                self._pieces = {p: x for p, x in (self._pieces | {place: before}).items() if x}
                return number, data
        if not self.joined and len(self._pieces) < PIECES:
            raise Refused("joining", "not joined yet: the transmission's number is still being read")
        raise Refused("unverified", "not sealed with this key for this place, or changed on the way")

    def _follow(self, number: int, sequence: int) -> None:
        self._last, self._origin = number, ((number >> 8) - (sequence >> 8)) % UPPER
        self._pieces.clear()

    def _uppers(self, sequence: int) -> Iterator[int]:
        """What the upper half of the number may be: by the count, by the last number, as it is told."""
        if self._origin is not None:
            yield (self._origin + (sequence >> 8)) % UPPER
            yield (self._last + (sequence - self._last + 128) % 256 - 128) % NUMBERS >> 8
        if len(self._pieces) == PIECES:
            yield (self._told() + (sequence >> 8)) % UPPER

    def _told(self) -> int:
        """The upper half of superframe 0's number. Pieces may be from before and behind a wrap of the sequence."""
        origin = 0
        for place in range(PIECES):
            wraps, byte = self._pieces[place]
            origin |= (byte - (origin + wraps >> 8 * place) & 255) << 8 * place
        return origin
