# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec on numpy arrays: streaming encoder and decoder with their state inside."""

from pathlib import Path

import numpy as np
import torch

from .. import weights
from .model import Codec, CodecConfig

BEAM = 8


def load(folder: str | Path) -> Codec:
    """The codec of a model folder. Raises FileNotFoundError or ValueError that says what is wrong with it."""
    tensors, config = weights.load(Path(folder), kind="codec")
    return weights.build(Path(folder), config, tensors, lambda sizes: Codec(CodecConfig(**sizes)))


class Encoder:
    """Sound to tokens. `layers`: 1..24, 0.5 kbps each; `beam`: partial codes kept while quantising (1: greedy)."""

    def __init__(self, codec: Codec, layers: int, beam: int = BEAM):
        if layers not in range(1, codec.config.layers + 1):
            raise ValueError(f"layers: expected a whole number from 1 to {codec.config.layers}, got {layers}")
        if beam not in range(1, codec.config.entries + 1):
            raise ValueError(f"beam: expected a whole number from 1 to {codec.config.entries}, got {beam}")
        self.codec, self.layers, self.beam = codec, layers, beam
        self.offsets = [codec.quantizer.offset(k) for k in range(layers)]
        self.reset()

    def reset(self) -> None:
        self.state = self.codec.encoder_state()

    def push(self, audio: np.ndarray) -> np.ndarray:
        """float32 [n*320] in [-1, 1] at 16 kHz -> int16 [n, layers]: `analyse`, then `quantise`."""
        return self.quantise(self.analyse(audio))

    @torch.inference_mode()
    def analyse(self, audio: np.ndarray) -> np.ndarray:
        """float32 [n*320] in [-1, 1] at 16 kHz -> latents float32 [n, latent]. Raises ValueError on another length.

        What lies beyond full scale is clipped to it, and NaN counts as 0.
        """
        hop = self.codec.config.hop
        if audio.ndim != 1 or len(audio) % hop:
            raise ValueError(f"audio: expected whole frames of {hop} samples, got shape {audio.shape}")
        if not len(audio):
            return np.zeros((0, self.codec.config.latent), np.float32)
        sound = np.clip(np.nan_to_num(audio.astype(np.float32)), -1.0, 1.0)
        z, self.state = self.codec.analyse(torch.from_numpy(sound)[None], self.state)
        return z[0].numpy()

    @torch.inference_mode()
    def quantise(self, latent: np.ndarray) -> np.ndarray:
        """latents float32 [n, latent] -> int16 [n, layers]."""
        if not len(latent):
            return np.zeros((0, self.layers), np.int16)
        tokens = self.codec.quantizer.encode(torch.from_numpy(latent), self.layers, self.beam, self.offsets)
        return tokens.numpy().astype(np.int16)


class Decoder:
    """Latents or tokens to sound, `codec.delay` (320) samples late."""

    def __init__(self, codec: Codec):
        self.codec = codec
        self.reset()

    def reset(self) -> None:
        self.state = self.codec.decoder_state()

    @torch.inference_mode()
    def push(self, latent: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """latent float32 [n, latent] of `layers` int [n] known layers each -> float32 [n*320].

        Raises ValueError on other shapes or layers beyond the codec's.
        """
        c = self.codec.config
        if latent.ndim != 2 or latent.shape[1] != c.latent:
            raise ValueError(f"latent: expected shape [n, {c.latent}], got {latent.shape}")
        if layers.shape != latent.shape[:1] or not ((layers >= 0) & (layers <= c.layers)).all():
            raise ValueError(f"layers: expected {len(latent)} numbers from 0 to {c.layers}, got {layers}")
        if not len(latent):
            return np.zeros(0, np.float32)
        args = (torch.from_numpy(np.ascontiguousarray(a)) for a in (latent.astype(np.float32), layers.astype(np.int64)))
        audio, self.state = self.codec.synthesise(*(a[None] for a in args), self.state)
        return audio[0].numpy()

    def push_tokens(self, tokens: np.ndarray) -> np.ndarray:
        """tokens int16 [n, K], all received -> float32 [n*320]."""
        latent = latents(self.codec, tokens)
        return self.push(latent, np.full(len(tokens), tokens.shape[1]))


def latents(codec: Codec, tokens: np.ndarray) -> np.ndarray:
    """tokens int16 [n, K] -> the sum of their codebook vectors, float32 [n, latent]. Raises ValueError out of range."""
    if tokens.ndim != 2 or not 1 <= tokens.shape[1] <= codec.config.layers:
        raise ValueError(f"tokens: expected shape [n, 1..{codec.config.layers}], got {tokens.shape}")
    if tokens.size and (tokens.min() < 0 or tokens.max() >= codec.config.entries):
        raise ValueError(f"tokens: expected 0..{codec.config.entries - 1}, got {tokens.min()}..{tokens.max()}")
    return codec.quantizer.decode(torch.from_numpy(tokens.astype(np.int64))).numpy()
