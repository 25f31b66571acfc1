# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks from what training left."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring import weights  # noqa: E402
from soundspring.codec.model import Codec, CodecConfig  # noqa: E402
from soundspring.lm.model import LmConfig, MaskedLm  # noqa: E402

STATE = {"codec": "codec", "lm": "model"}  # what checkpoints call the tensors of each kind


def read(path: Path) -> dict:
    """A checkpoint in host memory; of the folder of a model what its checkpoint would say."""
    if not path.is_dir():
        return torch.load(path, weights_only=True, map_location="cpu")
    kind = weights.read_config(path)["kind"]
    tensors, config = weights.load(path, kind)
    tensors.pop("histogram", None)  # of the tokens that a language model was trained on
    whole = {k: v.float() if v.is_floating_point() else v for k, v in tensors.items()}
    past = config["training"]
    return {STATE[kind]: whole, "config": config["sizes"], "step": past["steps"], "seconds": 60 * past["minutes"]}


def spent(saved: dict) -> dict:
    """The steps and seconds of training in a checkpoint, with what it began with."""
    return {k: saved[k] + saved.get("earlier", {}).get(k, 0) for k in ("step", "seconds")}


def load_codec(path: Path) -> Codec:
    """A codec from a training checkpoint or the folder of a model."""
    saved = read(path)
    codec = Codec(CodecConfig(**saved["config"]))
    codec.load_state_dict(saved["codec"])
    return codec.eval()


def language_model(saved: dict, codebooks: torch.Tensor) -> MaskedLm:
    """The language model of a checkpoint, on the codebooks it was trained with and where they are."""
    model = MaskedLm(LmConfig(**saved.get("config", {})), codebooks).to(codebooks.device)
    model.load_state_dict(saved["model"])
    return model.eval().requires_grad_(False)
