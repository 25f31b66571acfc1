# SPDX-License-Identifier: GPL-3.0-or-later
"""What entries cost, for the transmitter's search: quickly and nearly. Only the coder must be exact (`network.py`)."""

import math

import numpy as np
import torch

from .model import MaskedLm


def width() -> torch.dtype:
    """bfloat16 where the processor multiplies it, else float32.

    Products of few rows wait for the weights from memory, so half as wide is twice as fast.
    """
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class Products:
    """Rows times one of many matrices, float [n, K, M], which are kept in `width()`."""

    def __init__(self, matrices: torch.Tensor):
        self.matrices = matrices.detach().to(width())

    @torch.inference_mode()
    def __call__(self, rows: np.ndarray, index: int) -> np.ndarray:
        """rows float32 [r, K] @ matrices[index] -> float32 [r, M], to two or three digits."""
        return self.of(torch.from_numpy(rows), index).float().numpy()

    def of(self, rows: torch.Tensor, index: int) -> torch.Tensor:
        """The same on tensors; the result is as wide as the matrices."""
        return rows.to(self.matrices.dtype) @ self.matrices[index]


class Prices:
    """Bits of every entry of a layer, from the input of the heads. outputs: as of `MaskedLm.outputs`, all layers."""

    def __init__(self, model: MaskedLm, outputs: torch.Tensor):
        self.model, self.outputs = model, Products(outputs)

    @torch.inference_mode()
    def __call__(self, z: np.ndarray, layer: int) -> np.ndarray:
        """z [r, dim] -> float32 [r, entries], to two digits behind the point."""
        hidden = self.model.neck(torch.from_numpy(z).float())
        logits = self.model.bias[layer] + self.outputs.of(hidden, layer)
        return logits.log_softmax(-1).mul_(-1 / math.log(2)).numpy()
