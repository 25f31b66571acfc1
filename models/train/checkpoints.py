# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks from what training left."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.codec.model import Codec, CodecConfig  # noqa: E402
from soundspring.lm.model import LmConfig, MaskedLm  # noqa: E402


def read(path: Path) -> dict:
    """A checkpoint, in host memory."""
    return torch.load(path, weights_only=True, map_location="cpu")


def load_codec(path: Path) -> Codec:
    """A codec from a training checkpoint or an installed model folder."""
    if path.is_dir():
        from soundspring.codec.api import load

        return load(path)
    saved = read(path)
    codec = Codec(CodecConfig(**saved["config"]))
    codec.load_state_dict(saved["codec"])
    return codec.eval()


def language_model(saved: dict, codebooks: torch.Tensor) -> MaskedLm:
    """The language model of a checkpoint, on the codebooks it was trained with and where they are."""
    model = MaskedLm(LmConfig(**saved.get("config", {})), codebooks).to(codebooks.device)
    model.load_state_dict(saved["model"])
    return model.eval().requires_grad_(False)
