# SPDX-License-Identifier: GPL-3.0-or-later
"""Matrix products in float64 whose order of additions is written down, so that no BLAS decides the last bits.

For the few rows of a superframe such products wait for the weights to arrive from memory. These stay float32 there,
which holds them exactly: twice as fast as the same in a BLAS.
"""

import numba
import numpy as np
import torch
from torch import nn

COLUMNS = 128  # of a block: the sums of five rows stay in the fastest cache


@numba.njit(cache=True, nogil=True)
def _accumulate(x, w, out):
    """out [n, M] += x [n, K] @ w [K, M], every sum from k = 0 upwards."""
    rows, inner = x.shape
    for start in range(0, w.shape[1], COLUMNS):
        stop = min(start + COLUMNS, w.shape[1])
        size = stop - start
        for k in range(0, inner - 3, 4):  # four at a time, for fewer rounds through `out`
            w0, w1, w2, w3 = w[k, start:stop], w[k + 1, start:stop], w[k + 2, start:stop], w[k + 3, start:stop]
            for i in range(rows):
                x0, x1, x2, x3, sums = x[i, k], x[i, k + 1], x[i, k + 2], x[i, k + 3], out[i, start:stop]
                for j in range(size):
                    sums[j] = (((sums[j] + x0 * w0[j]) + x1 * w1[j]) + x2 * w2[j]) + x3 * w3[j]
        for k in range(inner - inner % 4, inner):
            row = w[k, start:stop]
            for i in range(rows):
                factor, sums = x[i, k], out[i, start:stop]
                for j in range(size):
                    sums[j] += factor * row[j]


def product(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """x float64 [n, K] times w float32 or float64 [K, M] -> float64 [n, M]."""
    out = np.zeros((x.shape[0], w.shape[1]))
    _accumulate(np.ascontiguousarray(x), w, out)
    return out


class ExactLinear(nn.Module):
    """nn.Linear by `product`: float64 in and out, weights as they are."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        # [out, in] as there, but laid out for `product`.
        self.register_buffer("weight", linear.weight.detach().T.contiguous().T)
        self.register_buffer("bias", linear.bias.detach().double())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = product(x.reshape(-1, x.shape[-1]).numpy(), self.weight.T.numpy())
        return torch.from_numpy(y).view(*x.shape[:-1], -1) + self.bias


def exact_linears(twin: nn.Module, source: nn.Module) -> None:
    """Replace every nn.Linear below `twin` by an ExactLinear with the weights of its namesake below `source`."""
    for name, child in source.named_children():
        if isinstance(child, nn.Linear):
            setattr(twin, name, ExactLinear(child))
        else:
            exact_linears(getattr(twin, name), child)
