# SPDX-License-Identifier: GPL-3.0-or-later
"""Integer PMFs: the same frequencies on any machine, from logits that may differ in their last bits.

A float is rounded to a coarse grid once; everything behind that is integer arithmetic. Two machines therefore agree
unless a logit lies on a rounding boundary, which `near_boundary` lets the encoder notice beforehand.
"""
from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

STEP = 0.25  # grid of the logits in nats; costs step^2 / 24 nats = 0.0038 bit a token
GUARD = 1e-8  # far beyond float64 noise (1e-13), far below the grid: few groups trip it
PEAK_BITS = 20  # frequency of the likeliest entry is 2^20, so 1024 entries stay below a total of 2^31
STATIC_BITS = 20


@lru_cache(maxsize=8)
def _exp_table(step: float) -> np.ndarray:
    """max(1, round(2^20 exp(-i step))) for i = 0, 1, ... up to the first entry whose true value is below one half.

    The power series and the products run in 128-bit fixed point on Python integers, so no platform's exp() takes part.
    """
    num, den = step.as_integer_ratio()
    if not 0 < step <= 1 or num != 1:
        raise ValueError(f"step: must be 1, 1/2, 1/4, ... so that logits / step is exact; got {step}")
    one = 1 << 128
    decay, term, i = one, one, 0
    while term:  # exp(-1/den) = sum of (-1)^i / (den^i i!)
        i += 1
        term //= den * i
        decay += -term if i % 2 else term
    table, value = [], one
    while value >= one >> (PEAK_BITS + 1):
        table.append(max(1, (value + (1 << (127 - PEAK_BITS))) >> (128 - PEAK_BITS)))
        value = value * decay >> 128
    return np.array(table + [1], dtype=np.int64)


def quantise_logits(logits: np.ndarray, step: float = STEP) -> np.ndarray:
    """Logits in nats [..., N] to int32 grid steps below the largest [..., N]: 0 for the largest, else negative,
    clipped.

    Each logit is rounded by itself and the integers are subtracted: the difference to a float maximum would not be
    stable. -inf is allowed (an impossible entry gets the floor). Raises ValueError on NaN, +inf, or nothing finite.
    """
    lowest = 1 - len(_exp_table(step))
    grid = np.floor(np.asarray(logits, np.float64) / step + 0.5)
    top = grid.max(axis=-1, keepdims=True)
    if not np.isfinite(top).all():  # max() passes NaN on
        raise ValueError("logits: must be finite (or -inf beside a finite entry); got NaN or inf")
    return np.maximum(grid - top, lowest).astype(np.int32)


def frequencies(q: np.ndarray, step: float = STEP) -> np.ndarray:
    """Output of `quantise_logits` [..., N], <= 0, to integer frequencies >= 1, int64 [..., N]."""
    return _exp_table(step)[np.negative(q)]


def near_boundary(logits: np.ndarray, guard: float = GUARD, step: float = STEP) -> bool:
    """True when a difference of up to `guard` nats in some logit [..., N] could change `frequencies`.

    Logits so far below the largest that they have the floor frequency either way do not count. NaN and inf do.
    """
    scaled = np.asarray(logits, np.float64) / step + 0.5
    top = scaled.max(axis=-1, keepdims=True)
    if not np.isfinite(top).all():
        return True
    matters = scaled > top - (len(_exp_table(step)) + 2)
    distance = np.abs(scaled - np.rint(scaled), out=np.ones_like(scaled), where=matters)
    return bool((distance <= guard / step).any())


def cumulative(logits: np.ndarray, guard: float = GUARD) -> tuple[np.ndarray, bool]:
    """Logits [n, N] to what a range coder needs: int64 [n, N + 1] = 0, f0, f0 + f1, ..., total; and `near_boundary`.

    The frequencies are those of `frequencies(quantise_logits(logits))`, made in one go. Raises ValueError likewise.
    """
    logits = np.ascontiguousarray(logits, np.float64)
    out = np.zeros((logits.shape[0], logits.shape[1] + 1), np.int64)
    near = _cumulate(logits, STEP, guard / STEP, _exp_table(STEP), out)
    if not out[:, -1].all():
        raise ValueError("logits: must be finite (or -inf beside a finite entry); got NaN or inf")
    return out, near


@numba.njit(cache=True, nogil=True)
def _cumulate(logits, step, guard, table, out):
    """Fill `out` row by row, but for rows that hold NaN or whose largest logit is not finite; see `cumulative`."""
    near, last = False, len(table) - 1
    grid = np.empty(logits.shape[1])
    for i in range(logits.shape[0]):
        top, odd = -np.inf, False
        for j in range(grid.size):
            grid[j] = logits[i, j] / step + 0.5
            odd |= np.isnan(grid[j])
            top = max(top, grid[j])
        if odd or not np.isfinite(top):
            continue
        highest, total = np.floor(top), 0
        for j in range(grid.size):
            if grid[j] > top - (last + 3):
                near |= abs(grid[j] - np.rint(grid[j])) <= guard
            total += table[int(min(highest - np.floor(grid[j]), float(last)))]
            out[i, j + 1] = total
    return near


def code_length(freqs: np.ndarray, symbols: np.ndarray) -> float:
    """Ideal length in bits of `symbols` [...] under frequencies [..., N], summed."""
    freqs, symbols = np.asarray(freqs), np.asarray(symbols, dtype=np.int64)
    chosen = np.take_along_axis(freqs, symbols[..., None], axis=-1)[..., 0]
    return float(np.sum(np.log2(freqs.sum(axis=-1)) - np.log2(chosen)))


class StaticPmf:
    """One fixed integer PMF for each layer, from histogram counts [K, N]; all-zero rows give a flat PMF.

    Codes the groups whose logits are too near a rounding boundary; also the static-histogram baseline.
    """

    def __init__(self, counts: np.ndarray):
        counts = np.asarray(counts)
        if counts.ndim != 2 or counts.dtype.kind not in "iu":
            raise ValueError(f"counts: must be an integer array [K, N]; got {counts.dtype} {list(counts.shape)}")
        counts = counts.astype(np.int64)
        if counts.min(initial=0) < 0 or counts.sum(axis=1).max(initial=0) >= 1 << 40:
            raise ValueError("counts: must be non-negative and sum to less than 2^40 in each layer")
        totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        self.table = (counts << STATIC_BITS) // totals + 1  # + 1: an entry never seen can still be coded

    @classmethod
    def flat(cls, layers: int, entries: int = 1024) -> StaticPmf:
        """Equal frequencies: log2(entries) bits a token, 10 for 1024."""
        return cls(np.zeros((layers, entries), np.int64))

    def frequencies(self, layer: int) -> np.ndarray:
        """int64 [N], each >= 1."""
        return self.table[layer]

    def code_length(self, tokens: np.ndarray, first_layer: int = 0) -> np.ndarray:
        """Ideal bits of each layer, float64 [G], for tokens [F, G] of the layers from `first_layer` on."""
        rows = self.table[first_layer:first_layer + tokens.shape[1]]
        return np.array([code_length(np.broadcast_to(row, (len(tokens), len(row))), tokens[:, i])
                         for i, row in enumerate(rows)])
