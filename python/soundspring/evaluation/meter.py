# SPDX-License-Identifier: GPL-3.0-or-later
"""A quality meter beside a running link: scores come from a process of low priority, so that sound never waits."""

from __future__ import annotations

import logging
import os
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

NICENESS = 5
_log = logging.getLogger(__name__)
FLOOR_DB = -60.0


class Meter:
    """Scores a pair of sounds at a time. The process starts with the first pair and ends with `close`."""

    def __init__(self):
        self._pool: ProcessPoolExecutor | None = None
        self._job: Future | None = None

    def offer(self, reference: np.ndarray, received: np.ndarray) -> bool:
        """Take a pair, float32 [n] at 16 kHz and aligned; False, and it is left out, while another is being scored."""
        if self._job is not None:
            return False
        if self._pool is None:  # spawned: a fork would inherit the threads' locks
            self._pool = ProcessPoolExecutor(1, get_context("spawn"), os.nice, (NICENESS,))
        self._job = self._pool.submit(measure, reference, received)
        return True

    def poll(self) -> dict[str, float | None] | None:
        """The scores of the pair taken last, once; None while there are none, or it failed. Keys: `measure`."""
        if self._job is None or not self._job.done():
            return None
        job, self._job = self._job, None
        if (error := job.exception()) is not None:  # a display must not fall over it
            _log.warning("quality not measured: %s", error)
            self.close()
            return None
        return job.result()

    def close(self) -> None:
        """End the process. May be called again."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = self._job = None


def measure(reference: np.ndarray, received: np.ndarray) -> dict[str, float | None]:
    """pesq_wb, None where it cannot be measured, and lsd_db, see `log_spectral_distance`."""
    from .metrics import pesq_wb

    return {"pesq_wb": pesq_wb(reference, received), "lsd_db": log_spectral_distance(reference, received)}


def log_spectral_distance(reference: np.ndarray, received: np.ndarray, size: int = 512) -> float:
    """Root mean square difference of two short-time spectra in dB, over float [n] each; 0 where they are alike.

    Levels are held above FLOOR_DB of the reference's largest, or silence would count more than speech. NaN where there
    is not one window of `size` samples.
    """
    if min(len(reference), len(received)) < size:
        return float("nan")

    def power(x: np.ndarray) -> np.ndarray:
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(x, np.float64), size)[:: size // 2]
        return np.abs(np.fft.rfft(windows * np.hanning(size))) ** 2

    ref, got = power(reference), power(received)
    floor = max(ref.max(), 1e-12) * 10 ** (FLOOR_DB / 10)
    levels = [10 * np.log10(np.maximum(p[: min(len(ref), len(got))], floor)) for p in (ref, got)]
    return float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))
