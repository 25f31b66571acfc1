# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec: one causal network for every rate, 0.5 kbps a layer at 50 frames a second."""

from dataclasses import asdict, dataclass

import torch
from torch import nn

from . import postfilter
from .bands import Bands, mel_filters, widths
from .compander import Compander
from .contrast import sharpen
from .layers import CausalStack
from .mdct import Mdct
from .rvq import ResidualQuantizer


@dataclass(frozen=True)
class CodecConfig:
    """Sizes of a codec.

    `power` compresses each MDCT coefficient, sign(x)|gain*x|^power; `frame_power` then the level of each frame:
    its root mean square r becomes r^frame_power, so that quiet frames use as many codebook entries as loud ones.
    The encoder is also shown the levels of `mel` bands of the power spectrum and of `bands` of the MDCT (widths in
    coefficients); the decoder states the latter anew and brings its coefficients to them. `postfilter` is the strength
    of the decoder's long-term postfilter, `contrast` that of its short-term one (contrast.py); 0 for none.
    """

    sample_rate: int = 16000
    hop: int = 320
    layers: int = 24
    entries: int = 1024
    latent: int = 192
    dim: int = 256
    hidden: int = 1024
    encoder_blocks: int = 5
    decoder_blocks: int = 10
    power: float = 0.75
    gain: float = 12.0
    frame_power: float = 0.5
    mel: int = 40
    bands: tuple[int, ...] = (4,) * 10 + (6,) * 8 + (10,) * 6 + (16,) * 5 + (23,) * 4
    postfilter: float = 0.4
    contrast: float = 0.15

    def __post_init__(self):
        object.__setattr__(self, "bands", widths(self.bands, self.hop))


@dataclass
class EncoderState:
    tail: torch.Tensor
    stack: list[torch.Tensor]


@dataclass
class DecoderState:
    tail: torch.Tensor
    stack: list[torch.Tensor]
    postfilter: postfilter.State


class Codec(nn.Module):
    """Audio [B, T*hop] float32 in [-1, 1] <-> latents [B, T, latent] <-> tokens [B, T, K].

    Every function takes and returns the state that the next call needs; a whole
    file is one call from the initial state. Decoded audio comes `delay` samples late.
    """

    def __init__(self, config: CodecConfig | None = None):
        super().__init__()
        self.config = c = config or CodecConfig()
        self.mdct = Mdct(c.hop)
        self.compander = Compander(c.power, c.gain, c.frame_power)
        self.enc_skip = nn.Linear(c.hop, c.latent)
        self.enc_in = nn.Linear(c.hop, c.dim)
        self.bands = Bands(c.bands)
        self.register_buffer("mel", mel_filters(c.mel, 2 * c.hop, c.sample_rate)[1:], persistent=False)
        self.level_skip = nn.Linear(c.mel + len(c.bands), c.latent, bias=False)
        self.level_in = nn.Linear(c.mel + len(c.bands), c.dim, bias=False)
        self.encoder = CausalStack(c.encoder_blocks, c.dim, c.hidden)
        self.enc_out = nn.Linear(c.dim, c.latent)
        # The encoder would blow up its output against the quantiser's error; dividing by the spread stops that.
        self.register_buffer("spread", torch.ones(()))
        self.quantizer = ResidualQuantizer(c.layers, c.entries, c.latent)
        self.rate_embedding = nn.Embedding(c.layers + 1, c.dim)
        self.dec_in = nn.Linear(c.latent, c.dim)
        self.decoder = CausalStack(c.decoder_blocks, c.dim, c.hidden)
        self.dec_out = nn.Linear(c.dim, c.hop)
        self.dec_skip = nn.Linear(c.latent, c.hop)
        self.level_out = nn.Linear(c.dim, len(c.bands))
        self.level_dec_skip = nn.Linear(c.latent, len(c.bands), bias=False)
        nn.init.constant_(self.level_out.bias, -5.0)
        nn.init.normal_(self.rate_embedding.weight, std=0.02)

    @property
    def delay(self) -> int:
        """Samples by which decoded audio lags the input: the overlap of the transform."""
        return self.config.hop

    def compress(self, x: torch.Tensor) -> torch.Tensor:
        """MDCT coefficients [..., hop] -> the same, compressed."""
        return self.compander.compress(x)

    def expand(self, y: torch.Tensor) -> torch.Tensor:
        """The inverse of `compress`."""
        return self.compander.expand(y)

    def encoder_state(self, batch: int = 1) -> EncoderState:
        return EncoderState(self.enc_skip.weight.new_zeros(batch, self.config.hop), self.encoder.initial_state(batch))

    def decoder_state(self, batch: int = 1) -> DecoderState:
        tail, stack = self.enc_skip.weight.new_zeros(batch, self.config.hop), self.decoder.initial_state(batch)
        return DecoderState(tail, stack, postfilter.State.initial(batch))

    def analyse(self, audio: torch.Tensor, state: EncoderState) -> tuple[torch.Tensor, EncoderState]:
        """audio [B, T*hop] -> latents [B, T, latent] before quantisation."""
        windows, tail = self.mdct.windows(audio, state.tail)
        coefficients = windows @ self.mdct.basis
        x, levels = self.compress(coefficients), self.levels(windows, coefficients)
        h, stack = self.encoder(self.enc_in(x) + self.level_in(levels), state.stack)
        latent = self.enc_skip(x) + self.enc_out(h) + self.level_skip(levels)
        return latent / self.spread, EncoderState(tail, stack)

    def levels(self, windows: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """What the encoder is told of the levels of windows [B, T, 2*hop], about -1..1: [B, T, mel + bands]."""
        mel = 0.5 * torch.log10(self.mdct.power(windows, coefficients) @ self.mel + 1e-6) + 1.5
        return torch.cat([mel, 0.3 * self.bands.levels(coefficients) + 1.5], -1)

    def spectrum(
        self, latent: torch.Tensor, layers: torch.Tensor, stack: list[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
        """As `synthesise`, -> MDCT coefficients [B, T, hop], the levels of their bands, new state of the blocks."""
        h, stack = self.decoder(self.dec_in(latent) + self.rate_embedding(layers), stack)
        levels = (self.level_out(h) + self.level_dec_skip(latent)).float().clamp(-10.0, 2.0)
        shape = self.expand((self.dec_out(h) + self.dec_skip(latent)).float())
        return self.bands.bring_to(shape, levels), levels, stack

    def synthesise(
        self, latent: torch.Tensor, layers: torch.Tensor, state: DecoderState
    ) -> tuple[torch.Tensor, DecoderState]:
        """latents [B, T, latent] of `layers` int64 [B, T] known layers each -> audio [B, T*hop], `delay` late.

        No gradients pass the postfilter.
        """
        coefficients, _, stack = self.spectrum(latent, layers, state.stack)
        audio, tail = self.mdct.synthesise(sharpen(coefficients, self.config.contrast), state.tail)
        heard, before = audio.detach().cpu().numpy(), state.postfilter
        sound, after = postfilter.postfilter(heard, self.config.hop, self.config.postfilter, before)
        return torch.from_numpy(sound).to(audio.device), DecoderState(tail, stack, after)

    def to_dict(self) -> dict:
        return asdict(self.config)
