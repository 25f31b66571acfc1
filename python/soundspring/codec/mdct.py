# SPDX-License-Identifier: GPL-3.0-or-later
"""The transform: an orthonormal MDCT with a sine window and 50 % overlap (TDAC).

Princen, Johnson, Bradley: "Subband/transform coding using filter bank designs
based on time domain aliasing cancellation", ICASSP 1987.
"""

import math

import torch
from torch import nn


class Mdct(nn.Module):
    """MDCT of `hop` coefficients over windows of 2*hop samples.

    Frame t covers samples [hop*(t-1), hop*(t+1)): it needs nothing later than its
    own hop, so analysis is causal, and synthesis of frame t completes the samples
    of hop t-1 (a delay of one hop).
    """

    def __init__(self, hop: int = 320):
        super().__init__()
        self.hop = hop
        n = torch.arange(2 * hop, dtype=torch.float64) + 0.5
        k = torch.arange(hop, dtype=torch.float64) + 0.5
        window = torch.sin(math.pi / (2 * hop) * n)
        phase = math.pi / hop * torch.outer(n + hop / 2, k)
        basis = window[:, None] * torch.cos(phase) * math.sqrt(2.0 / hop)
        self.register_buffer("basis", basis.float(), persistent=False)
        quadrature = window[:, None] * torch.sin(phase) * math.sqrt(2.0 / hop)
        self.register_buffer("quadrature", quadrature.float(), persistent=False)

    def windows(self, audio: torch.Tensor, tail: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """audio [B, T*hop] after tail [B, hop] (the hop before it) -> the windows [B, T, 2*hop], new tail."""
        x = torch.cat([tail, audio], dim=1)
        return x.unfold(1, 2 * self.hop, self.hop), x[:, -self.hop :]

    def analyse(self, audio: torch.Tensor, tail: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """audio [B, T*hop] after tail [B, hop] -> coefficients [B, T, hop], new tail."""
        windows, tail = self.windows(audio, tail)
        return windows @ self.basis, tail

    def power(self, windows: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """Power spectrum [B, T, hop] of windows with these coefficients: with the MDST beside the MDCT it is steady."""
        return coefficients.float().pow(2) + (windows @ self.quadrature).float().pow(2)

    def synthesise(self, coefficients: torch.Tensor, tail: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """coefficients [B, T, hop] -> audio [B, T*hop] one hop late, and the overlap [B, hop] to carry on."""
        y = coefficients @ self.basis.T
        first, second = y[..., : self.hop], y[..., self.hop :]
        carried = torch.cat([tail[:, None], second[:, :-1]], dim=1)
        return (first + carried).flatten(1), second[:, -1]
