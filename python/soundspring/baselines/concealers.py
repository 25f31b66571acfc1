# SPDX-License-Identifier: GPL-3.0-or-later
"""Concealment without a model, behind the interface of `lm.conceal.Concealer`: the peers it has to beat.

All three decode a frame down to the last layer below which nothing is missing: RVQ layers mean little without those
under them. They differ in what they play where not even the first layer arrived. None waits for the future.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from ..lm.conceal import Estimate


class _LayerConcealer(ABC):
    """codebooks: float32 [layers, entries, latent] of the codec."""

    def __init__(self, codebooks: np.ndarray):
        self.books = np.asarray(codebooks, np.float32)
        if self.books.ndim != 3:
            raise ValueError(f"codebooks: expected [layers, entries, latent], got shape {self.books.shape}")

    def push(self, tokens: np.ndarray, received: np.ndarray, sent: int | None = None) -> Estimate:
        """tokens int16, received bool [S, layers] -> what to play for this superframe, which has `sent` layers."""
        whole = np.logical_and.accumulate(received, axis=1)
        depth = whole.sum(1)
        vectors = self.books[np.arange(tokens.shape[1]), np.where(whole, tokens, 0)] * whole[..., None]
        latent, gain = vectors.sum(1), np.ones(len(tokens), np.float32)
        # Layers that no frame of the superframe has were not sent, as long as something was.
        sent = received.any(0).nonzero()[0].max(initial=-1) + 1 or sent or tokens.shape[1]
        for i in range(len(tokens)):
            latent[i], depth[i], gain[i] = self._frame(latent[i], int(depth[i]))
        return Estimate(latent, depth, gain, whole.sum(1) < sent)

    def flush(self) -> list[Estimate]:
        """Nothing ever waits."""
        return []

    def reset(self) -> None:  # noqa: B027 - only those with a memory have something to forget
        """Forget the past."""

    @abstractmethod
    def _frame(self, latent: np.ndarray, depth: int) -> tuple[np.ndarray, int, float]:
        """(latent, layers it is worth, gain) of a frame whose lowest `depth` layers arrived, summed in latent."""


class FewerLayers(_LayerConcealer):
    """Decode what is there; nothing there: the zero latent."""

    def _frame(self, latent: np.ndarray, depth: int) -> tuple[np.ndarray, int, float]:
        return latent, depth, 1.0


class Mute(_LayerConcealer):
    """Decode what is there; nothing there: silence."""

    def _frame(self, latent: np.ndarray, depth: int) -> tuple[np.ndarray, int, float]:
        return latent, depth, float(depth > 0)


class RepeatLatent(_LayerConcealer):
    """Decode what is there; nothing there: the last latent once more, `fade` times as loud with every frame."""

    def __init__(self, codebooks: np.ndarray, fade: float = 0.8):
        super().__init__(codebooks)
        if not 0 <= fade <= 1:
            raise ValueError(f"fade: expected 0 to 1, got {fade}")
        self.fade = fade
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.last, self.depth, self.gain = np.zeros(self.books.shape[2], np.float32), 0, 1.0

    def _frame(self, latent: np.ndarray, depth: int) -> tuple[np.ndarray, int, float]:
        if depth:
            self.last, self.depth, self.gain = latent.copy(), depth, 1.0
        else:
            self.gain *= self.fade
        return self.last, self.depth, self.gain
