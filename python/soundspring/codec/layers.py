# SPDX-License-Identifier: GPL-3.0-or-later
"""Building blocks that run at the frame rate and carry their past explicitly."""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import nn

FEW = 64  # frames of all streams together, up to which calling a convolution takes longer than what it does


class CausalBlock(nn.Module):
    """ConvNeXt block over time, causal: depth-wise convolution, norm, two point-wise layers, residual.

    Liu et al., "A ConvNet for the 2020s", CVPR 2022. State: the last kernel-1 input frames, [B, kernel-1, dim].
    """

    def __init__(self, dim: int, hidden: int, kernel: int = 7):
        super().__init__()
        self.depthwise = nn.Conv1d(dim, dim, kernel, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.3))
        self.past = kernel - 1

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.scale.new_zeros(batch, self.past, self.scale.numel())

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        padded = torch.cat([state.to(x.dtype), x], dim=1)
        y = self.down(F.gelu(self.up(self.norm(self._along_time(padded)))))
        return x + self.scale * y, padded[:, -self.past :]

    def _along_time(self, padded: torch.Tensor) -> torch.Tensor:
        """The convolution: [B, T + kernel-1, dim] -> [B, T, dim]."""
        if padded.shape[0] * padded.shape[1] > FEW:
            return self.depthwise(padded.transpose(1, 2)).transpose(1, 2)
        return (padded.unfold(1, self.past + 1, 1) * self.depthwise.weight[:, 0]).sum(-1) + self.depthwise.bias


class Stack(nn.Module):
    """A row of blocks that carry their past; its state is the list of theirs."""

    def __init__(self, blocks: Iterable[nn.Module]):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def initial_state(self, batch: int) -> list[torch.Tensor]:
        return [b.initial_state(batch) for b in self.blocks]

    def forward(self, x: torch.Tensor, state: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        new = []
        for block, s in zip(self.blocks, state, strict=True):
            x, s = block(x, s)
            new.append(s)
        return x, new


class CausalStack(Stack):
    """A row of causal blocks."""

    def __init__(self, blocks: int, dim: int, hidden: int):
        super().__init__(CausalBlock(dim, hidden) for _ in range(blocks))
