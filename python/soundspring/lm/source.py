# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as the coder's source of PMFs: float64, so that both ends agree far within the coder's guard."""

import numpy as np
import torch

from .model import MaskedLm


class PmfSource:
    """Logits of one layer at a time (see coding.transcode.PmfSource). Shares `model`'s weights, as float64 copies."""

    def __init__(self, model: MaskedLm):
        self.model = model.exact()
        self.entries = torch.cat([self.model.features, self.model.learned], -1).transpose(1, 2).contiguous()

    @torch.inference_mode()
    def begin(self, tokens: np.ndarray, visible: np.ndarray) -> torch.Tensor:
        """tokens int16 [T, K], visible bool [T, K] -> trunk state [T, dim]."""
        t = torch.from_numpy(np.ascontiguousarray(tokens, np.int64))
        return self.model.trunk(t[None], torch.from_numpy(np.ascontiguousarray(visible))[None])[0]

    @torch.inference_mode()
    def logits(
        self, state: torch.Tensor, frames: np.ndarray, layer: int, tokens: np.ndarray, known: np.ndarray
    ) -> np.ndarray:
        """float64 [n, entries] for `layer` in `frames`, given the known lower layers of the same frames."""
        m = self.model
        own = torch.from_numpy(tokens[frames][:, :layer].astype(np.int64))
        seen = torch.from_numpy(np.ascontiguousarray(known[frames][:, :layer]))
        own, mask = own * seen, seen.to(torch.float64)[..., None]
        total = (m.vector(own) * mask).sum(1)
        squares = (m.square(own) * mask).sum(1)
        latent = m.config.latent
        last = m.features[layer - 1][own[:, -1], :latent] * mask[:, -1] if layer else torch.zeros_like(total)
        below = torch.einsum("nke,ked->nd", m.traits(own) * mask, m.traits_depth[:layer])
        below = below + (mask * m.depth_seen[:layer]).sum(1) + m.layer[layer]
        z = m.hidden(state[torch.from_numpy(np.asarray(frames))], torch.cat([total, squares, last], -1), below)
        return (z @ m.project[layer] @ self.entries[layer] + m.bias[layer]).numpy()
