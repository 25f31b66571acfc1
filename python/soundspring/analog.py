# SPDX-License-Identifier: GPL-3.0-or-later
"""The analog chain as plain functions, beside the digital one of `link`: the oracle of its blocks.

It is the chain of any scheme that makes a burst's whole payload of a superframe of sound (`SymbolLink`); comparisons
send conventional codecs through it.

    sound -> symbols -> samples -> (channel) -> samples -> equalised symbols with their noise -> sound

Its bursts are those of a digital profile: the same preamble, header, pilots, length, power and limit of peaks. Only
the payload is analog. The header is coded as ever and names the weights, so a receiver of the other scheme drops them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, pairwise
from pathlib import Path
from time import perf_counter

import numpy as np

from . import weights
from .burst_header import HeaderCode
from .coding.packet import BurstHeader, PacketError, model_id
from .link import SEQUENCES, Counts, LinkResult, RadioLink, Timer, Unwrapper, one_thread, superframes
from .modem.receiver import Burst
from .profile import LinkProfile, load, with_radio


class AnalogModel:
    """The network of the analog scheme, loaded once and shared by both ends of a link."""

    def __init__(self, folder: str | Path | None = None):
        self.folder = weights.find_model("jscc") if folder is None else Path(folder)
        self.sha256 = weights.identity(weights.read_config(self.folder))
        self._networks: dict[int, object] = {}

    def network(self, symbols: int):
        """For bursts of so many payload symbols. ValueError where they are too few."""
        from .jscc.api import load

        if symbols not in self._networks:
            self._networks[symbols] = load(self.folder, symbols)
        return self._networks[symbols]


@lru_cache(maxsize=2)
def _model_in(folder: str) -> AnalogModel:
    one_thread()
    return AnalogModel()


def shared_model() -> AnalogModel:
    """The installed model, one copy for all blocks of a process."""
    return _model_in(str(weights.models_dir()))


class SymbolFrameCoder:
    """Headers of bursts whose payload is nothing but symbols."""

    def __init__(self, profile: LinkProfile, sha256: str):
        self._profile, self.model = profile, model_id(sha256, 6)
        self.header_code = HeaderCode(profile.phy.header_code_bits)

    def encode(self, sequence: int) -> np.ndarray:
        """The header of superframe `sequence` as code bits, uint8 [H]."""
        return self.header_code.encode(BurstHeader(self._profile.id, self.model, sequence % SEQUENCES))

    def decode_header(self, llr: np.ndarray) -> BurstHeader | None:
        """LLRs [H] -> the header, or None where it is damaged or foreign."""
        try:
            header = self.header_code.decode(llr, self.model)
        except PacketError:
            return None
        return header if header.profile == self._profile.id else None

    def payload_symbols(self, header: BurstHeader) -> int:
        """Symbols behind a header of ours."""
        return self._profile.phy.payload_symbols


class SymbolLink(RadioLink, ABC):
    """A scheme that makes a burst's whole payload of a superframe of sound: what the functions below carry."""

    label: str
    """Names the scheme."""
    source_bits = 0
    """Bits of the source in a superframe; 0 for one that sends no bits."""

    def __init__(self, profile: LinkProfile, models):
        if profile.security:
            raise ValueError(f"security: scheme {self.label} has no packets to authenticate; leave the key out")
        super().__init__(profile, models)

    @property
    @abstractmethod
    def delay(self) -> int:
        """Samples by which decoded sound lags the input."""

    @abstractmethod
    def encoder(self):
        """A stream with `push(float32 [n * superframe]) -> complex64 [n, symbols]` and `reset()`."""

    @abstractmethod
    def decoder(self):
        """A stream with `push(symbols, noise_var) -> float32 [n * superframe]`, `lost()` and `reset()`."""

    @cached_property
    def parts(self) -> list[slice]:
        """Where in a burst's payload the profile has its packets; the receiver's blocks hand on such parts."""
        return [slice(*part) for part in pairwise(accumulate((p.symbols for p in self.profile.phy.packets), initial=0))]

    @abstractmethod
    def fates(self, symbols: np.ndarray, noise_var: np.ndarray) -> tuple[str, ...]:
        """What came of a superframe, symbols [n] and noise, inf where nothing: "ok" or "lost" for each of `parts`."""

    def frame_coder(self) -> SymbolFrameCoder:
        return SymbolFrameCoder(self.profile, self.models.sha256)


class AnalogLink(SymbolLink):
    """The analog scheme in the bursts of one profile. Raises ValueError where they do not fit the network."""

    label = "jscc"

    def __init__(self, profile: str | LinkProfile = "reference", models: AnalogModel | None = None):
        super().__init__(with_radio(load(profile)), models or shared_model())
        self.network = self.models.network(self.profile.phy.payload_symbols)
        if self.network.samples != self.profile.superframe_samples:
            raise ValueError(
                f"profile: a superframe of {self.profile.name} has {self.profile.superframe_samples} samples, one of "
                f"the jscc model {self.network.samples}; choose a profile such as reference"
            )

    @property
    def delay(self) -> int:
        return self.network.delay

    def fates(self, symbols: np.ndarray, noise_var: np.ndarray) -> tuple[str, ...]:
        came = np.isfinite(noise_var)
        return tuple("ok" if came[part].all() else "lost" for part in self.parts)

    def encoder(self):
        from .jscc.api import Transmitter

        return Transmitter(self.network)

    def decoder(self):
        from .jscc.api import Receiver

        return Receiver(self.network)


