# SPDX-License-Identifier: GPL-3.0-or-later
"""Reconstruction losses of the codec: log-mel at several scales, compressed STFT, compressed MDCT."""

import math

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


class ReconstructionLoss(nn.Module):
    """Weighted sum of the three spectral distances between audio [B, N] and its reconstruction."""

    scales = ((2048, 80), (1024, 64), (512, 40), (256, 20))

    def __init__(self, mel: float = 1.0, stft: float = 2.0):
        super().__init__()
        self.weight_mel, self.weight_stft = mel, stft
        for fft, bins in self.scales:
            self.register_buffer(f"mel{fft}", mel_filters(bins, fft))
            self.register_buffer(f"win{fft}", torch.hann_window(fft))

    def _stft(self, x, fft):
        return torch.stft(x, fft, fft // 4, window=getattr(self, f"win{fft}"), return_complex=True)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        mel = stft = 0.0
        for fft, _ in self.scales:
            a, b = self._stft(x, fft), self._stft(y, fft)
            ma, mb = a.abs() + 1e-7, (b.real**2 + b.imag**2 + 1e-10).sqrt()
            w = getattr(self, f"mel{fft}")
            la, lb = (torch.log10((m.transpose(1, 2) @ w).clamp(min=1e-3)) for m in (ma, mb))
            mel = mel + (la - lb).abs().mean() / len(self.scales)
            if fft in (512, 1024):
                ca, cb = a * ma.pow(-0.6), b * (mb + 1e-3).pow(-0.6)
                stft = stft + 0.5 * torch.view_as_real(ca - cb).abs().mean()
        return {"mel": self.weight_mel * mel, "stft": self.weight_stft * stft}
