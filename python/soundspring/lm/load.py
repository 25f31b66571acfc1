# SPDX-License-Identifier: GPL-3.0-or-later
"""Load the language model: one file that coder and concealer share."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import weights
from .model import LmConfig, MaskedLm


@dataclass(frozen=True)
class LanguageModel:
    """model: the network in float32; codebooks [layers, entries, latent]; histogram int64 [layers, entries]."""

    model: MaskedLm
    codebooks: torch.Tensor
    histogram: np.ndarray
    identity: str


def load(folder: str | Path, codec_folder: str | Path) -> LanguageModel:
    """The model of `folder`, tied to the codebooks of the codec it was trained for.

    Raises ValueError when the two do not belong together, FileNotFoundError when files are missing.
    """
    tensors, config = weights.load(Path(folder), kind="lm")
    codec, codec_config = weights.load(Path(codec_folder), kind="codec")
    if config.get("codec_sha256") != weights.identity(codec_config):
        raise ValueError(f"{folder} was trained on another codec than {codec_folder}; install models of one release")
    codebooks = codec["quantizer.codebooks"].float()
    histogram = tensors.pop("histogram").long().numpy()
    model = weights.build(Path(folder), config, tensors, lambda sizes: MaskedLm(LmConfig(**sizes), codebooks))
    return LanguageModel(model, codebooks, histogram, weights.identity(codec_config, config))