def encode(link: SymbolLink, audio: np.ndarray) -> np.ndarray:
    """Sound float32 [n] at 16 kHz -> complex64 [superframes, symbols]."""
    return link.encoder().push(superframes(audio, link.profile, link.delay).ravel())


def decode(link: SymbolLink, symbols: np.ndarray, noise_var: np.ndarray, samples: int) -> np.ndarray:
    """Symbols [superframes, n] with their noise, inf where lost -> sound float32 [samples], aligned with the input."""
    audio = link.decoder().push(symbols, noise_var)[link.delay :]
    return np.pad(audio, (0, max(samples - len(audio), 0)))[:samples]


def modulate(link: SymbolLink, symbols: np.ndarray) -> np.ndarray:
    """Symbols [superframes, n] -> complex64 samples, one burst per superframe period with silence behind it."""
    coder, modulator, out = link.frame_coder(), link.modulator(), np.zeros((len(symbols), link.period), np.complex64)
    for sequence, row in enumerate(symbols):
        burst = modulator.modulate(coder.encode(sequence), row)
        out[sequence, : len(burst)] = burst
    return out.ravel()


def demodulate(link: SymbolLink, samples: np.ndarray, chunk: int = 1 << 16) -> list[tuple[int, Burst]]:
    """complex64 samples -> (superframe, burst) of each one found in them, in order of arrival."""
    receiver, unwrap = link.receiver(link.frame_coder()), Unwrapper(link.period, 0)
    bursts = [b for at in range(0, len(samples), chunk) for b in receiver.push(samples[at : at + chunk])]
    return [(unwrap(b.header.sequence, b.start_sample), b) for b in [*bursts, *receiver.flush()] if b.header]


def in_order(link: SymbolLink, found: Iterable[tuple[int, Burst]], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbols and noise variances [count, n] of superframes 0..count-1; zeros and inf where none came."""
    shape = (count, link.profile.phy.payload_symbols)
    symbols, noise_var = np.zeros(shape, np.complex64), np.full(shape, np.inf, np.float32)
    for sequence, burst in found:
        if 0 <= sequence < count:
            symbols[sequence], noise_var[sequence] = burst.symbols, burst.noise_var
    return symbols, noise_var


def run(link: SymbolLink, audio: np.ndarray, channel=None, loss=None) -> LinkResult:
    """Send sound through everything, as `link.run` does. Without a channel the symbols arrive as they are.

    `loss` has a draw for each part of a burst in which the digital scheme would have a packet.
    """
    timer, found = Timer(), []
    begin = perf_counter()
    sent = encode(link, audio)
    if channel is not None:
        samples = modulate(link, sent)
        timer.tx, samples = perf_counter() - begin, channel.process(samples)
        begin = perf_counter()
        found = demodulate(link, samples)
        symbols, noise_var = in_order(link, found, len(sent))
    else:
        timer.tx, begin = perf_counter() - begin, perf_counter()
        symbols, noise_var = sent, np.zeros(sent.shape, np.float32)
    if loss is not None:
        drop(link, noise_var, loss)
    out = decode(link, symbols, noise_var, len(audio))
    timer.rx = perf_counter() - begin
    fates = [link.fates(*rows) for rows in zip(symbols, noise_var, strict=True)]
    counts = counted(link, fates, len(sent) if channel is not None else 0, len(found))
    points = np.concatenate([*(b.symbols for _, b in found), np.zeros(0, np.complex64)])
    return LinkResult(out, counts, timer, points, [float(b.snr_db) for _, b in found])


def counted(link: SymbolLink, fates: Sequence[tuple[str, ...]], sent: int, detected: int) -> Counts:
    """What became of superframes, `fates` a row each; sent, detected: bursts."""
    counts = Counts(
        bursts_sent=sent,
        bursts_detected=detected,
        packets_sent=len(fates) * len(link.parts),
        frames_concealed=sum("ok" not in fate for fate in fates) * link.profile.superframe,
        model_bits=len(fates) * link.source_bits,
        payload_bits=len(fates) * sum(link.profile.room) if link.source_bits else 0,
    )
    for fate in fates:
        counts.note(fate)
    return counts


def drop(link: SymbolLink, noise_var: np.ndarray, loss) -> None:
    """Lay the losses of a process with `step(n) -> bool [n]` over the parts of superframes: their noise becomes inf."""
    gone = loss.step(len(noise_var) * len(link.parts)).reshape(len(noise_var), -1)
    for row, lost in zip(noise_var, gone, strict=True):
        for part in np.flatnonzero(lost):
            row[link.parts[part]] = np.inf
