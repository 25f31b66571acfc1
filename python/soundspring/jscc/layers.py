# SPDX-License-Identifier: GPL-3.0-or-later
"""Building blocks that see a superframe at once: it is sent and received as a whole, so none of it is the future."""

import math

import torch
import torch.nn.functional as F
from torch import nn

from ..codec.layers import Stack


class SuperframeBlock(nn.Module):
    """ConvNeXt block whose depth-wise convolution sees all frames of the own superframe and `past` frames before it.

    Each place in the superframe has a kernel of its own, for its neighbours are others. Otherwise as
    codec.layers.CausalBlock. State: the last `past` input frames, [B, past, dim].
    """

    def __init__(self, dim: int, hidden: int, superframe: int, past: int):
        super().__init__()
        self.past, self.superframe = past, superframe
        self.kernel = nn.Parameter(torch.randn(dim, superframe, past + superframe) / math.sqrt(past + superframe))
        self.bias = nn.Parameter(torch.zeros(dim))
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, hidden)
        self.down = nn.Linear(hidden, dim)
        self.scale = nn.Parameter(torch.full((dim,), 0.3))

    def initial_state(self, batch: int) -> torch.Tensor:
        return self.scale.new_zeros(batch, self.past, self.scale.numel())

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """[B, n*superframe, dim] -> the same."""
        padded = torch.cat([state.to(x.dtype), x], dim=1)
        windows = padded.unfold(1, self.past + self.superframe, self.superframe)  # [B, n, dim, past+superframe]
        y = torch.einsum("bndk,dfk->bnfd", windows, self.kernel.to(x.dtype)).flatten(1, 2) + self.bias
        y = self.down(F.gelu(self.up(self.norm(y))))
        return x + self.scale * y, padded[:, padded.shape[1] - self.past :]


class SuperframeStack(Stack):
    """A row of such blocks."""

    def __init__(self, blocks: int, dim: int, hidden: int, superframe: int, past: int):
        super().__init__(SuperframeBlock(dim, hidden, superframe, past) for _ in range(blocks))
