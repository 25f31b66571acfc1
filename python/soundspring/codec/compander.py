# SPDX-License-Identifier: GPL-3.0-or-later
"""Companding of spectra: weak coefficients and quiet frames are brought closer to strong and loud ones."""

from dataclasses import dataclass

import torch


def level(x: torch.Tensor) -> torch.Tensor:
    """Root mean square of each frame, kept off zero: [..., hop] -> [..., 1]."""
    return (x.pow(2).mean(-1, keepdim=True) + 1e-4).sqrt()


@dataclass(frozen=True)
class Compander:
    """sign(x)|gain*x|^power of each coefficient; a frame's root mean square r then becomes r^frame_power."""

    power: float
    gain: float
    frame_power: float

    def compress(self, x: torch.Tensor) -> torch.Tensor:
        """MDCT coefficients [..., hop] -> the same, compressed."""
        x = x * self.gain
        x = x.sign() * (x.abs() + 1e-5).pow(self.power)
        return x * level(x).pow(self.frame_power - 1)

    def expand(self, y: torch.Tensor) -> torch.Tensor:
        """The inverse of `compress`."""
        y = y * level(y).pow(1 / self.frame_power - 1)
        # The small offset keeps the gradient of the power finite at zero.
        return y.sign() * (y.abs() + 1e-5).pow(1 / self.power) / self.gain
