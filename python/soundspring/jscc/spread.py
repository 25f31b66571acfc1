# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the values of a superframe's frames stand among the symbols of its burst, and how its level travels."""

import math

import torch
from torch import nn

POINTS = 192  # of the curve, between which the level is interpolated by its posterior mean
LEVEL_SYMBOLS = 16  # at least
POWER = 2.5  # of the symbols that carry the level: all else hangs on it
CYCLES = (0.5, 3.0)  # that the slowest and the fastest of them turn over the whole range of levels


class Spread(nn.Module):
    """Values [..., frames, width] <-> symbols [..., symbols] of unit mean power, each frame's all over the burst.

    Two values make a symbol. Neighbours in a frame are about 0.38 of the burst apart, so that a weak carrier or a bad
    moment takes a little of everything. Where there is room for more, the first values of each frame, the lowest
    frequencies, are sent once more; the receiver takes the mean that has least noise.

    Each burst has the same power, so the level of its values, the logarithm of their root mean square, travels in the
    symbols that are left over. They turn with the level at different speeds: a point on a curve, which is exact where
    the channel is good and never ambiguous. The receiver takes the mean of the levels, weighted by their likelihood.

    Raises:
        ValueError: too few symbols for the values and their level.
    """

    def __init__(self, frames: int, width: int, symbols: int, lowest: float = -4.5, highest: float = 1.5):
        super().__init__()
        self.frames, self.width, self.symbols = frames, width, symbols
        pairs = (symbols - LEVEL_SYMBOLS) // frames  # of each frame
        if width % 2 or 2 * pairs < width or POWER * (symbols - frames * pairs) > symbols / 2:
            needed = max(frames * -(-width // 2) + LEVEL_SYMBOLS, round(2 * POWER * (LEVEL_SYMBOLS + frames)))
            raise ValueError(f"symbols: {symbols} do not hold {frames} frames of {width} values, an even number, and "
                             f"their level; {needed} would")
        self.values = frames * pairs
        self.lowest, self.highest = lowest, highest
        left = symbols - self.values
        self.power = (symbols - POWER * left) / self.values
        step = next(s for s in range(round(0.382 * symbols), 2 * symbols + 1) if math.gcd(s, symbols) == 1)
        self.register_buffer("place", torch.arange(symbols) * step % symbols, persistent=False)
        self.register_buffer("source", torch.arange(2 * pairs) % width, persistent=False)
        self.register_buffer("cycles", 2 * math.pi * torch.linspace(*CYCLES, left), persistent=False)
        self.register_buffer("grid", torch.linspace(lowest, highest, POINTS), persistent=False)

    def curve(self, level: torch.Tensor) -> torch.Tensor:
        """Levels [...] -> the symbols that carry them, complex64 [..., left over]."""
        part = (level - self.lowest) / (self.highest - self.lowest)
        return torch.polar(torch.full_like(self.cycles, math.sqrt(POWER)), part[..., None] * self.cycles)

    def spread(self, values: torch.Tensor) -> torch.Tensor:
        """float [..., frames, width] -> complex64 [..., symbols]."""
        flat = values.float()[..., self.source].flatten(-2)
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
        sent = symbols[..., : self.values].unflatten(-1, (self.frames, -1)) * math.sqrt(2 / self.power)
        trust = self.power / noise_var[..., : self.values].unflatten(-1, (self.frames, -1)).clamp(min=1e-6)
        sums = (self.again(x) for x in (sent.real * trust, sent.imag * trust, trust))
        real, imaginary, trust = sums
        values = torch.stack([real / trust, imaginary / trust], -1).flatten(-2)
        return values, 1 / trust, self.level(symbols[..., self.values :], noise_var[..., self.values :])

    def again(self, x: torch.Tensor) -> torch.Tensor:
        """[..., pairs] -> the sums of what stands for the same pair, [..., width/2]."""
        pair = self.source[::2] // 2
        return x.new_zeros(*x.shape[:-1], self.width // 2).index_add(-1, pair, x)

    def level(self, symbols: torch.Tensor, noise_var: torch.Tensor) -> torch.Tensor:
        """The mean of the level [...], given the symbols that carry it; the middle where nothing came."""
        per_noise = symbols / noise_var.clamp(min=1e-4)
        likelihood = 2 * (per_noise @ self.curve(self.grid).mH).real
        return (likelihood.softmax(-1) * self.grid).sum(-1)
