# SPDX-License-Identifier: GPL-3.0-or-later
"""What every sample channel shares: its protocol, its random streams and the check of its arguments."""

from __future__ import annotations

import math
import zlib
from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class SampleChannel(Protocol):
    """A stateful stream from samples to samples.

    `delay` is the whole number of samples by which the output lags the input because of interpolation filters.
    The concatenated output depends on the concatenated input only, never on how it was cut into chunks.
    """

    delay: int

    def process(self, x: np.ndarray) -> np.ndarray:
        """Take complex64 [n], return complex64 of the same length (a clock error: about the same length)."""
        ...

    def skip(self, n: int) -> int:
        """Let n samples of silence go by that nobody listens to, and return how many would have come out.

        Fading, phases and clock go on as if they had been processed; noise of them is not drawn.
        """
        ...


def generator(seed: int, role: str) -> np.random.Generator:
    """Return the random stream of one `role` under `seed`.

    Naming the role keeps the streams of different channels independent when a whole link is run from a single seed.
    """
    if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool) or seed < 0:
        raise ValueError(f"seed must be a non-negative integer, not {seed!r}")
    return np.random.default_rng([int(seed), zlib.crc32(role.encode())])


def as_samples(x: np.ndarray) -> np.ndarray:
    """Return `x` as contiguous complex64 [n]; ValueError when it is not one-dimensional."""
    x = np.ascontiguousarray(x, dtype=np.complex64)
    if x.ndim != 1:
        raise ValueError(f"x must be a one-dimensional array of samples, not of shape {x.shape}")
    return x


def number(name: str, value: float | str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return `value` as float; ValueError that names it unless it is finite and low <= value <= high."""
    try:
        result = float(value)
    except (TypeError, ValueError):
        result = math.nan
    if not math.isfinite(result) or not low <= result <= high:
        span = f"from {low:g} to {high:g}" if math.isfinite(high) else (
            f"of at least {low:g}" if math.isfinite(low) else "that is finite")
        raise ValueError(f"{name} must be a number {span}, not {value!r}")
    return result


def sample_rate(rate: float) -> float:
    """Return a sample rate in Hz; ValueError unless it is positive."""
    rate = number("rate", rate, 0.0)
    if rate == 0.0:
        raise ValueError("rate must be a positive sample rate in Hz, not 0")
    return rate
