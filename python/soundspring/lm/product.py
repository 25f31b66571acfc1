# SPDX-License-Identifier: GPL-3.0-or-later
"""Matrix products in float64 whose order of additions is written down, so that no BLAS decides the last bits.

For the few rows of a superframe such products wait for the weights to arrive from memory, so these are 16-bit integers
there, times a power of two for each column: a quarter of float64. The compiler may do several columns at once, which
are independent, but neither reorders the additions of one column nor fuses them with the multiplications.
"""

from dataclasses import dataclass

import numba
import numpy as np

COLUMNS = 64  # of a block: its sums stay in the fastest cache
DEPTH = 8  # the inner size is filled up with zeros to a multiple of it


@dataclass(frozen=True)
class Linear:
    """x -> x @ w + bias. weights int16 [M / COLUMNS, K, COLUMNS], filled up with zeros; scale, bias float64 [M]."""

    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray

    @property
    def dense(self) -> np.ndarray:
        """The weights as they are used: float64 [K, M], with what it was filled up to."""
        whole = self.weights.transpose(1, 0, 2).reshape(self.weights.shape[1], -1)
        return whole[:, : len(self.scale)] * self.scale


def linear(w: np.ndarray, bias: np.ndarray | None = None) -> Linear:
    """w [K, M], bias [M] (None: zeros) -> the same, rounded to 16 bits of the largest weight of each column or better.

    The scales are powers of two, so rounding is the only operation that is not exact.
    """
    w = np.asarray(w, np.float64)
    inner, columns = w.shape
    scale = np.ldexp(1.0, np.frexp(np.abs(w).max(axis=0))[1] - 15)
    whole = np.zeros((-(-inner // DEPTH) * DEPTH, -(-columns // COLUMNS) * COLUMNS), np.int16)
    whole[:inner, :columns] = np.minimum(np.rint(w / scale), 32767)
    blocks = whole.reshape(len(whole), -1, COLUMNS).transpose(1, 0, 2)
    bias = np.zeros(columns) if bias is None else np.array(bias, np.float64)
    return Linear(np.ascontiguousarray(blocks), scale, bias)


def product(x: np.ndarray, layer: Linear) -> np.ndarray:
    """x float64 [n, K] through `layer` -> float64 [n, M]; a row does not depend on its neighbours."""
    inner = layer.weights.shape[1]
    if x.shape[1] < inner:
        x = np.pad(x, ((0, 0), (0, inner - x.shape[1])))
    return _product(np.ascontiguousarray(x), layer.weights, layer.scale, layer.bias)


@numba.njit(cache=True, nogil=True)
def _product(x, weights, scale, bias):
    """Every sum from k = 0 upwards, then scale, then bias.

    A slice of the weights is made float64 once for all rows; the deeper it is, the fewer rounds through the sums.
    """
    rows, blocks, inner = x.shape[0], weights.shape[0], weights.shape[1]
    sums, w = np.zeros((rows, blocks * COLUMNS)), np.empty((DEPTH, COLUMNS))
    w0, w1, w2, w3, w4, w5, w6, w7 = w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]
    for block in range(blocks):
        start = block * COLUMNS
        for k in range(0, inner, DEPTH):
            for m in range(DEPTH):
                for j in range(COLUMNS):
                    w[m, j] = weights[block, k + m, j]
            for i in range(rows):
                x0, x1, x2, x3 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
                x4, x5, x6, x7 = x[i, k + 4], x[i, k + 5], x[i, k + 6], x[i, k + 7]
                out = sums[i, start : start + COLUMNS]
                for j in range(COLUMNS):
                    s = (((out[j] + x0 * w0[j]) + x1 * w1[j]) + x2 * w2[j]) + x3 * w3[j]
                    out[j] = (((s + x4 * w4[j]) + x5 * w5[j]) + x6 * w6[j]) + x7 * w7[j]
    out = np.empty((rows, scale.size))
    for i in range(rows):
        for j in range(scale.size):
            out[i, j] = sums[i, j] * scale[j] + bias[j]
    return out
