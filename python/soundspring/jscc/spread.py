# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the values of a superframe's frames stand among the symbols of its burst."""

import math

import torch
from torch import nn


class Spread(nn.Module):
    """Values [..., frames, width] <-> symbols [..., symbols], each frame's all over the burst.

    Two values make a symbol. Neighbours in a frame are about 0.38 of the burst apart, so that a weak carrier or a bad
    moment takes a little of everything; symbols that are left over (fewer than there are frames) are zero.
    """

    def __init__(self, frames: int, symbols: int):
        super().__init__()
        if symbols < frames:
            raise ValueError(f"symbols: {symbols} are too few for {frames} frames")
        self.frames, self.symbols, self.width = frames, symbols, 2 * (symbols // frames)
        used = frames * self.width // 2
        step = next(s for s in range(round(0.382 * symbols), 2 * symbols + 1) if math.gcd(s, symbols) == 1)
        self.register_buffer("place", torch.arange(used) * step % symbols, persistent=False)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """float [..., frames, width] -> complex64 [..., symbols], of unit mean power over the symbols."""
        flat = values.float().flatten(-2)
        power = flat.pow(2).sum(-1, keepdim=True) / self.symbols
        flat = flat * (power + 1e-12).rsqrt()
        pairs = torch.view_as_complex(flat.unflatten(-1, (-1, 2)).contiguous())
        out = pairs.new_zeros(*pairs.shape[:-1], self.symbols)
        out[..., self.place] = pairs
        return out

    def gather(self, symbols: torch.Tensor) -> torch.Tensor:
        """complex [..., symbols] -> float [..., frames, width]."""
        pairs = torch.view_as_real(symbols[..., self.place])
        return pairs.flatten(-2).unflatten(-1, (self.frames, self.width))

    def gather_real(self, per_symbol: torch.Tensor) -> torch.Tensor:
        """One number of each symbol, float [..., symbols] -> [..., frames, width/2], as the pairs of values stand."""
        return per_symbol[..., self.place].unflatten(-1, (self.frames, self.width // 2))
