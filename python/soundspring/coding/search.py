# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate-distortion search: which tokens to send, now that the model can say what each of them would cost.

The nearest entry of a codebook is often one of many that are nearly as near, and one of those may cost far fewer bits
or leave a residual that the layers above code better. So a few paths through the layers are kept, not one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

PATHS = 4
# cost(frames int [r] of the superframe, layer, lower int16 [r, layer - start]) -> bits float32 [r, N] of each entry,
# nearly as the coder will count them; each row has its own tokens in the group's layers below.
Cost = Callable[[np.ndarray, int, np.ndarray], np.ndarray]


class RateDistortionSearch:
    """codebooks: float32 [layers, entries, latent]. weight: how much a bit counts against the error. paths: kept.

    Minimises squared error + price * bits (Shoham and Gersho, "Efficient bit allocation for an arbitrary set of
    quantizers", 1988) over the layers of a packet by the M-algorithm, frame by frame, in the order in which frames are
    coded. With weight 0 the error alone counts, with 1 a bit costs the squared error that a bit of the next layer
    removes. One path and weight 0 find the nearest entry of each layer.
    """

    def __init__(self, codebooks: np.ndarray, weight: float, paths: int = PATHS):
        self.books = np.ascontiguousarray(codebooks, np.float32)
        if self.books.ndim != 3:
            raise ValueError(f"codebooks: expected [layers, entries, latent], got shape {self.books.shape}")
        if not weight >= 0:
            raise ValueError(f"weight: expected a number from 0 on, got {weight}")
        if not 1 <= paths <= self.books.shape[1]:
            raise ValueError(f"paths: expected a whole number from 1 to {self.books.shape[1]}, got {paths}")
        self.paths = paths
        energy = (self.books**2).sum(-1)
        # Entries are means of residuals, so their energy is what their layer removes.
        removed = energy.mean(1) / np.log2(energy.shape[1])
        self.half_price = (0.5 * weight * np.append(removed[1:], removed[-1])).astype(np.float32)
        self.half_energy = 0.5 * energy
        self.columns = np.ascontiguousarray(self.books.transpose(0, 2, 1))  # of products with residuals

    def above(self, target: np.ndarray, sent: np.ndarray, known: np.ndarray, start: int) -> Callable[..., Paths]:
        """The search for the layers from `start` on, to come near target [S, latent] with all layers together.

        sent int16 [S, K] are the tokens that other packets of the superframe carry, where known bool [S, K]. Call the
        result with the frames int [f] of a step and their Cost.
        """
        vectors = self.books[np.arange(sent.shape[1]), sent]
        return partial(Paths, self, target - (vectors * known[..., None]).sum(1), start)


class Paths:
    """The best partial codes of the frames of one step, layer after layer as far as they are asked for."""

    def __init__(self, search: RateDistortionSearch, residual: np.ndarray, start: int, frames: np.ndarray, cost: Cost):
        self.search, self.start, self.frames, self.cost = search, start, frames, cost
        self.residual = residual[frames][:, None]  # [f, paths, latent]
        self.tokens = np.zeros((len(frames), 1, 0), np.int16)
        self.bits = np.zeros((len(frames), 1), np.float32)
        self.found = [(self.tokens[:, 0], 0.0)]  # best tokens and bits of each number of layers

    def best(self, n: int) -> tuple[np.ndarray, float]:
        """The tokens int16 [f, n] to send where n layers are sent, and about how many bits they cost."""
        while len(self.found) <= n:
            self._extend()
        return self.found[n]

    def _extend(self) -> None:
        """One layer more; the paths stay in the order of their cost."""
        s, (f, old, n) = self.search, self.tokens.shape
        layer = self.start + n
        bits = self.cost(np.repeat(self.frames, old), layer, self.tokens.reshape(f * old, n))
        flat = self.residual.reshape(f * old, -1)
        loss = s.half_price[layer] * bits
        loss -= flat @ s.columns[layer]
        loss += s.half_energy[layer]
        loss += 0.5 * (flat * flat).sum(1, keepdims=True) + s.half_price[layer] * self.bits.reshape(-1, 1)
        row, (parent, entry) = np.arange(f)[:, None], self._least(loss.reshape(f, -1))
        self.residual = self.residual[row, parent] - s.books[layer][entry]
        self.bits = self.bits[row, parent] + bits.reshape(f, old, -1)[row, parent, entry]
        self.tokens = np.concatenate([self.tokens[row, parent], entry[..., None].astype(np.int16)], 2)
        self.found.append((self.tokens[:, 0], float(self.bits[:, 0].sum())))

    def _least(self, loss: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """loss [f, paths * N] -> parent and entry int [f, paths kept], the best first."""
        keep, row = self.search.paths, np.arange(len(loss))[:, None]
        best = loss.argmin(1)[:, None] if keep == 1 else loss.argpartition(keep - 1, axis=1)[:, :keep]
        best = best[row, loss[row, best].argsort(axis=1)]
        return np.divmod(best, self.search.books.shape[1])
