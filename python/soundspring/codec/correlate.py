# SPDX-License-Identifier: GPL-3.0-or-later
"""Inner products with the entries of a codebook, quickly and nearly, for a search."""

import numpy as np
import torch


def width() -> torch.dtype:
    """bfloat16 where the processor multiplies it, else float32.

    Products of few rows wait for the entries from memory, so half as wide is twice as fast.
    """
    able = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32


class Correlator:
    """codebooks: [layers, entries, dim]."""

    def __init__(self, codebooks: torch.Tensor):
        self.columns = codebooks.detach().transpose(1, 2).to(width())

    @torch.inference_mode()
    def __call__(self, rows: np.ndarray, layer: int) -> np.ndarray:
        """rows float32 [r, dim] -> inner products with the entries of `layer`, float32 [r, entries], to 2-3 digits."""
        return (torch.from_numpy(rows).to(self.columns.dtype) @ self.columns[layer]).float().numpy()
