# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the decoder keeps the bits of a codeword, so that its inner loops walk contiguous memory only.

Row r of the base graph stands for Z parity checks, one a lane; lane z contains bit (z + shift) mod Z of each of its
columns. A column is kept turned, so that the lanes of the row that wrote it last are in order, and it is followed by a
copy of itself: then any other row reads its own lanes from one place without wrapping around. How far a column is
turned when a row comes to it is the same in every iteration, so all places are worked out here, once.
"""

from typing import NamedTuple

import numpy as np

_LANES = 32  # a multiple of every vector length: loops have no odd rest


class Layout(NamedTuple):
    """Offsets, int64, into the flat array of bits; `lanes` of them from each. What a code does not use has none."""

    lanes: int  # P: Z rounded up, the bits of a column go on cyclically
    size: int  # Z
    length: int  # of the whole array
    received: np.ndarray  # [e], the bits in the order in which they are sent
    information: np.ndarray  # [k]
    filler: np.ndarray
    starts: np.ndarray  # [R + 1], the elements of row r are starts[r] .. starts[r+1]-1
    read: np.ndarray  # [elements], where the row finds its lanes
    write: np.ndarray  # [elements], where it puts them, followed by the copy `size` further on
    check: np.ndarray  # [elements], where its lanes are after an iteration
    extension: np.ndarray  # [R], the bits that only this row checks, or -1

    @classmethod
    def build(
        cls, starts: np.ndarray, columns: np.ndarray, shifts: np.ndarray, extension: np.ndarray, n_columns: int,
        size: int, k: int, filler_end: int, index: np.ndarray,
    ) -> "Layout":  # fmt: skip
        """Lay out a code.

        Args:
            starts, columns, shifts, extension: rows of the base graph as `min_sum.encode` takes them.
            n_columns: columns in use.
            size: Z.
            k, filler_end: bits k .. filler_end-1 of the codeword are fillers.
            index: int64 [e], position in the codeword of each bit that is sent.
        """
        # A row that holds both punctured columns says nothing in the first iteration; it comes after the others.
        degree = np.diff(starts)
        row = np.repeat(np.arange(degree.size), degree)
        punctured = np.bincount(row, columns < 2, degree.size)
        order = np.argsort(punctured, kind="stable")
        order = order[degree[order] > 0]  # a row whose columns all hold fillers knows nothing
        elements = np.argsort(punctured[row], kind="stable")
        columns, shifts, extension = columns[elements], shifts[elements], extension[order]
        lanes = -(-size // _LANES) * _LANES
        turned = np.zeros(n_columns, np.int64)
        turned[columns] = shifts  # the last row in which a column occurs counts

        def place(positions: np.ndarray) -> np.ndarray:
            column, bit = np.divmod(positions, size)
            return 2 * lanes * column + (bit - turned[column]) % size

        check = 2 * lanes * columns + (shifts - turned[columns]) % size
        read = np.empty_like(check)
        now = turned.copy()
        for i, (column, shift) in enumerate(zip(columns, shifts, strict=True)):
            read[i] = 2 * lanes * column + (shift - now[column]) % size
            now[column] = shift
        return cls(
            lanes=lanes, size=size, length=2 * lanes * n_columns, received=place(index),
            information=place(np.arange(k)), filler=place(np.arange(k, filler_end)),
            starts=np.concatenate([[0], np.cumsum(degree[order])]), read=read, write=2 * lanes * columns,
            check=check, extension=np.where(extension < 0, -1, 2 * lanes * extension),
        )  # fmt: skip
