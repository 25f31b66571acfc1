# SPDX-License-Identifier: GPL-3.0-or-later
"""The analog scheme on numpy arrays: a streaming transmitter and receiver with their state inside."""

from pathlib import Path

import numpy as np
import torch

from .. import weights
from .model import Jscc, JsccConfig


def load(folder: str | Path, symbols: int | None = None) -> Jscc:
    """The model of a folder. Raises FileNotFoundError or ValueError that says what is wrong with it.

    symbols: that a burst carries, if not as many as in training; the more, the more values are sent twice. ValueError
    where they are too few.
    """
    tensors, config = weights.load(Path(folder), kind="jscc")
    model = weights.build(Path(folder), config, tensors, lambda sizes: Jscc(JsccConfig(**sizes)))
    if symbols is not None:
        model.fit(symbols)
    return model


class Transmitter:
    """Sound to symbols, superframe by superframe."""

    def __init__(self, model: Jscc):
        self.model = model
        self.reset()

    def reset(self) -> None:
        """What comes next is another sound."""
        self.state = self.model.encoder_state()

    @torch.inference_mode()
    def push(self, audio: np.ndarray) -> np.ndarray:
        """float32 [n*1600] in [-1, 1] at 16 kHz -> complex64 [n, symbols], each row of unit mean power.

        What lies beyond full scale is clipped to it, and NaN counts as 0. Raises ValueError on another length.
        """
        size = self.model.samples
        if audio.ndim != 1 or len(audio) % size:
            raise ValueError(f"audio: expected whole superframes of {size} samples, got shape {audio.shape}")
        if not len(audio):
            return np.zeros((0, self.model.config.symbols), np.complex64)
        sound = np.clip(np.nan_to_num(audio.astype(np.float32)), -1.0, 1.0)
        symbols, self.state = self.model.encode(torch.from_numpy(sound)[None], self.state)
        return symbols[0].numpy()


class Receiver:
    """Symbols to sound, `model.delay` (320) samples late. It may begin anywhere in a transmission."""

    def __init__(self, model: Jscc):
        self.model = model
        self.reset()

    def reset(self) -> None:
        """What comes next is another transmission."""
        self.state = self.model.decoder_state()

    @torch.inference_mode()
    def push(self, symbols: np.ndarray, noise_var: np.ndarray) -> np.ndarray:
        """Equalised symbols of consecutive superframes -> sound.

        Args:
            symbols: complex [n, symbols], as sent but for noise.
            noise_var: float [n, symbols], variance of that noise; inf where nothing came (see `lost`), and then the
                symbol does not matter.

        Returns:
            float32 [n*1600] in [-1, 1].

        Raises:
            ValueError: other shapes, or a variance that is negative or NaN.
        """
        wanted = self.model.config.symbols
        if symbols.ndim != 2 or symbols.shape[1] != wanted:
            raise ValueError(f"symbols: expected shape [n, {wanted}], got {symbols.shape}")
        if noise_var.shape != symbols.shape or not (noise_var >= 0).all():
            raise ValueError(f"noise_var: expected a variance of 0 or more for each symbol, shape {symbols.shape}")
        if not len(symbols):
            return np.zeros(0, np.float32)
        noise = np.where(np.isfinite(symbols), noise_var, np.inf).astype(np.float32)
        args = (np.nan_to_num(symbols, posinf=0.0, neginf=0.0).astype(np.complex64), noise)
        audio, self.state = self.model.decode(*(torch.from_numpy(a)[None] for a in args), self.state)
        return np.clip(np.nan_to_num(audio[0].numpy()), -1.0, 1.0)

    def lost(self, count: int = 1) -> np.ndarray:
        """`push` for `count` superframes of which nothing came: the network continues what it heard before."""
        shape = (count, self.model.config.symbols)
        return self.push(np.zeros(shape, np.complex64), np.full(shape, np.inf, np.float32))
