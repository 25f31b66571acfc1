# SPDX-License-Identifier: GPL-3.0-or-later
"""The decoder's postfilter with gradients, so that the decoder learns what to leave to it."""

import sys
from pathlib import Path

import numba
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.codec.postfilter import PARTS, PAST, SECOND, SHORTEST, SIDE, average, periods, taps  # noqa: E402


@numba.njit(cache=True, nogil=True)
def _transposed(gradient, hop, lags, weights, out):
    """The transpose of `average`: gradient [B, N] of its output -> added to out [B, PAST + N]."""
    part = hop // PARTS
    first, second = np.empty((2, 2 * SIDE)), np.empty((2, 2 * SIDE))
    for b in range(len(out)):
        for i in range(gradient.shape[1] // part):
            for side in range(2):
                k1, k2 = taps(lags[b, i + side], first[side]), taps(2 * lags[b, i + side], second[side])
                share = weights[b, i + side] / (1 + weights[b, i + side])
                for n in range(i * part, (i + 1) * part):
                    fade = (n - i * part + 0.5) / part
                    g = gradient[b, n] * (fade if side else 1 - fade)
                    out[b, PAST + n] += g * (1 - share)
                    if share > 0.0:
                        g *= share / (1 + SECOND)
                        for j in range(2 * SIDE):
                            out[b, PAST + n - k1 + j] += g * first[side, j]
                            out[b, PAST + n - k2 + j] += g * SECOND * second[side, j]


class _Average(torch.autograd.Function):
    """Linear in the sound, for the periods that the sound has; those themselves have no gradient."""

    @staticmethod
    def forward(ctx, sound, hop, strength):
        x = np.pad(sound.detach().cpu().numpy().astype(np.float32), ((0, 0), (PAST, 0)))
        lags = np.full((len(x), 1 + sound.shape[1] // hop * PARTS), float(SHORTEST))
        weights = np.zeros_like(lags)
        found = np.empty_like(lags[:, 1:]), np.empty_like(lags[:, 1:])
        periods(x, hop, *found)
        lags[:, 1:], weights[:, 1:] = found[0], strength * found[1]
        out = np.empty_like(x[:, PAST:])
        average(x, hop, lags, weights, out)
        ctx.filter = hop, lags, weights
        return torch.from_numpy(out).to(sound)

    @staticmethod
    def backward(ctx, gradient):
        g = gradient.detach().cpu().numpy().astype(np.float64)
        out = np.zeros((g.shape[0], PAST + g.shape[1]))
        _transposed(g, *ctx.filter, out)
        return torch.from_numpy(out[:, PAST:]).to(gradient), None, None


def postfiltered(sound: torch.Tensor, hop: int, strength: float) -> torch.Tensor:
    """sound [B, T * hop] from silence on -> through the postfilter, as codec/postfilter.py has it."""
    return _Average.apply(sound, hop, strength) if strength else sound
