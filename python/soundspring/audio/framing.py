# SPDX-License-Identifier: GPL-3.0-or-later
"""Cutting sound into frames and superframes, and putting it together again without losing a sample."""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 16_000
FRAME = 320
"""Samples of a codec frame: 20 ms."""
SUPERFRAME = 5 * FRAME
"""Samples of a superframe of the default profile: 100 ms, one burst."""


class Framer:
    """Cuts a stream of samples into frames of `size`; what is left over waits for the next call."""

    def __init__(self, size: int = FRAME):
        """`size` in samples, at least 1; ValueError otherwise."""
        if not isinstance(size, (int, np.integer)) or size < 1:
            raise ValueError(f"size must be a positive whole number of samples, not {size!r}")
        self.size = int(size)
        self._rest = np.zeros(0, np.float32)

    def push(self, x: np.ndarray) -> np.ndarray:
        """Take float32 [n], return the frames now complete, float32 [m, size]."""
        x = np.asarray(x, dtype=np.float32)
        if x.ndim != 1:
            raise ValueError(f"x must be a one-dimensional array of samples, not of shape {x.shape}")
        joined = np.concatenate([self._rest, x])
        whole = joined.size // self.size * self.size
        self._rest = joined[whole:]
        return joined[:whole].reshape(-1, self.size)

    def flush(self) -> np.ndarray:
        """Return the last frame padded with zeros, float32 [1, size], or [0, size] when nothing is left over."""
        if self._rest.size == 0:
            return np.zeros((0, self.size), np.float32)
        return self.push(np.zeros(self.size - self._rest.size, np.float32))


def split(x: np.ndarray, size: int = FRAME) -> np.ndarray:
    """Return `x` float32 [n] cut into frames, float32 [ceil(n / size), size], the last one padded with zeros."""
    framer = Framer(size)
    return np.concatenate([framer.push(x), framer.flush()])


def join(frames: np.ndarray, length: int) -> np.ndarray:
    """Return the first `length` samples of frames [m, size], float32 [length]: the inverse of `split`.

    ValueError when the frames hold fewer samples than that.
    """
    samples = np.asarray(frames, dtype=np.float32).reshape(-1)
    if not 0 <= length <= samples.size:
        raise ValueError(f"length must be from 0 to the {samples.size} samples that the frames hold, not {length}")
    return samples[:length].copy()
