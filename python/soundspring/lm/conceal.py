# SPDX-License-Identifier: GPL-3.0-or-later
"""Concealment: the same network estimates what did not arrive, from everything that did."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from .model import MaskedLm

HOLD = 8  # frames of a gap that play at full level
FADE = 0.85  # level per frame after that
BLEND = 0.8  # share of the last good latent in a frame of which nothing arrived; the rest is the model's expectation
FLOOR = 0.03  # comfort noise: what a long gap fades to


@dataclass(frozen=True)
class Estimate:
    """latent float32 [S, latent] to decode, layers int [S] it is worth, concealed bool [S].

    It is worth the layers that arrived; where none did, it resembles the last whole one, and so do they.
    gain float32 [S + 1]: the level at the boundaries of the frames, 1 but for long gaps.
    """

    latent: np.ndarray
    layers: np.ndarray
    gain: np.ndarray
    concealed: np.ndarray


class Concealer:
    """Streams over superframes; an erased token becomes its expected codebook vector given the window.

    layers: number of layers of the profile. context: frames of the past that the trunk sees. lookahead: superframes
    to wait for (0 or more); the estimate then comes that much later. groups: layers at which each packet ends, rising
    to `layers` (None: one packet). A packet counts as lost where its first layer is missing: one that had no room for
    all its layers carries the lower ones. Raises ValueError on impossible arguments.
    """

    def __init__(
        self,
        model: MaskedLm,
        codebooks: torch.Tensor,
        layers: int,
        context: int = 20,
        lookahead: int = 0,
        groups: Sequence[int] | None = None,
    ):
        if layers not in range(1, model.config.layers + 1):
            raise ValueError(f"layers: expected a whole number from 1 to {model.config.layers}, got {layers}")
        if context < 0 or lookahead < 0:
            raise ValueError(f"context, lookahead: expected 0 or more, got {context}, {lookahead}")
        groups = list(groups or [layers])
        if groups != sorted(set(groups)) or groups[0] < 1 or groups[-1] != layers:
            raise ValueError(f"groups: expected rising layer counts that end with {layers}, got {groups}")
        # For each layer the first one of its packet.
        self.first = torch.tensor([start for start, stop in pairwise([0, *groups]) for _ in range(start, stop)])
        self.model, self.books, self.layers = model, codebooks, layers
        self.context, self.lookahead = context, lookahead
        with torch.inference_mode():
            self.outputs = model.outputs(slice(0, layers))
        self.reset()

    def reset(self) -> None:
        """Forget the past."""
        self.tokens = np.zeros((0, self.layers), np.int16)
        self.received = np.zeros((0, self.layers), bool)
        self.sent = np.zeros(0, int)
        self.waiting: list[int] = []
        self.gap, self.level = 0, 1.0
        self.last: np.ndarray | None = None

    def push(self, tokens: np.ndarray, received: np.ndarray, sent: int | None = None) -> Estimate | None:
        """tokens int16, received bool [S, layers] -> the estimate of the superframe `lookahead` back, None at first.

        sent: layers that this superframe has packets for, the others are no loss; None: all. Raises ValueError on other
        shapes.
        """
        if tokens.ndim != 2 or tokens.shape != received.shape or tokens.shape[1] != self.layers:
            raise ValueError(
                f"tokens, received: expected [S, {self.layers}] alike, got {tokens.shape} and {received.shape}"
            )
        self.tokens = np.concatenate([self.tokens, np.where(received, tokens, 0).astype(np.int16)])
        self.received = np.concatenate([self.received, received])
        self.sent = np.concatenate([self.sent, np.full(len(tokens), sent or self.layers)])
        self.waiting.append(len(tokens))
        if len(self.waiting) <= self.lookahead:
            return None
        return self._oldest()

    def flush(self) -> list[Estimate]:
        """What still waits for a future that will not come."""
        return [self._oldest() for _ in range(len(self.waiting))]

    def _oldest(self) -> Estimate:
        ahead, size = sum(self.waiting[1:]), self.waiting.pop(0)
        stop = len(self.tokens) - ahead
        out = self._estimate(slice(stop - size, stop))
        keep = max(stop - self.context, 0)
        self.tokens, self.received, self.sent = self.tokens[keep:], self.received[keep:], self.sent[keep:]
        return out

    @torch.inference_mode()
    def _estimate(self, own: slice) -> Estimate:
        tokens = torch.from_numpy(self.tokens.astype(np.int64))
        received = torch.from_numpy(self.received)
        mine, got = tokens[own], received[own]
        vectors = self.books[torch.arange(self.layers), mine] * got[..., None]
        lost = ~got[:, self.first] & (torch.arange(self.layers) < torch.from_numpy(self.sent[own])[:, None])
        # Estimated is what was lost, and what was left out below something that was not; layers never sent are no loss.
        depth = ((got | lost) * torch.arange(1, self.layers + 1)).amax(1)
        missing = ~got & (torch.arange(self.layers) < depth[:, None])
        if missing.any():
            self._add_expected(vectors, tokens, received, own, missing)
        alive = got.any(1).numpy()
        latent = self._blend(vectors.sum(1).numpy(), alive)
        worth = torch.where(got.any(1), got.sum(1), depth)
        return Estimate(latent, worth.numpy(), self._gains(alive), lost.any(1).numpy())

    def _blend(self, latent: np.ndarray, alive: np.ndarray) -> np.ndarray:
        """An expectation is smoother than speech; where nothing arrived it is mixed with the last latent that did."""
        out = latent.copy()
        for i, ok in enumerate(alive):
            if ok:
                self.last = latent[i]
            elif self.last is not None:
                out[i] = BLEND * self.last + (1 - BLEND) * latent[i]
        return out

    def _add_expected(
        self, vectors: torch.Tensor, tokens: torch.Tensor, received: torch.Tensor, own: slice, missing: torch.Tensor
    ) -> None:
        """vectors [S, layers, latent] += E[vector | what arrived] for the missing tokens of the own frames."""
        which = slice(int(missing.any(0).int().argmax()), self.layers)
        h = self.model.trunk(tokens[None], received[None])[0, own]
        z = self.model.head_states(h, tokens[own], received[own], which)
        logits = torch.baddbmm(self.model.bias[which, None], z, self.outputs[which])
        expected = torch.bmm(logits.softmax(-1), self.books[which]).transpose(0, 1)
        vectors[:, which] += expected * missing[:, which, None]

    def _gains(self, alive: np.ndarray) -> np.ndarray:
        out = [self.level]
        for ok in alive:
            self.gap = 0 if ok else self.gap + 1
            out.append(max(FADE ** max(self.gap - HOLD, 0), FLOOR))
        self.level = out[-1]
        return np.array(out, np.float32)
