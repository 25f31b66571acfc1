# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner products with the entries of a codebook, quickly and nearly, for a search."""

import numba
import numpy as np

COLUMNS = 64  # entries of a block: their sums stay in the fastest cache
DEPTH = 8  # coordinates at a time


class Correlator:
    """codebooks: float [layers, entries, dim].

    Products of few rows wait for the entries to arrive from memory, so these are 8-bit integers there, with a scale
    each: a quarter of float32.
    """

    def __init__(self, codebooks: np.ndarray):
        books = np.asarray(codebooks, np.float32)
        layers, self.entries, dim = books.shape
        scale = np.maximum(np.abs(books).max(-1), 1e-30) / 127
        whole = np.zeros((layers, -(-dim // DEPTH) * DEPTH, -(-self.entries // COLUMNS) * COLUMNS), np.int8)
        whole[:, :dim, : self.entries] = np.rint(books / scale[..., None]).transpose(0, 2, 1)
        blocks = whole.reshape(layers, whole.shape[1], -1, COLUMNS).transpose(0, 2, 1, 3)
        self.blocks, self.scale = np.ascontiguousarray(blocks), scale

    def __call__(self, rows: np.ndarray, layer: int) -> np.ndarray:
        """rows float32 [r, dim] -> inner products with the entries of `layer`, float32 [r, entries], to 2-3 digits."""
        inner = self.blocks.shape[2]
        if rows.shape[1] < inner:
            rows = np.pad(rows, ((0, 0), (0, inner - rows.shape[1])))
        return _products(np.ascontiguousarray(rows, np.float32), self.blocks[layer], self.scale[layer])


@numba.njit(cache=True, nogil=True, fastmath=True)
def _products(x, blocks, scale):
    """A slice of the entries is made float32 once for all rows."""
    out, w = np.zeros((x.shape[0], blocks.shape[0] * COLUMNS), np.float32), np.empty((DEPTH, COLUMNS), np.float32)
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    for block in range(blocks.shape[0]):
        start = block * COLUMNS
        for k in range(0, blocks.shape[1], DEPTH):
            for m in range(DEPTH):
                for j in range(COLUMNS):
                    w[m, j] = blocks[block, k + m, j]
            for i in range(x.shape[0]):
                x0, x1, x2, x3 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
                x4, x5, x6, x7 = x[i, k + 4], x[i, k + 5], x[i, k + 6], x[i, k + 7]
                sums = out[i, start : start + COLUMNS]
                for j in range(COLUMNS):
                    first = x0 * w0[j] + x1 * w1[j] + x2 * w2[j] + x3 * w3[j]
                    sums[j] += first + x4 * w4[j] + x5 * w5[j] + x6 * w6[j] + x7 * w7[j]
    return out[:, : scale.size] * scale
