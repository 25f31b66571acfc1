# SPDX-License-Identifier: GPL-3.0-or-later
"""Scrambling with the length-31 Gold sequence of TS 38.211 clause 5.2.1."""

from functools import lru_cache

import numpy as np

_DISCARD = 1600  # N_C: steps before the first output bit


@lru_cache(maxsize=64)
def gold_sequence(c_init: int, n: int) -> np.ndarray:
    """First n bits c(0..n-1) of the sequence with initial state `c_init`, 31 bits; uint8, read-only.

    Raises ValueError where c_init does not fit into 31 bits or n is negative.
    """
    if not 0 <= c_init < 1 << 31:
        raise ValueError(f"c_init: expected 0..2^31-1, got {c_init}")
    if n < 0:
        raise ValueError(f"n: expected at least 0, got {n}")
    x1, x2 = 1, c_init
    out = np.empty(n, np.uint8)
    for i in range(_DISCARD + n):
        if i >= _DISCARD:
            out[i - _DISCARD] = (x1 ^ x2) & 1
        x1 = x1 >> 1 | ((x1 ^ x1 >> 3) & 1) << 30
        x2 = x2 >> 1 | ((x2 ^ x2 >> 1 ^ x2 >> 2 ^ x2 >> 3) & 1) << 30
    out.flags.writeable = False
    return out


def whitening(n: int) -> np.ndarray:
    """The pattern [n] added to every payload block, so that padding zeros do not make the all-zero codeword."""
    return gold_sequence(0x5053, n)
