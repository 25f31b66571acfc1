# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the values of a superframe's frames stand among the symbols of its burst, and how its level travels."""

import math

import torch
from torch import nn

POINTS = 192  # of the curve, between which the level is interpolated by its posterior mean
POWER = 2.5  # of the symbols that carry the level: all else hangs on it
CYCLES = (0.5, 3.0)  # that the slowest and the fastest of them turn over the whole range of levels


class Spread(nn.Module):
    """Values [..., frames, width] <-> symbols [..., symbols] of unit mean power, each frame's all over the burst.

    Two values make a symbol. Neighbours in a frame are about 0.38 of the burst apart, so that a weak carrier or a bad
    moment takes a little of everything.

    Each burst has the same power, so the level of its values, the logarithm of their root mean square, travels in the
    symbols that are left over. They turn with the level at different speeds: a point on a curve, which is exact where
    the channel is good and never ambiguous. The receiver takes the mean of the levels, weighted by their likelihood.

    Raises:
        ValueError: fewer than 4 symbols are left over for the level, or so many that they take half of the power.
    """

    def __init__(self, frames: int, width: int, symbols: int, lowest: float = -4.5, highest: float = 1.5):
        super().__init__()
        self.frames, self.width, self.symbols = frames, width, symbols
        self.values = frames * width // 2
        left = symbols - self.values
        if frames * width % 2 or left < 4 or POWER * left > symbols / 2:
            raise ValueError(f"symbols: {symbols} do not hold {frames} times {width} values and 4 symbols more, or far "
                             "too many more")
        self.lowest, self.highest = lowest, highest
        self.power = (symbols - POWER * left) / self.values
        step = next(s for s in range(round(0.382 * symbols), 2 * symbols + 1) if math.gcd(s, symbols) == 1)
        self.register_buffer("place", torch.arange(symbols) * step % symbols, persistent=False)
        self.register_buffer("cycles", 2 * math.pi * torch.linspace(*CYCLES, left), persistent=False)
        self.register_buffer("grid", torch.linspace(lowest, highest, POINTS), persistent=False)

    def curve(self, level: torch.Tensor) -> torch.Tensor:
        """Levels [...] -> the symbols that carry them, complex64 [..., left over]."""
        part = (level - self.lowest) / (self.highest - self.lowest)
        return torch.polar(torch.full_like(self.cycles, math.sqrt(POWER)), part[..., None] * self.cycles)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """float [..., frames, width] -> complex64 [..., symbols]."""
        flat = values.float().flatten(-2)
        mean = flat.pow(2).mean(-1) + math.exp(2 * self.lowest)
        level = (0.5 * mean.log()).clamp(max=self.highest)
        pairs = torch.view_as_complex(flat.unflatten(-1, (-1, 2)).contiguous())
        pairs = pairs * (self.power / pairs.abs().pow(2).mean(-1).clamp(min=1e-9)).sqrt()[..., None]
        out = pairs.new_empty(*pairs.shape[:-1], self.symbols)
        out[..., self.place] = torch.cat([pairs, self.curve(level)], -1)
        return out

    def gather(
        self, symbols: torch.Tensor, noise_var: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Symbols complex [..., symbols] with noise -> what came of them.

        Returns values [..., frames, width] of unit power on average; their noise variance [..., frames, width/2], one
        for two of them; the level [...].
        """
        symbols, noise_var = symbols[..., self.place], noise_var[..., self.place]
        pairs = torch.view_as_real(symbols[..., : self.values]) * math.sqrt(2 / self.power)
        shape = (self.frames, self.width)
        values = pairs.flatten(-2).unflatten(-1, shape)
        noise = noise_var[..., : self.values].unflatten(-1, (self.frames, self.width // 2)) / self.power
        return values, noise, self.level(symbols[..., self.values :], noise_var[..., self.values :])

    def level(self, symbols: torch.Tensor, noise_var: torch.Tensor) -> torch.Tensor:
        """The mean of the level [...], given the symbols that carry it; the middle where nothing came."""
        per_noise = symbols / noise_var.clamp(min=1e-4)
        likelihood = 2 * (per_noise @ self.curve(self.grid).mH).real
        return (likelihood.softmax(-1) * self.grid).sum(-1)
