# SPDX-License-Identifier: GPL-3.0-or-later
"""The model as the coder's source of PMFs: the same at both ends, whatever computes it."""

import numpy as np
import torch

from ..product import linear, product
from .model import MaskedLm
from .network import Network, gather


class PmfSource:
    """Logits of one layer at a time (see coding.transcode.PmfSource), from `model`'s weights (`network.py`).

    What a token adds to the input of the trunk and of the heads is linear in it, so it is worked out once for every
    entry, and so is the product of each head's two last matrices: coding a token is then mostly looking up.
    """

    @torch.inference_mode()
    def __init__(self, model: MaskedLm):
        m = model.exact()
        d, depth, inputs = m.config.latent, m.depth.weight.T, m.inputs.weight.T
        token = torch.cat([m.vectors, m.squares], -1)
        traits = torch.cat([m.energy, m.learned], -1)
        self.embedding = _through(token, inputs) + _each(traits, m.traits_in) + m.seen.numpy()[:, None]
        self.embedding[: m.config.base_layers] += m.base.numpy()
        self.lower = _through(token, depth[: 2 * d]) + _each(traits, m.traits_depth) + m.depth_seen.numpy()[:, None]
        self.last = _through(m.features[..., :d], depth[2 * d :])
        entries = torch.cat([m.features, m.learned], -1)
        outputs = _each(m.project, entries.transpose(1, 2))
        self.outputs = [linear(w, b.numpy()) for w, b in zip(outputs, m.bias, strict=True)]
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


def _through(rows: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    """rows [layers, entries, K] through weights [K, dim] -> float64 [layers, entries, dim]."""
    layer = linear(weights.numpy())
    return np.stack([product(own.numpy(), layer) for own in rows])


def _each(rows: torch.Tensor, weights: torch.Tensor) -> np.ndarray:
    """The same with weights of each layer [layers, K, dim]."""
    return np.stack([product(own.numpy(), linear(w.numpy())) for own, w in zip(rows, weights, strict=True)])


def _whole(tokens: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same in the one layout that `gather` is compiled for."""
    return np.ascontiguousarray(tokens, np.int16), np.ascontiguousarray(known)
