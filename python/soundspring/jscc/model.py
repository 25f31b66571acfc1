# SPDX-License-Identifier: GPL-3.0-or-later
"""The analog scheme: one network from sound to symbols, one from noisy symbols back, for every SNR.

Its straight part is linear, like SoftCast (Jakubczak, Katabi, HotMobile 2011): companded MDCT coefficients, scaled, are
the symbols, and the receiver weighs them as Wiener would. The networks beside it learn what that misses. Only the
receiver knows the noise.
"""

from dataclasses import asdict, dataclass, replace

import torch
from torch import nn

from ..codec import postfilter
from ..codec.bands import Bands, mel_filters, widths
from ..codec.compander import Compander
from ..codec.contrast import sharpen
from ..codec.mdct import Mdct
from .layers import SuperframeStack
from .spread import Spread

LOST = 1e6  # noise variance that stands for infinity
PRIOR = 0.02  # what the usual power of a band counts against what is seen of it
CLEAR = 0.02  # noise variance at which the postfilter has half of its strength
FLATTER = 0.25  # exponent of a coefficient's deviation by which its value begins to be weaker


@dataclass(frozen=True)
class JsccConfig:
    """Sizes. `symbols` a burst carries; `superframe` frames of `hop` samples share it; `past` frames seen before it.

    power, gain, frame_power: of codec.compander. mel, bands: whose levels the encoder is told; the decoder corrects
    the latter's. postfilter, contrast: strengths of codec.postfilter and codec.contrast in much noise, 0 for none.
    """

    sample_rate: int = 16000
    hop: int = 320
    superframe: int = 5
    symbols: int = 1008
    dim: int = 256
    hidden: int = 704
    encoder_blocks: int = 2
    decoder_blocks: int = 4
    past: int = 6
    power: float = 0.65
    gain: float = 12.0
    frame_power: float = 0.6
    mel: int = 40
    bands: tuple[int, ...] = (4,) * 10 + (6,) * 8 + (10,) * 6 + (16,) * 5 + (23,) * 4
    postfilter: float = 0.6
    contrast: float = 0.15

    def __post_init__(self):
        object.__setattr__(self, "bands", widths(self.bands, self.hop))


@dataclass
class State:
    """What one end remembers: a hop of sound, and the past of its blocks."""

    tail: torch.Tensor
    stack: list[torch.Tensor]


@dataclass
class DecoderState(State):
    """That of the receiving end."""

    postfilter: postfilter.State


