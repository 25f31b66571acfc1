# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as the coder's source of PMFs: float64, so that both ends agree far within the coder's guard."""

import numpy as np
import torch

from .model import MaskedLm
from .product import exact_linears, product


class PmfSource:
    """Logits of one layer at a time (see coding.transcode.PmfSource), from `model`'s weights in float64.

    What a token adds to the input of the trunk and of the heads is linear in it, so it is worked out once for every
    entry, and so is the product of each head's two last matrices: coding a token is then mostly looking up.
    """

    @torch.inference_mode()
    def __init__(self, model: MaskedLm):
        self.model = m = model.exact()
        vectors, squares = m.vectors, m.squares
        traits = torch.cat([m.energy, m.learned], -1)
        d = m.config.latent
        depth, inputs = m.depth.weight.T, m.inputs.weight.T
        self.embedding = vectors @ inputs[:d] + squares @ inputs[d:] + traits @ m.traits_in + m.seen[:, None]
        self.embedding[: m.config.base_layers] += m.base
        self.lower = vectors @ depth[:d] + squares @ depth[d : 2 * d] + traits @ m.traits_depth + m.depth_seen[:, None]
        self.last = m.features[..., :d] @ depth[2 * d :]
        self.output = (m.project @ torch.cat([m.features, m.learned], -1).transpose(1, 2)).numpy()
        exact_linears(m, model)

    @torch.inference_mode()
    def begin(self, tokens: np.ndarray, visible: np.ndarray) -> torch.Tensor:
        """tokens int16 [T, K], visible bool [T, K] -> trunk state [T, dim]."""
        x = self._sum(self.embedding, tokens, visible) + self.model.inputs.bias + self.model.start
        return self.model.body(x[None])[0]

    @torch.inference_mode()
    def logits(self, state: torch.Tensor, frames: np.ndarray, layer: int, tokens: np.ndarray, known: np.ndarray
               ) -> np.ndarray:
        """float64 [n, entries] for `layer` in `frames`, given the known lower layers of the same frames."""
        m = self.model
        z = state[torch.from_numpy(np.asarray(frames))] + m.depth.bias + m.layer[layer]
        if layer:
            z = z + self._sum(self.lower, tokens[frames, :layer], known[frames, :layer])
            below = torch.from_numpy(np.where(known[frames, layer - 1], tokens[frames, layer - 1], 0).astype(np.int64))
            seen = torch.from_numpy(np.ascontiguousarray(known[frames, layer - 1]))
            z = z + self.last[layer - 1][below] * seen[:, None]
        return product(m.neck(z).numpy(), self.output[layer]) + m.bias[layer].numpy()

    @staticmethod
    def _sum(table: torch.Tensor, tokens: np.ndarray, known: np.ndarray) -> torch.Tensor:
        """Rows of table [K, entries, dim] for the known tokens [n, k], summed over the layers: [n, dim]."""
        known = torch.from_numpy(np.ascontiguousarray(known))
        index = torch.from_numpy(np.ascontiguousarray(tokens, np.int64)) * known
        rows = table[torch.arange(index.shape[1]), index]
        return (rows * known[..., None]).sum(1)
