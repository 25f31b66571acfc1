# SPDX-License-Identifier: GPL-3.0-or-later
"""A discriminator over complex spectrograms, and what it tells a decoder: sound like speech, not like its mean."""

import torch
from torch import nn
from torch.nn.functional import leaky_relu
from torch.nn.utils.parametrizations import weight_norm


class SpectralDiscriminator(nn.Module):
    """Judges audio [B, N] by its compressed complex STFT of `fft` samples: lists of feature maps, the judgement last.

    Strided along frequency from the first layer on (after the multi-resolution discriminators of UnivNet, EnCodec and
    DAC, an order of magnitude cheaper): a step on a CPU must not cost more than the decoder's own.
    """

    def __init__(self, fft: int, channels: int = 16):
        super().__init__()
        c = channels
        shapes = (
            (2, c, (3, 9), (1, 4)),
            (c, 2 * c, (3, 9), (2, 4)),
            (2 * c, 4 * c, (3, 5), (1, 2)),
            (4 * c, 4 * c, (3, 3), (1, 1)),
            (4 * c, 1, (3, 3), (1, 1)),
        )
        self.fft = fft
        self.register_buffer("window", torch.hann_window(fft))
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(i, o, k, s, padding=(k[0] // 2, k[1] // 2))) for i, o, k, s in shapes
        )

    def forward(self, audio: torch.Tensor) -> list[torch.Tensor]:
        s = torch.stft(audio, self.fft, self.fft // 4, window=self.window, return_complex=True)
        s = torch.view_as_real(s)
        s = s * (s.pow(2).sum(-1, keepdim=True) + 1e-6).pow(-0.35)  # magnitude to the power 0.3
        x, maps = s.permute(0, 3, 2, 1), []  # [B, 2, time, frequency]
        for layer in self.layers[:-1]:
            x = leaky_relu(layer(x), 0.2)
            maps.append(x)
        return [*maps, self.layers[-1](x)]


class Adversary(nn.Module):
    """Discriminators of several resolutions with least-squares losses (LSGAN) and feature matching."""

    def __init__(self, sizes: tuple[int, ...] = (256, 512, 1024), channels: int = 16):
        super().__init__()
        self.parts = nn.ModuleList(SpectralDiscriminator(n, channels) for n in sizes)

    def judge(self, real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
        """The discriminators' own loss for audio [B, N] and what a decoder made of it; `made` gets no gradient."""
        loss = real.new_zeros(())
        for part in self.parts:
            loss = loss + (1 - part(real)[-1]).pow(2).mean() + part(made.detach())[-1].pow(2).mean()
        return loss / len(self.parts)

    def advise(self, real: torch.Tensor, made: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The decoder's losses: (to be taken for real, distance of the feature maps in units of the real ones')."""
        fool, match = made.new_zeros(()), made.new_zeros(())
        for part in self.parts:
            with torch.no_grad():
                true = part(real)
            maps = part(made)
            fool = fool + (1 - maps[-1]).pow(2).mean() / len(self.parts)
            for a, b in zip(true[:-1], maps[:-1], strict=True):
                match = match + (a - b).abs().mean() / (a.abs().mean() + 1e-3) / (len(maps) - 1) / len(self.parts)
        return fool, match
