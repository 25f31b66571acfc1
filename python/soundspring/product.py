# SPDX-License-Identifier: GPL-3.0-or-later
"""Matrix products of integers: quick where rows are few, and the same to the last bit on every machine.

Products of the few rows of a superframe wait for the weights to arrive from memory, so these have 8 bits (which costs
the coder nothing that could be measured); rows have 14. Sums of integers do not depend on their order, so neither a
compiler nor the width of a processor's registers can change a result, and what processors have for sums of 16-bit
products (pmaddwd, smlal) may be used.
"""

from dataclasses import dataclass

import numba
import numpy as np

LARGEST = 2**13 - 1  # of a row once it is whole numbers
TINY = 1e-300  # a row with nothing beyond it is zero
DEEPEST = 2**31 // (LARGEST + 1) // 127  # of K: no sum leaves 32 bits


@dataclass(frozen=True)
class Linear:
    """x -> x @ w + bias. weights int8 [M, K], an output a row; scale, bias float64 [M]."""

    weights: np.ndarray
    scale: np.ndarray
    bias: np.ndarray

    @property
    def dense(self) -> np.ndarray:
        """The weights as they are used, float64 [K, M]."""
        return self.weights.T * self.scale


def linear(w: np.ndarray, bias: np.ndarray | None = None) -> Linear:
    """w [K, M], bias [M] (None: zeros) -> the same, in whole numbers of which the largest of each output is 127.

    Raises ValueError for K beyond DEEPEST.
    """
    w = np.asarray(w, np.float64)
    if len(w) > DEEPEST:
        raise ValueError(f"w: must have {DEEPEST} rows at most, or sums leave 32 bits; got {len(w)}")
    scale = np.maximum(np.abs(w).max(axis=0), TINY) / 127
    bias = np.zeros(w.shape[1]) if bias is None else np.array(bias, np.float64)
    return Linear(np.ascontiguousarray(np.rint(w / scale).T, np.int8), scale, bias)


def product(x: np.ndarray, layer: Linear) -> np.ndarray:
    """x [n, K] through `layer` -> float64 [n, M]; a row does not depend on its neighbours.

    Each row is rounded to whole numbers of which its largest is 8191. One with NaN or infinity becomes NaN.
    """
    return _product(np.ascontiguousarray(x, np.float64), layer.weights, layer.scale, layer.bias)


@numba.njit(cache=True, nogil=True)
def _product(x, weights, scale, bias):
    rows, unit = _whole(x)
    out = np.empty((len(x), len(weights)))
    for j in range(len(weights)):
        w = weights[j]
        for i in range(len(x)):
            row, total = rows[i], np.int32(0)
            # 32 bits all the way: the compiler then knows the instructions for it.
            for k in range(w.size):
                total = np.int32(total + np.int32(np.int32(row[k]) * np.int32(w[k])))
            out[i, j] = total * (unit[i] * scale[j]) + bias[j]
    return out


@numba.njit(cache=True, nogil=True)
def _whole(x):
    """float64 [n, K] -> int16 [n, K] and what 1 of them means in each row, [n]."""
    whole, unit = np.zeros(x.shape, np.int16), np.zeros(len(x))
    for i in range(len(x)):
        largest = 0.0
        for v in x[i]:
            largest = max(largest, abs(v)) if v == v else np.nan
        if TINY < largest < np.inf:
            unit[i] = largest / LARGEST
            for k in range(x.shape[1]):
                whole[i, k] = np.int16(np.rint(x[i, k] * (LARGEST / largest)))
        elif not largest <= TINY:
            unit[i] = np.nan
    return whole, unit