class Jscc(nn.Module):
    """Audio [B, n*superframe*hop] float32 in [-1, 1] <-> symbols complex64 [B, n, symbols] of unit mean power.

    Every function takes and returns the state that the next call needs. Audio comes back `delay` samples late.
    """

    def __init__(self, config: JsccConfig | None = None):
        super().__init__()
        self.config = c = config or JsccConfig()
        self.mdct, self.bands = Mdct(c.hop), Bands(c.bands)
        self.compander = Compander(c.power, c.gain, c.frame_power)
        self.fit(c.symbols)
        levels = c.mel + len(c.bands)
        self.register_buffer("mel", mel_filters(c.mel, 2 * c.hop, c.sample_rate)[1:], persistent=False)
        self.enc_skip = nn.Linear(c.hop, c.hop)
        self.enc_in, self.level_in = nn.Linear(c.hop, c.dim), nn.Linear(levels, c.dim, bias=False)
        self.encoder = SuperframeStack(c.encoder_blocks, c.dim, c.hidden, c.superframe, c.past)
        self.enc_out = nn.Linear(c.dim, c.hop)
        self.log_power = nn.Parameter(torch.zeros(c.hop))  # of each value, as the receiver expects it
        beside = torch.ones(c.superframe, c.superframe).triu(-1).tril(1)
        self.register_buffer("beside", beside, persistent=False)
        self.dec_in = nn.Linear(c.hop + c.hop // 2 + len(c.bands) + 1, c.dim)
        self.decoder = SuperframeStack(c.decoder_blocks, c.dim, c.hidden, c.superframe, c.past)
        self.dec_out, self.dec_skip = nn.Linear(c.dim, c.hop), nn.Linear(c.hop, c.hop)
        self.gain_out = nn.Linear(c.dim, len(c.bands))

    def fit(self, symbols: int) -> None:
        """Fill bursts of so many symbols; no weight hangs on their number. ValueError where they are too few."""
        c = self.config
        self.spread, self.config = Spread(c.superframe, c.hop, symbols), replace(c, symbols=symbols)

    @property
    def delay(self) -> int:
        """Samples by which decoded audio lags the input: the overlap of the transform."""
        return self.config.hop

    @property
    def samples(self) -> int:
        """Of a superframe."""
        return self.config.superframe * self.config.hop

    def encoder_state(self, batch: int = 1) -> State:
        return State(self.enc_skip.weight.new_zeros(batch, self.config.hop), self.encoder.initial_state(batch))

    def decoder_state(self, batch: int = 1) -> DecoderState:
        tail, stack = self.enc_skip.weight.new_zeros(batch, self.config.hop), self.decoder.initial_state(batch)
        return DecoderState(tail, stack, postfilter.State.initial(batch))

    def levels(self, windows: torch.Tensor, coefficients: torch.Tensor) -> torch.Tensor:
        """What the encoder is told of the levels of windows [B, T, 2*hop], about -1..1: [B, T, mel + bands]."""
        mel = 0.5 * torch.log10(self.mdct.power(windows, coefficients) @ self.mel + 1e-6) + 1.5
        return torch.cat([mel, 0.3 * self.bands.levels(coefficients) + 1.5], -1)

    def encode(self, audio: torch.Tensor, state: State) -> tuple[torch.Tensor, State]:
        """audio [B, n*superframe*hop] -> symbols complex64 [B, n, symbols]."""
        windows, tail = self.mdct.windows(audio, state.tail)
        coefficients = windows @ self.mdct.basis
        x, levels = self.compander.compress(coefficients), self.levels(windows, coefficients)
        h, stack = self.encoder(self.enc_in(x) + self.level_in(levels), state.stack)
        values = self.enc_skip(x) + self.enc_out(h)
        return self.spread.spread(values.unflatten(1, (-1, self.config.superframe))), State(tail, stack)

    def weigh(
        self, symbols: torch.Tensor, noise_var: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Symbols [B, n, symbols] with noise -> values [B, T, hop], features of them [B, T, .], levels [B, T, 1].

        A value of power p becomes Wiener's estimate y p / (p + v). Where the variance is infinite nothing came: 0.
        """
        arrived = torch.isfinite(noise_var)
        noise_var = torch.where(arrived, noise_var, LOST)
        values, noise, level = self.spread.gather(torch.where(arrived, symbols, 0.0), noise_var)
        reliability = ((1 - torch.log10(noise + 1e-4)) / 4).clamp(min=0.0)  # 0 at a variance of 10, 1 at 0.001
        noise = noise.repeat_interleave(2, -1)
        strength = self.strength(values, noise)
        power = self.log_power.exp() * (strength @ self.bands.member.T)
        values = values * (power / (power + noise))
        level = level[..., None, None].expand(*level.shape, self.config.superframe, 1)
        features = torch.cat([values, reliability, 0.3 * strength.log(), 0.5 * level + 0.75], -1)
        return values.flatten(1, 2), features.flatten(1, 2), level.flatten(1, 2)

    def strength(self, values: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """How much stronger than usual each band is, as the noisy values tell: [B, n, frames, hop] -> [.., bands].

        Weighted least squares over the band in a frame and the frames beside it in the superframe; 1 where nothing is
        known.
        """
        usual = self.log_power.exp()
        trust = usual / (usual + noise).pow(2)
        seen, known = (self.beside @ (trust * t @ self.bands.member) for t in (values.pow(2) - noise, usual))
        return ((seen + PRIOR) / (known + PRIOR)).clamp(min=1e-3)

    def spectrum(
        self, symbols: torch.Tensor, noise_var: torch.Tensor, stack: list[torch.Tensor]
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """As `decode`, -> MDCT coefficients [B, T, hop], new state of the blocks."""
        values, features, level = self.weigh(symbols, noise_var)
        h, stack = self.decoder(self.dec_in(features), stack)
        shape = (self.dec_out(h) + self.dec_skip(values)).float() * level.exp()
        gain = self.gain_out(h).float().clamp(-3.0, 3.0).exp()
        return self.compander.expand(shape) * (gain @ self.bands.member.T), stack

    def decode(
        self, symbols: torch.Tensor, noise_var: torch.Tensor, state: DecoderState
    ) -> tuple[torch.Tensor, DecoderState]:
        """Symbols complex [B, n, symbols], noise variance float [B, n, symbols] (inf: lost) -> audio, `delay` late.

        No gradients pass the postfilter. It and the contrast are the weaker the less noise there is.
        """
        coefficients, stack = self.spectrum(symbols, noise_var, state.stack)
        c, noise = self.config, noise_var.clamp(max=LOST).mean(-1).repeat_interleave(self.config.superframe, 1)
        part = noise / (noise + CLEAR)
        audio, tail = self.mdct.synthesise(sharpen(coefficients, c.contrast * part), state.tail)
        heard, strength = audio.detach().cpu().numpy(), c.postfilter * part.cpu().numpy()
        sound, after = postfilter.postfilter(heard, c.hop, strength, state.postfilter)
        return torch.from_numpy(sound).to(audio.device), DecoderState(tail, stack, after)

    @torch.no_grad()
    def begin_linear(self, audio: torch.Tensor) -> None:
        """Start without the networks: each coefficient a value, by its deviation in audio [B, N] a little weaker.

        SoftCast's exponent of a half serves the mean squared error; half of that sounds better.
        """
        coefficients = self.mdct.analyse(audio, audio.new_zeros(len(audio), self.config.hop))[0]
        deviation = self.compander.compress(coefficients).pow(2).mean((0, 1)).sqrt().clamp(min=1e-3)
        scale = (deviation.mean() / deviation).pow(FLATTER)
        for layer in (self.enc_skip, self.enc_out, self.dec_skip, self.dec_out, self.gain_out):
            layer.weight.mul_(0.02)
            layer.bias.zero_()
        self.enc_skip.weight.add_(torch.diag(scale))
        self.dec_skip.weight.add_(torch.diag(1 / scale))
        power = (scale * deviation).pow(2)
        self.log_power.copy_((power / power.mean()).log())

    def to_dict(self) -> dict:
        return asdict(self.config)
