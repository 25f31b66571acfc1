# SPDX-License-Identifier: GPL-3.0-or-later
"""Residual vector quantiser: layer k codes what layers 0..k-1 left over.

Zeghidour et al., "SoundStream", 2021. Codebooks are learned by exponential
moving averages; entries that fall out of use restart from the batch.
"""

import math
from collections.abc import Sequence

import torch
from torch import nn


class ResidualQuantizer(nn.Module):
    """`layers` codebooks of `entries` vectors of `dim` values each: buffer `codebooks` [layers, entries, dim]."""

    def __init__(self, layers: int = 24, entries: int = 1024, dim: int = 192):
        super().__init__()
        self.layers, self.entries, self.dim = layers, entries, dim
        self.register_buffer("codebooks", torch.zeros(layers, entries, dim))
        # Added to the score of an entry in the search, never to its vector: what a likely entry saves in bits.
        self.register_buffer("bonus", torch.zeros(layers, entries))

    def nearest(self, residual: torch.Tensor, layer: int, offset: torch.Tensor | None = None) -> torch.Tensor:
        """Index of the best entry for each row of residual [N, dim] -> int64 [N]: the nearest, but for the bonus.

        offset: `offset(layer)`, where it is at hand.
        """
        offset = self.offset(layer) if offset is None else offset
        return torch.addmm(offset, residual, self.codebooks[layer].T).argmax(1)

    def offset(self, layer: int) -> torch.Tensor:
        """What the search adds to the inner product with each entry of a layer, [entries]."""
        return self.bonus[layer] - 0.5 * self.codebooks[layer].pow(2).sum(1)

    def encode(
        self,
        latent: torch.Tensor,
        layers: int | None = None,
        beam: int = 1,
        offsets: Sequence[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """latent [N, dim] -> tokens int64 [N, layers].

        With beam > 1 the best `beam` partial codes survive each layer; the final cost is at most the greedy one.
        offsets: `offset` of each layer; who encodes few frames at a time from fixed codebooks keeps them.
        """
        layers = layers or self.layers
        greedy = self._greedy(latent, layers, offsets)
        if beam == 1:
            return greedy
        # A beam may lose the greedy path on its way and end worse, so that one stays in the race.
        codes = torch.stack([self._beam(latent, layers, beam, offsets), greedy])
        credit = sum(self.bonus[k][codes[..., k]] for k in range(layers))
        best = ((latent - self.decode(codes)).pow(2).sum(-1) - 2 * credit).argmin(0)
        return codes[best, torch.arange(len(latent))]

    def price(self, layer: int, counts: torch.Tensor, bit: float) -> None:
        """Set the bonus of a layer from how often its entries are used, counts [entries]: rate-distortion search.

        `bit`: the squared error that a bit is worth. 0 finds the nearest. See `slope` for what a bit may be worth.
        """
        probability = (counts.double() + 0.5) / (counts.double() + 0.5).sum()
        self.bonus[layer] = (0.5 * bit * probability.log2()).to(self.bonus.dtype)

    def slope(self, latent: torch.Tensor) -> float:
        """The share of the squared error that a bit removes, on the mean over the layers above the first."""
        residual, error = latent, []
        for k in range(self.layers):
            residual = residual - self.codebooks[k][self.nearest(residual, k)]
            error.append(residual.pow(2).sum(1).mean())
        left = float(error[-1] / error[0]) ** (1 / max(self.layers - 1, 1))
        return (1 - left) / math.log2(self.entries)

    def _greedy(self, latent: torch.Tensor, layers: int, offsets: Sequence[torch.Tensor] | None) -> torch.Tensor:
        residual, tokens = latent, []
        for k in range(layers):
            tokens.append(self.nearest(residual, k, offsets and offsets[k]))
            residual = residual - self.codebooks[k][tokens[-1]]
        return torch.stack(tokens, 1)

    def _beam(self, latent: torch.Tensor, layers: int, beam: int, offsets: Sequence[torch.Tensor] | None):
        n, row = len(latent), torch.arange(len(latent))[:, None]
        residual, paths = latent[:, None], torch.zeros(n, 1, 0, dtype=torch.int64)  # [N, paths, dim], [N, paths, k]
        cost = 0.5 * latent.pow(2).sum(1, keepdim=True)  # half the squared error, less the bonus
        for k in range(layers):
            book, offset = self.codebooks[k], offsets[k] if offsets else self.offset(k)
            found = torch.addmm(offset, residual.flatten(0, 1), book.T).view(n, -1, self.entries)
            found = (cost[..., None] - found).flatten(1)
            cost, at = found.topk(min(beam, found.shape[1]), largest=False)
            parent, token = at // self.entries, at % self.entries
            residual = residual[row, parent] - book[token]
            paths = torch.cat([paths[row, parent], token[..., None]], dim=2)
        return paths[:, 0]

    def decode(self, tokens: torch.Tensor) -> torch.Tensor:
        """tokens [..., K] -> the sum of their vectors [..., dim]; K may be any number of leading layers."""
        return sum(self.codebooks[k][tokens[..., k]] for k in range(tokens.shape[-1]))
