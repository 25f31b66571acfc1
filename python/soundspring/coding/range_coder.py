# SPDX-License-Identifier: GPL-3.0-or-later
"""Range coder with bit granularity for short packets.

A message is a subinterval of [0, 1) found by successive division (Martin, "Range encoding", 1979); its code is the
shortest binary fraction inside. The lower end is one Python integer of arbitrary size, so carries need no special care;
packets have a few hundred bits, so that stays cheap. Bits behind the end count as zeros: padding a code with zeros, or
cutting trailing zeros off, changes nothing.
"""
from __future__ import annotations

import numpy as np

WORD = 64  # the width is kept in [2^63, 2^64]; with totals up to 2^31 a symbol loses less than 2^-31 bit
MAX_TOTAL = 1 << 31


def _shortest(low: int, width: int, bits: int) -> tuple[int, int]:
    """(value, length) of the shortest fraction value / 2^length in [low, low + width) / 2^bits; never ends in a 0."""
    if low == 0:
        return 0, 0
    # A multiple of 2^k lies in (low - 1, low + width - 1] exactly when the two ends differ after k shifts.
    k = ((low - 1) ^ (low + width - 1)).bit_length() - 1
    return (low + width - 1) >> k, bits - k


class Encoder:
    """Appends symbols; the code is at most 1 bit (and rounding) longer than the sum of log2(total / freq)."""

    def __init__(self) -> None:
        self._low, self._width, self._bits = 0, 1 << WORD, WORD  # interval [low, low + width) / 2^bits

    def encode(self, cum_low: int, freq: int, total: int) -> None:
        """Append the symbol [cum_low, cum_low + freq) of `total`. Raises ValueError when that is no interval."""
        cum_low, freq, total = int(cum_low), int(freq), int(total)
        if not (0 <= cum_low and 1 <= freq and cum_low + freq <= total <= MAX_TOTAL):
            raise ValueError(f"cum_low, freq, total: need 0 <= cum_low, 1 <= freq, cum_low + freq <= total <= 2^31; "
                             f"got {cum_low}, {freq}, {total}")
        unit = self._width // total
        low = unit * cum_low
        # The last symbol takes what the division left over, so that no value is without a symbol.
        width = self._width - low if cum_low + freq == total else unit * freq
        shift = max(WORD - width.bit_length(), 0)
        self._low = (self._low + low) << shift
        self._width = width << shift
        self._bits += shift

    def bits_if_finished(self) -> int:
        """Number of bits `finish` would return now."""
        return _shortest(self._low, self._width, self._bits)[1]

    def finish(self) -> np.ndarray:
        """The code so far, uint8 bits [n]. The encoder may go on afterwards."""
        value, length = _shortest(self._low, self._width, self._bits)
        return np.array([value >> i & 1 for i in reversed(range(length))], dtype=np.uint8)

    def snapshot(self) -> tuple[int, int, int]:
        """The state, to be given to `restore`."""
        return self._low, self._width, self._bits

    def restore(self, state: tuple[int, int, int]) -> None:
        """Forget everything encoded since `snapshot` returned `state`."""
        self._low, self._width, self._bits = state


class Decoder:
    """Reads what an Encoder wrote, uint8 bits [n]. Any bits decode to something; it never raises on bad ones."""

    def __init__(self, bits: np.ndarray):
        bits = np.asarray(bits, dtype=np.uint8)
        self._length = bits.size
        self._code = int.from_bytes(np.packbits(bits).tobytes(), "big") >> (-bits.size % 8)
        self._width, self._bits = 1 << WORD, WORD
        self._offset = self._window(WORD)  # the code's distance from the lower end, always in [0, width)

    def _window(self, end: int) -> int:
        """The first `end` bits as an integer; zeros stand behind the end of the code."""
        spare = self._length - end
        return self._code >> spare if spare >= 0 else self._code << -spare

    def decode(self, cumulative: np.ndarray) -> int:
        """Next symbol, given the encoder's frequencies summed up: int64 [N + 1] = 0, f0, f0 + f1, ..., total."""
        total = int(cumulative[-1])
        unit = self._width // total
        symbol = int(np.searchsorted(cumulative, min(self._offset // unit, total - 1), side="right")) - 1
        cum_low, cum_high = int(cumulative[symbol]), int(cumulative[symbol + 1])
        low = unit * cum_low
        width = self._width - low if cum_high == total else unit * (cum_high - cum_low)
        shift = max(WORD - width.bit_length(), 0)
        self._bits += shift
        self._offset = (self._offset - low) << shift | self._window(self._bits) & ((1 << shift) - 1)
        self._width = width << shift
        return symbol

    def ends_clean(self) -> bool:
        """True when an Encoder of the symbols decoded so far would have ended with exactly these bits (and zeros).

        A test for wrong decodes that costs no bits; it finds rather more than half of them alone.
        """
        if self._length > self._bits and self._code & ((1 << (self._length - self._bits)) - 1):
            return False
        code = self._window(self._bits)
        value, length = _shortest(code - self._offset, self._width, self._bits)
        return value << (self._bits - length) == code
