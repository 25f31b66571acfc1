# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens as the transmitter chooses them, a bit weighed against the error, for many frames at a time.

What is sent differs from the nearest entries: likelier, and with less energy. The decoder and the language model learn
from what they will meet. One path and the layered policy; coding/search.py is the real one, frame by frame.
"""

import math
import sys
from pathlib import Path

import torch
from masks import BASE, SCHEDULE

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.coding.search import RateDistortionSearch  # noqa: E402


class Chooser:
    """Chooses by the PMFs of a language model that does not learn meanwhile."""

    def __init__(self, model, weight: float = 1.0):
        """weight: of a bit, as `rate_weight` of a profile."""
        self.model, self.books = model, model.codebooks
        search = RateDistortionSearch(self.books.cpu().numpy(), weight)
        half_price, half_energy = (torch.from_numpy(x).to(self.books) for x in (search.half_price, search.half_energy))
        price = half_price[:, None] / math.log(2)  # of a nat
        # An entry's score, but for what all entries share, is linear in the residual and in the state of the head.
        with torch.no_grad():
            outputs = price[..., None] * model.outputs(slice(0, len(self.books)))
            self.matrix = torch.cat([self.books.transpose(1, 2), outputs], 1)
            self.offset = price * model.bias - half_energy

    @torch.no_grad()
    def __call__(self, z: torch.Tensor, layers: int, size: int = 5) -> torch.Tensor:
        """Latents [N, size, latent] of superframes -> tokens int64 [N, size, layers]."""
        base = torch.zeros(*z.shape[:2], min(BASE, layers), dtype=torch.int64, device=z.device)
        visible = torch.zeros_like(base, dtype=torch.bool)  # to the trunk, which needs no other layers here
        for frames in SCHEDULE if size == 5 else (tuple(range(size)),):
            own, hidden = list(frames), self.model.trunk(base, visible)
            base[:, own] = self._extend(hidden[:, own], z[:, own], base[:, own, :0], base.shape[-1])
            visible[:, own] = True
        return self._extend(self.model.trunk(base, visible), z, base, layers) if layers > BASE else base

    def _extend(self, h, z, lower, layers: int) -> torch.Tensor:
        """tokens [N, F, k] -> [N, F, layers], layer by layer; h [N, F, dim]: of the trunk."""
        shape, found = z.shape[:2], list(lower.flatten(0, 1).unbind(-1))
        h, residual, below = h.flatten(0, 1), z.flatten(0, 1), Below(self.model, math.prod(shape), z.device)
        for k, token in enumerate(found):
            residual = residual - self.books[k][token]
            below.add(k, token)
        for k in range(len(found), layers):
            known = torch.cat([residual, below.state(k, h)], -1)
            token = torch.addmm(self.offset[k], known, self.matrix[k]).argmax(-1)
            residual = residual - self.books[k][token]
            below.add(k, token)
            found.append(token)
        return torch.stack(found, -1).view(*shape, layers)


class Below:
    """What the heads of so many frames know of the layers below theirs; as MaskedLm.head_states, layer by layer."""

    def __init__(self, model, frames: int, device):
        self.model = model
        self.total, self.squares, self.last = (torch.zeros(frames, model.config.latent, device=device) for _ in "123")
        self.rest = torch.zeros(frames, model.config.dim, device=device)

    def add(self, k: int, token: torch.Tensor) -> None:
        """token int64 [frames] of layer k."""
        m = self.model
        self.total, self.squares = self.total + m.vectors[k][token], self.squares + m.squares[k][token]
        self.last = m.features[k][token, : m.config.latent]
        traits = torch.cat([m.energy[k][token], m.learned[k][token]], -1)
        self.rest = self.rest + traits @ m.traits_depth[k] + m.depth_seen[k]

    def state(self, k: int, h: torch.Tensor) -> torch.Tensor:
        """h [frames, dim] of the trunk -> what is multiplied with layer k's `outputs`, [frames, dim]."""
        m = self.model
        return m.hidden(h, torch.cat([self.total, self.squares, self.last], -1), self.rest + m.layer[k])
