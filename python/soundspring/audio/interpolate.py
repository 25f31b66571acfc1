# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound between its samples: a windowed sinc in a table, for rates that differ by little and change all the time."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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
    whole = np.floor(positions).astype(np.int64)
    if whole.size and (whole.min() < BEFORE or whole.max() + BEHIND >= len(x)):
        raise ValueError(f"positions must be from {BEFORE} to below {len(x) - BEHIND}, the samples that x allows, "
                         f"not {positions.min():g} to {positions.max():g}")
    place = (positions - whole) * PHASES
    row = np.minimum(place.astype(np.int64), PHASES - 1)
    part = (place - row)[:, None]
    table = _table()
    taps = table[row] * (1 - part) + table[row + 1] * part
    if not whole.size:
        return np.zeros(0, np.float32)
    return np.einsum("ij,ij->i", sliding_window_view(x, TAPS)[whole - BEFORE], taps).astype(np.float32)
