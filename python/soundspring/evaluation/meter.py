# SPDX-License-Identifier: GPL-3.0-or-later
"""A quality meter beside a running link: scores come from a process of low priority, so that sound never waits."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
import threading

import numpy as np

NICENESS = 5
FLOOR_DB = -60.0
_log = logging.getLogger(__name__)


class Meter:
    """Scores a pair of sounds at a time. The process starts with the first pair and ends with `close`, or with us."""

    def __init__(self):
        self._process: subprocess.Popen | None = None
        self._thread: threading.Thread | None = None
        self._scores: dict[str, float | None] | None = None

    def offer(self, reference: np.ndarray, received: np.ndarray) -> bool:
        """Take a pair, float32 [n] at 16 kHz and aligned; False, and it is left out, while another is being scored."""
        if self._thread is not None:
            return False
        if self._process is None:
            self._process = _start()
        self._thread = threading.Thread(target=self._ask, args=(self._process, (reference, received)), daemon=True)
        self._thread.start()
        return True

    def poll(self) -> dict[str, float | None] | None:
        """The scores of the pair taken last, once; None while there are none or they failed. Keys as of `measure`."""
        if self._thread is None or self._thread.is_alive():
            return None
        self._thread, scores, self._scores = None, self._scores, None
        if scores is None:
            self.close()  # the next pair starts the process again
        return scores

    def close(self) -> None:
        """End the process. May be called again."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._process = None

    def _ask(self, process: subprocess.Popen, pair: tuple) -> None:
        try:
            pickle.dump(pair, process.stdin)
            process.stdin.flush()
            self._scores = pickle.load(process.stdout)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            _log.debug("quality not measured: %s", error)  # it was ended, by `close` perhaps


def _start() -> subprocess.Popen:
    """A process of its own rather than of `multiprocessing`, which would run the flowgraph's program once more."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", f"from {__name__} import serve; serve()"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def serve() -> None:
    """Score the pairs that come on standard input until it ends."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program that listens, which then closes the input
    while True:
        try:
            pair = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        pickle.dump(measure(*pair), sys.stdout.buffer)
        sys.stdout.buffer.flush()


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
