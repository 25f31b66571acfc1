# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate-distortion search: which tokens to send, now that the model can say what each of them would cost.

The nearest entry of a codebook is often one of many that are nearly as near, and one of those may cost far fewer bits
or leave a residual that the layers above code better. So a few paths through the layers are kept, not one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numba
import numpy as np

PATHS = 6
# cost(frames int [f] of the superframe, layer, lower int16 [f, layer - start]) -> bits float32 [f, N] of each entry,
# nearly as the coder will count them; lower: the tokens of the group's layers below.
Cost = Callable[[np.ndarray, int, np.ndarray], np.ndarray]
# product(rows float32 [r, latent], layer) -> float32 [r, N]: the inner products with the entries of that layer, nearly.
Product = Callable[[np.ndarray, int], np.ndarray]


class RateDistortionSearch:
    """codebooks: float32 [layers, entries, latent]. weight: how much a bit counts against the error. paths: kept.
    product: a quicker one than numpy's, where there is one; about three digits are enough.

    Minimises squared error + price * bits (Shoham and Gersho, "Efficient bit allocation for an arbitrary set of
    quantizers", 1988) over the layers of a packet by the M-algorithm, frame by frame, in the order in which frames are
    coded. All paths of a frame count the bits that the best of them would pay: to ask the model about each takes longer
    than more paths, which bring more. With weight 0 the error alone counts, with 1 a bit costs the squared error that
    a bit of the next layer removes. One path and weight 0 find the nearest entry of each layer.
    """

    def __init__(self, codebooks: np.ndarray, weight: float, paths: int = PATHS, product: Product | None = None):
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
        self.product = product or (lambda rows, layer: rows @ self.books[layer].T)

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
        self.paid = np.zeros((len(frames), 1), np.float32)  # bits
        self.found = [(self.tokens[:, 0], 0.0)]  # best tokens and bits of each number of layers

    def best(self, n: int) -> np.ndarray:
        """The tokens int16 [f, n] to send where n layers are sent."""
        return self._found(n)[0]

    def bits(self, n: int) -> float:
        """About how many bits they cost."""
        return self._found(n)[1]

    def _found(self, n: int) -> tuple[np.ndarray, float]:
        while len(self.found) <= n:
            self._extend()
        return self.found[n]

    def _extend(self) -> None:
        """One layer more; the paths stay in the order of their cost."""
        s, (f, old, n) = self.search, self.tokens.shape
        layer, flat = self.start + n, self.residual.reshape(f * old, -1)
        bits, inner = self.cost(self.frames, layer, self.tokens[:, 0]), s.product(flat, layer)
        before = 0.5 * (flat * flat).sum(1) + s.half_price[layer] * self.paid.ravel()
        here = s.half_price[layer] * bits + s.half_energy[layer]
        parent, entry = _least(before.reshape(f, old), here, inner.reshape(f, old, -1), s.paths)
        row = np.arange(f)[:, None]
        self.residual = self.residual[row, parent] - s.books[layer][entry]
        self.paid = self.paid[row, parent] + bits[row, entry]
        self.tokens = np.concatenate([self.tokens[row, parent], entry[..., None].astype(np.int16)], 2)
        self.found.append((self.tokens[:, 0], float(self.paid[:, 0].sum())))


@numba.njit(cache=True, nogil=True)
def _least(before, here, inner, keep):
    """The `keep` best of each frame, best first: parent and entry int64 [f, keep].

    Half the cost of an entry is before [f, paths] + here [f, N] - inner [f, paths, N], all float32.
    """
    frames, paths, entries = inner.shape
    parent, entry = np.zeros((frames, keep), np.int64), np.zeros((frames, keep), np.int64)
    half = np.empty(entries, np.float32)
    for f in range(frames):
        best = np.full(keep, np.inf, np.float32)
        for p in range(paths):
            for j in range(entries):
                half[j] = before[f, p] + here[f, j] - inner[f, p, j]
            for j in range(entries):
                if half[j] < best[-1]:
                    at = keep - 1
                    while at and half[j] < best[at - 1]:
                        best[at], parent[f, at], entry[f, at] = best[at - 1], parent[f, at - 1], entry[f, at - 1]
                        at -= 1
                    best[at], parent[f, at], entry[f, at] = half[j], p, j
    return parent, entry
