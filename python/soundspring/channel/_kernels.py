# SPDX-License-Identifier: GPL-3.0-or-later
"""The inner loops, compiled: every output sample is computed in a fixed order, so chunks cannot change a bit.

Whole-array products of numpy do not promise that: they round differently with the length and place of an array.
"""

from __future__ import annotations

import math

import numba
import numpy as np


@numba.njit(cache=True)
def rotate(x, phase):
    """Return x exp(j phase), complex64 [n], for x complex64 [n] and phase float64 [n] in radians."""
    y = np.empty_like(x)
    for n in range(x.size):
        y[n] = x[n] * np.complex64(complex(math.cos(phase[n]), math.sin(phase[n])))
    return y


@numba.njit(cache=True)
def varying_filter(x, anchors, spacing, offset):
    """Filter with taps that move linearly from one anchor to the next.

    x complex64 [n + K - 1] begins with the K - 1 samples before the chunk; anchors complex64 [A, K] are the taps at
    every `spacing`-th sample, the first of them `offset` samples before the chunk. Returns complex64 [n].
    """
    taps = anchors.shape[1]
    y = np.empty(x.size - taps + 1, np.complex64)
    for n in range(y.size):
        row, phase = divmod(n + offset, spacing)
        w = np.float32(phase / spacing)
        total = np.complex64(0)
        for k in range(taps):
            gain = anchors[row, k] + w * (anchors[row + 1, k] - anchors[row, k])
            total += gain * x[n + taps - 1 - k]
        y[n] = total
    return y


@numba.njit(cache=True)
def resample(x, table, first, step, origin, count):
    """Interpolate `count` samples at the input positions (first + m) * step.

    x complex64 [n] starts at the input position `origin`; table float32 [phases + 1, taps] holds the kernel sampled
    at equal fractions of a sample, between which it is interpolated linearly. Returns complex64 [count].
    """
    phases, taps = table.shape[0] - 1, table.shape[1]
    y = np.empty(count, np.complex64)
    for m in range(count):
        position = (first + m) * step
        whole = np.floor(position)
        fraction = (position - whole) * phases
        row = min(int(fraction), phases - 1)
        w = np.float32(fraction - row)
        start = int(whole) - origin - taps // 2 + 1
        total = np.complex64(0)
        for k in range(taps):
            total += (table[row, k] + w * (table[row + 1, k] - table[row, k])) * x[start + k]
        y[m] = total
    return y
