# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled encoder of the LDPC code: back-substitution through the rows of the base graph.

Element i of a row says: lane z of the row's Z parity checks contains bit (z + shifts[i]) mod Z of column columns[i].
"""

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def encode(codeword, starts, columns, shifts, extension, first_parity, core_shift):
    """Fill the parity columns of codewords whose information columns are set and whose others are 0.

    Args:
        codeword: uint8 [B, C, Z], changed in place.
        starts: int64 [R + 1], the elements of row r are starts[r] .. starts[r+1]-1.
        columns, shifts: int64 [elements], the first four rows are the core, extension columns are left out.
        extension: int64 [R], the column that only this row contains (its shift is 0), or -1 in the core.
        first_parity: column of the first parity bits, which three of the core rows share.
        core_shift: shift that remains of that column when the four core rows are added.
    """
    batch, _, size = codeword.shape
    core = np.empty(size, np.uint8)
    for b in range(batch):
        word = codeword[b]
        core[:] = 0
        for i in range(starts[4]):
            _add_rotated(core, word[columns[i]], shifts[i])
        _add_rotated(word[first_parity], core, size - core_shift)  # the inverse rotation
        for row in range(starts.size - 1):
            # A core row r < 3 adds the next of the parity columns; they form a staircase, so the fourth adds none.
            new = first_parity + 1 + row if row < 3 else extension[row]
            if new >= 0:
                for i in range(starts[row], starts[row + 1]):
                    if columns[i] != new:
                        _add_rotated(word[new], word[columns[i]], shifts[i])


@numba.njit(cache=True, nogil=True)
def _add_rotated(target, source, shift):
    """target[z] ^= source[(z + shift) mod Z]; a shift of Z counts as 0."""
    size = target.size
    split = size - shift
    for z in range(split):
        target[z] ^= source[shift + z]
    for z in range(shift):
        target[split + z] ^= source[z]
