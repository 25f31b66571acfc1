# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate-distortion search: which tokens to send, now that the model has said what each of them would cost.

The nearest entry of a codebook is often one of many that are nearly as near; one of those may cost far fewer bits.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .transcode import Choose


class RateDistortionSearch:
    """codebooks: float32 [layers, entries, latent]. weight: how much a bit counts against the error.

    Minimises squared error + price * bits, token by token, in the order in which they are coded (Shoham and Gersho,
    "Efficient bit allocation for an arbitrary set of quantizers", 1988). With weight 0 that finds the nearest entry,
    with 1 a bit costs the squared error that a bit of the next layer removes.
    """

    def __init__(self, codebooks: np.ndarray, weight: float):
        self.books = np.ascontiguousarray(codebooks, np.float32)
        if self.books.ndim != 3:
            raise ValueError(f"codebooks: expected [layers, entries, latent], got shape {self.books.shape}")
        if not weight >= 0:
            raise ValueError(f"weight: expected a number from 0 on, got {weight}")
        energy = (self.books**2).sum(-1)
        # Entries are means of residuals, so their energy is what their layer removes.
        removed = energy.mean(1) / np.log2(energy.shape[1])
        self.price = weight * np.append(removed[1:], removed[-1])
        self.half_energy = 0.5 * energy

    def above(self, target: np.ndarray, sent: np.ndarray, known: np.ndarray, start: int) -> Choose:
        """Chooses for the layers from `start` on, to come near target [S, latent] with all layers together.

        sent int16 [S, K] are the tokens that other packets of the superframe carry, where known bool [S, K].
        """
        return partial(self._choose, target - self._sum(sent, 0, known), start)

    def _sum(self, tokens: np.ndarray, start: int, known: np.ndarray | bool = True) -> np.ndarray:
        """Sum of the vectors of the known tokens [n, k] of the layers from `start` on: float32 [n, latent]."""
        vectors = self.books[np.arange(start, start + tokens.shape[1]), tokens]
        return (vectors * np.asarray(known)[..., None]).sum(1)

    def _choose(
        self, target: np.ndarray, start: int, freqs: np.ndarray, frames: np.ndarray, layer: int, lower: np.ndarray
    ) -> np.ndarray:
        residual = target[frames] - self._sum(lower, start)
        likely = 0.5 * self.price[layer] * np.log2(freqs)
        return (residual @ self.books[layer].T - self.half_energy[layer] + likely).argmax(1)
