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
    """Every sum from k = 0 upwards, then scale, then bias."""
    rows, blocks = x.shape[0], weights.shape[0]
    sums = np.zeros((rows, blocks * COLUMNS))
    for block in range(blocks):
        start = block * COLUMNS
        for i in range(0, rows - 4, 5):
            _five_rows(x, weights[block], sums, i, start)
        for i in range(rows - rows % 5, rows):
            _one_row(x[i], weights[block], sums[i, start : start + COLUMNS])
    out = np.empty((rows, scale.size))
    for i in range(rows):
        for j in range(scale.size):
            out[i, j] = sums[i, j] * scale[j] + bias[j]
    return out


@numba.njit(cache=True, nogil=True)
def _five_rows(x, w, out, i, start):
    """Rows i..i+4 of out [n, M], columns from `start` on, += those of x [n, K] @ w [K, COLUMNS].

    Four of K a round: fewer rounds through `out`.
    """
    stop = start + COLUMNS
    a, b, c = out[i, start:stop], out[i + 1, start:stop], out[i + 2, start:stop]
    d, e = out[i + 3, start:stop], out[i + 4, start:stop]
    for k in range(0, w.shape[0], 4):
        w0, w1, w2, w3 = w[k], w[k + 1], w[k + 2], w[k + 3]
        a0, a1, a2, a3 = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3]
        b0, b1, b2, b3 = x[i + 1, k], x[i + 1, k + 1], x[i + 1, k + 2], x[i + 1, k + 3]
        c0, c1, c2, c3 = x[i + 2, k], x[i + 2, k + 1], x[i + 2, k + 2], x[i + 2, k + 3]
        d0, d1, d2, d3 = x[i + 3, k], x[i + 3, k + 1], x[i + 3, k + 2], x[i + 3, k + 3]
        e0, e1, e2, e3 = x[i + 4, k], x[i + 4, k + 1], x[i + 4, k + 2], x[i + 4, k + 3]
        for j in range(COLUMNS):
            v0, v1, v2, v3 = w0[j], w1[j], w2[j], w3[j]
            a[j] = (((a[j] + a0 * v0) + a1 * v1) + a2 * v2) + a3 * v3
            b[j] = (((b[j] + b0 * v0) + b1 * v1) + b2 * v2) + b3 * v3
            c[j] = (((c[j] + c0 * v0) + c1 * v1) + c2 * v2) + c3 * v3
            d[j] = (((d[j] + d0 * v0) + d1 * v1) + d2 * v2) + d3 * v3
            e[j] = (((e[j] + e0 * v0) + e1 * v1) + e2 * v2) + e3 * v3


@numba.njit(cache=True, nogil=True)
def _one_row(x, w, out):
    """out [COLUMNS] += x [K] @ w [K, COLUMNS], in the same order."""
    for k in range(0, w.shape[0], 8):
        w0, w1, w2, w3, w4, w5, w6, w7 = w[k], w[k + 1], w[k + 2], w[k + 3], w[k + 4], w[k + 5], w[k + 6], w[k + 7]
        x0, x1, x2, x3, x4, x5, x6, x7 = x[k], x[k + 1], x[k + 2], x[k + 3], x[k + 4], x[k + 5], x[k + 6], x[k + 7]
        for j in range(COLUMNS):
            s = (((out[j] + x0 * w0[j]) + x1 * w1[j]) + x2 * w2[j]) + x3 * w3[j]
            out[j] = (((s + x4 * w4[j]) + x5 * w5[j]) + x6 * w6[j]) + x7 * w7[j]
