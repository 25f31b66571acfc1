# SPDX-License-Identifier: GPL-3.0-or-later
"""Short CRCs over bits, for the burst header and the token check."""
from __future__ import annotations

import numpy as np

# Generator polynomials less the leading term: 3GPP TS 38.212 clause 5.1 (6, 11, 16), TS 25.212 clause 4.2.1.1 (8).
POLYNOMIALS = {6: 0x21, 8: 0x9B, 11: 0x621, 16: 0x1021}


def to_bits(value: int, width: int) -> np.ndarray:
    """Unsigned integer to uint8 bits [width], most significant first."""
    return np.array([value >> i & 1 for i in reversed(range(width))], dtype=np.uint8)


def to_int(bits: np.ndarray) -> int:
    """uint8 bits [n], most significant first, to an unsigned integer."""
    value = 0
    for bit in np.asarray(bits, np.uint8).tobytes():
        value = value << 1 | bit
    return value


def crc(bits: np.ndarray, width: int) -> int:
    """CRC of uint8 bits [n], first bit first, register starting as all ones, not inverted. width: 6, 8, 11 or 16."""
    if width not in POLYNOMIALS:
        raise ValueError(f"width: must be one of {sorted(POLYNOMIALS)}; got {width}")
    polynomial, top, mask = POLYNOMIALS[width], width - 1, (1 << width) - 1
    register = mask
    for bit in np.asarray(bits, np.uint8).tobytes():
        feedback = register >> top ^ bit
        register = register << 1 & mask
        if feedback:
            register ^= polynomial
    return register
