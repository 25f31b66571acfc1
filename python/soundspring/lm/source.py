# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as the coder's source of PMFs: float64, so that both ends agree far within the coder's guard."""

import numpy as np
import torch

from .model import MaskedLm
from .network import Network, gather
from .product import linear, product


class PmfSource:
    """Logits of one layer at a time (see coding.transcode.PmfSource), from `model`'s weights (`network.py`).

    What a token adds to the input of the trunk and of the heads is linear in it, so it is worked out once for every
    entry, and so is the product of each head's two last matrices: coding a token is then mostly looking up.
    """

    @torch.inference_mode()
    def __init__(self, model: MaskedLm):
        m = model.exact()
        traits = torch.cat([m.energy, m.learned], -1)
        d = m.config.latent
        depth, inputs = m.depth.weight.T, m.inputs.weight.T
        embedding = m.vectors @ inputs[:d] + m.squares @ inputs[d:] + traits @ m.traits_in + m.seen[:, None]
        embedding[: m.config.base_layers] += m.base
        lower = m.vectors @ depth[:d] + m.squares @ depth[d : 2 * d] + traits @ m.traits_depth + m.depth_seen[:, None]
        self.embedding, self.lower = embedding.numpy(), lower.numpy()
        self.last = (m.features[..., :d] @ depth[2 * d :]).numpy()
        outputs = m.outputs(slice(0, m.config.layers))
        self.outputs = [linear(w.numpy(), b.numpy()) for w, b in zip(outputs, m.bias, strict=True)]
        self.start, self.layer = (m.inputs.bias + m.start).numpy(), (m.depth.bias + m.layer).numpy()
        self.network, self.blind = Network(model), {}

    def begin(self, tokens: np.ndarray, visible: np.ndarray) -> np.ndarray:
        """tokens int16 [T, K], visible bool [T, K] -> trunk state float64 [T, dim], not to be changed."""
        frames, seen = len(tokens), visible.any()
        if not seen and frames in self.blind:  # most base packets begin with nothing: always the same
            return self.blind[frames]
        x = np.tile(self.start, (frames, 1))
        gather(self.embedding, *_whole(tokens, visible), 0, tokens.shape[1], x)
        state = self.network.body(x)
        if not seen:
            self.blind[frames] = state
        return state

    def logits(self, state: np.ndarray, frames: np.ndarray, layer: int, tokens: np.ndarray, known: np.ndarray
               ) -> np.ndarray:
        """float64 [n, entries] for `layer` in `frames`, given the known lower layers of the same frames."""
        z = state[frames] + self.layer[layer]
        rows = _whole(tokens[frames], known[frames])
        gather(self.lower, *rows, 0, layer, z)
        gather(self.last, *rows, max(layer - 1, 0), layer, z)
        return product(self.network.neck(z), self.outputs[layer])


def _whole(tokens: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in the one layout that `gather` is compiled for."""
    return np.ascontiguousarray(tokens, np.int16), np.ascontiguousarray(known)
