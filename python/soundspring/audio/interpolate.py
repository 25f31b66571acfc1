# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound between its samples: a windowed sinc in a table, for rates that differ by little and change all the time."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

TAPS = 64
BEFORE, BEHIND = TAPS // 2 - 1, TAPS // 2
"""Samples that are needed before and behind the one at or before a position."""
PHASES = 256
_BETA = 8.0  # of the Kaiser window: side lobes at -80 dB


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """float64 [PHASES + 1, TAPS]: the taps for a position p / PHASES behind a sample, each row of sum 1."""
    phase = np.arange(PHASES + 1)[:, None] / PHASES
    distance = np.arange(TAPS) - BEFORE - phase
    window = np.i0(_BETA * np.sqrt(np.clip(1 - (distance / (TAPS / 2)) ** 2, 0, None)))
    taps = np.sinc(distance) * window
    return taps / taps.sum(axis=1, keepdims=True)


def interpolate(x: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Values of the band-limited signal through samples `x` float32 [n] at `positions` (in samples) -> float32 [m].

    Kaiser-windowed sinc of 64 taps, linear between 256 tabulated phases (J. O. Smith, "Digital Audio Resampling").
    For sound at 16 kHz the error of a sine is below -75 dB up to 7.3 kHz, -36 dB at 7.5 kHz.
    ValueError unless each position has `BEFORE` samples before it and `BEHIND` behind it.
    """
    positions = np.asarray(positions, np.float64)
    if positions.size and not (BEFORE <= positions.min() and positions.max() < len(x) - BEHIND):
        raise ValueError(f"positions must be from {BEFORE} to below {len(x) - BEHIND}, the samples that x allows, "
                         f"not {positions.min():g} to {positions.max():g}")
    return _weigh(np.ascontiguousarray(x, np.float32), positions, _table())


@numba.njit(cache=True, nogil=True)
def _weigh(x, positions, table):
    out = np.empty(positions.size, np.float32)
    for i in range(positions.size):
        whole = int(positions[i])
        place = (positions[i] - whole) * PHASES
        row = min(int(place), PHASES - 1)
        part, total = place - row, 0.0
        near, lower, upper = x[whole - BEFORE : whole - BEFORE + TAPS], table[row], table[row + 1]
        for k in range(TAPS):
            total += near[k] * (lower[k] * (1 - part) + upper[k] * part)
        out[i] = total
    return out
