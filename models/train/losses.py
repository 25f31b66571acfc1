# SPDX-License-Identifier: GPL-3.0-or-later
"""Reconstruction losses of the codec: log-mel at several scales, compressed STFT, and loudness as the ear has it."""

import math
import sys
from pathlib import Path

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.codec.bands import mel_filters  # noqa: E402


class ReconstructionLoss(nn.Module):
    """Weighted spectral distances between audio [B, N] and its reconstruction.

    The complex STFT counts below `corner` Hz: above, the ear does not follow the phase.
    """

    scales = ((2048, 80), (1024, 64), (512, 40), (256, 20))
    complex_scales = (512, 1024)

    def __init__(self, mel: float = 2.0, stft: float = 2.0, loudness: float = 1.0, corner: float = 3000.0):
        super().__init__()
        self.weights = {"mel": mel, "stft": stft, "loud": loudness}
        self.loudness = Loudness()
        for fft, bins in self.scales:
            self.register_buffer(f"mel{fft}", mel_filters(bins, fft))
            self.register_buffer(f"win{fft}", torch.hann_window(fft))
            f = torch.linspace(0, 8000, fft // 2 + 1)
            self.register_buffer(f"low{fft}", 1 / (1 + (f / corner) ** 4)[:, None, None] + 0.05)

    def _stft(self, x, fft):
        return torch.stft(x, fft, fft // 4, window=getattr(self, f"win{fft}"), return_complex=True)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        """Audio [B, N] and its reconstruction -> the weighted terms."""
        terms = {"mel": 0.0, "stft": 0.0}
        for fft, _ in self.scales:
            a, b = self._stft(x, fft), self._stft(y, fft)
            ma, mb = a.abs() + 1e-7, (b.real**2 + b.imag**2 + 1e-10).sqrt()
            la, lb = (torch.log10((m.transpose(1, 2) @ getattr(self, f"mel{fft}")).clamp(min=1e-3)) for m in (ma, mb))
            terms["mel"] = terms["mel"] + (la - lb).abs().mean() / len(self.scales)
            if fft in self.complex_scales:
                ca, cb = a * ma.pow(-0.6), b * (mb + 1e-3).pow(-0.6)
                part = (torch.view_as_real(ca - cb).abs() * getattr(self, f"low{fft}")).mean()
                terms["stft"] = terms["stft"] + part / len(self.complex_scales)
            if fft == self.loudness.fft:
                terms["loud"] = self.loudness(a.abs().pow(2), b.real**2 + b.imag**2)
        return {k: self.weights[k] * v for k, v in terms.items()}


class Loudness(nn.Module):
    """Disturbance between power spectra [B, F, T], hop fft/4, in points of PESQ: after ITU-T P.862, simplified.

    Bark bands, Zwicker loudness, a dead zone, added sound counted more than missing sound, L6 within 320 ms and L2 over
    those (clauses 10.2.5 to 10.2.12). Without its alignment of time and level and its response of a handset.
    """

    fft = 512

    def __init__(self, rate: int = 16000, bands: int = 49):
        super().__init__()
        f = torch.linspace(0, rate / 2, self.fft // 2 + 1)
        bark = 7 * torch.asinh(f / 650)
        edges = torch.linspace(float(7 * math.asinh(80 / 650)), float(bark[-1]), bands + 1)
        step = torch.cat([bark.diff(), bark.diff()[-1:]])[:, None]
        upper = torch.minimum(bark[:, None] + step / 2, edges[1:])
        lower = torch.maximum(bark[:, None] - step / 2, edges[:-1])
        centre = 650 * torch.sinh((edges[1:] + edges[:-1]) / 2 / 7) / 1000  # kHz
        threshold = 3.64 * centre**-0.8 - 6.5 * torch.exp(-0.6 * (centre - 3.3) ** 2) + 1e-3 * centre**4  # Terhardt
        self.register_buffer("share", ((upper - lower) / step).clamp(0, 1))  # of each bin's width in the band
        self.register_buffer("threshold", 10 ** (threshold.clamp(max=60) / 10))
        self.register_buffer("telephone", ((f > 350) & (f < 3250)).float())  # band in which P.862 sets the level

    def sones(self, power: torch.Tensor) -> torch.Tensor:
        """Zwicker's law on band powers [..., bands]."""
        return 0.1866 * (self.threshold / 0.5) ** 0.23 * ((0.5 + 0.5 * power / self.threshold) ** 0.23 - 1)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        a, b = a.transpose(1, 2), b.transpose(1, 2)
        energy = (a * self.telephone).sum(-1)
        scale = 1e7 / (energy.mean(1) + 1e-9)[:, None]
        band_a, band_b = ((s @ self.share) * scale[..., None] for s in (a, b))
        la, lb = self.sones(band_a), self.sones(band_b)
        difference = ((lb - la).abs() - 0.25 * torch.minimum(la, lb)).clamp(min=0)
        added = ((band_b.detach() + 50) / (band_a + 50)) ** 1.2
        added = torch.where(added < 3, 0.0, added.clamp(max=12))
        quiet = ((energy * scale + 1e5) / 1e7) ** -0.04  # disturbance of quiet frames counts more
        both = ((difference.pow(2).sum(-1) + 1e-6) * 0.5).sqrt() * quiet
        alone = (difference * added).sum(-1) * 0.5 * quiet
        return 0.1 * self._over_time(both) + 0.0309 * self._over_time(alone)

    @staticmethod
    def _over_time(disturbance: torch.Tensor, size: int = 40) -> torch.Tensor:
        """[B, T] of frames -> the mean over the batch."""
        d = disturbance.clamp(max=45) + 1e-3
        size = min(size, d.shape[1])
        part = d.unfold(1, size, size // 2).pow(6).mean(-1).pow(1 / 6)
        return part.pow(2).mean(1).sqrt().mean()
