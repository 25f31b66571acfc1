# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of bands of a spectrum: what the ear cares for first."""

import math
from collections.abc import Iterable

import torch
from torch import nn


def mel_filters(bins: int, fft: int, rate: int = 16000) -> torch.Tensor:
    """Triangular filters on the mel scale (O'Shaughnessy), [fft//2+1, bins], each of unit sum."""
    edges = 700 * (10 ** (torch.linspace(0, 2595 * math.log10(1 + rate / 2 / 700), bins + 2) / 2595) - 1)
    f = torch.linspace(0, rate / 2, fft // 2 + 1)
    rise = (f[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - f[:, None]) / (edges[2:] - edges[1:-1])
    w = torch.minimum(rise, fall).clamp(min=0)
    return w / w.sum(0).clamp(min=1e-6)


def widths(bands: Iterable[int], hop: int) -> tuple[int, ...]:
    """The widths of bands, as a list of a configuration or a tuple; ValueError unless they fill hop coefficients."""
    if sum(bands := tuple(bands)) != hop:
        raise ValueError(f"bands: the widths must sum to hop = {hop}, not {sum(bands)}")
    return bands


class Bands(nn.Module):
    """Neighbouring coefficients in bands of the given widths. A level is the logarithm of the root mean square."""

    lowest = 1e-8  # mean square of a band that is empty

    def __init__(self, widths: tuple[int, ...]):
        super().__init__()
        member = torch.repeat_interleave(torch.eye(len(widths)), torch.tensor(widths), dim=0)
        self.register_buffer("member", member, persistent=False)
        self.register_buffer("mean", member / torch.tensor(widths), persistent=False)

    def levels(self, coefficients: torch.Tensor) -> torch.Tensor:
        """[..., hop] -> nepers [..., bands]."""
        return 0.5 * torch.log(coefficients.float().pow(2) @ self.mean + self.lowest)

    def bring_to(self, coefficients: torch.Tensor, levels: torch.Tensor) -> torch.Tensor:
        """Scale each band of [..., hop] to its level [..., bands], by 26 dB at most.

        A shape that was coded coarsely comes out too weak; the right loudness of the wrong shape sounds better than
        that (gain-shape coding, as in CELT, RFC 6716).
        """
        gain = (levels - self.levels(coefficients)).clamp(-3.0, 3.0).exp()
        return coefficients * (gain @ self.member.T)
