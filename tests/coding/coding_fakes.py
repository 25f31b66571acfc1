# SPDX-License-Identifier: GPL-3.0-or-later
"""Stand-ins for the language model: small, seeded, with its interface and its dependence on context."""
from __future__ import annotations

import numpy as np


class MlpSource:
    """A random float64 network: a trunk mixing the window's visible tokens, heads that see the frame's lower layers."""

    def __init__(self, seed: int, layers: int = 6, width: int = 16, spread: float = 0.5):
        rng = np.random.default_rng(seed)
        self.embedding = rng.normal(size=(layers, 1024, width))
        self.mix = rng.normal(size=(width, width)) / width**0.5
        self.heads = rng.normal(size=(layers, width, 1024)) * spread
        self.bias = rng.normal(size=(layers, width)) * 0.5

    def _sum(self, tokens, mask):
        layers = np.arange(tokens.shape[1])
        return (self.embedding[layers, tokens] * mask[..., None]).sum(axis=1)

    def begin(self, tokens, visible):
        assert not tokens[~visible].any(), "hidden tokens must not reach the model"
        frames = np.arange(len(tokens))
        near = np.exp(-np.abs(frames[:, None] - frames) / 3.0)
        return np.tanh(near @ self._sum(tokens, visible) @ self.mix)

    def logits(self, state, frames, layer, tokens, known):
        assert not tokens[~known].any()
        return self._head(state, frames, layer, tokens[frames], known[frames])

    def _head(self, state, frames, layer, tokens, known):
        lower = known & (np.arange(known.shape[1]) < layer)
        return np.tanh(state[frames] + self._sum(tokens, lower) @ self.mix + self.bias[layer]) @ self.heads[layer]


class Perturbed:
    """The same source on another machine: each logit is off by up to `amount`."""

    def __init__(self, source, amount: float, seed: int = 0):
        self.source, self.amount, self.rng = source, amount, np.random.default_rng(seed)

    def begin(self, tokens, visible):
        return self.source.begin(tokens, visible)

    def logits(self, *args):
        logits = self.source.logits(*args)
        return logits + self.rng.uniform(-self.amount, self.amount, logits.shape)


class IntegerSource:
    """Logits on the grid from a hash of the context, in integers only: the same everywhere, for golden vectors."""

    def begin(self, tokens, visible):
        t, k = np.nonzero(visible)
        return int((tokens[t, k].astype(np.int64) * 7 + t * 131 + k * 29 + 1).sum())

    def logits(self, state, frames, layer, tokens, known):
        lower = np.array([(tokens[f, :layer].astype(np.int64) * known[f, :layer]).sum() for f in frames])
        key = (lower + state)[:, None] * 40503 + np.asarray(frames)[:, None] * 2531 + layer * 977
        mixed = (key + np.arange(1024) * 2654435761) % 4294967296
        mixed = (mixed ^ mixed >> 15) * 2246822519 % 4294967296
        return (mixed >> 16) % 48 * 0.25


def sample(source, visible, group, offset=0, seed=0):
    """Tokens int16 [T, K] drawn from the source itself in the group's order; all other tokens are random."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(0, 1024, visible.shape).astype(np.int16)
    truth, seen = tokens.copy(), visible.copy()
    for step in group.schedule:
        frames = np.array(step) + offset
        state = source.begin(np.where(seen, truth, 0), seen)
        for layer in range(*group.layers):
            logits = source.logits(state, frames, layer, np.where(seen, truth, 0), seen)
            p = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
            truth[frames, layer] = [np.searchsorted(row, rng.uniform(0, row[-1])) for row in p]
            seen[frames, layer] = True
    return truth
