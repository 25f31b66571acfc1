# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole chain as plain functions: the oracle that every block is tested against.

    sound -> tokens -> payloads -> code bits -> symbols -> samples -> (channel) -> and all the way back

A `Link` holds the models and one profile, or a ladder of them; its stages are small objects with a `push`, the same
that the GNU Radio blocks hold. Functions for whole files call the same stages.

On a ladder the transmitter may change the rung from one superframe to the next: `switches` {superframe: rung} says from
where on which one is sent, the lowest before the first of them. The receiver reads the rung from each burst's header.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from time import perf_counter
from typing import Protocol

import numpy as np

from . import weights
from .burst_header import HeaderCode
from .coding import pmf
from .coding.datagram import pack_datagram, unpack_datagram
from .coding.packet import BurstHeader, Packet, PacketError, model_id, payload_bytes
from .coding.seal import UNCHECKED, Opener, Refused, Sealer, read_key
from .coding.search import RateDistortionSearch
from .coding.superframe import DecodedSuperframe, Plan, SuperframeDecoder, SuperframeEncoder, repaired
from .coding.transcode import EncodedGroup
from .fec.ldpc import LdpcCode
from .fec.scramble import whitening
from .modem.burst import BurstModulator
from .modem.numerology import Numerology
from .modem.qam import demap, map_bits
from .modem.receiver import Burst, BurstReceiver
from .modem.wide_search import WideReceiver, make_receiver
from .profile import FRAME, Ladder, LinkProfile, load_ladder, with_radio

SEQUENCES = 256  # of the 8-bit sequence number in a burst header or a datagram


class Models:
    """Codec and language model, loaded once and shared by both ends of a link."""

    def __init__(self, codec: str = "codec", lm: str = "lm"):
        self.codec_folder, self.lm_folder = weights.find_model(codec), weights.find_model(lm)

    @cached_property
    def codec(self):
        from .codec.api import load

        return load(self.codec_folder)

    @cached_property
    def lm(self):
        from .lm.load import load

        return load(self.lm_folder, self.codec_folder)

    @cached_property
    def source(self):
        from .lm.source import PmfSource

        return PmfSource(self.lm.model)

    @cached_property
    def correlate(self):
        """`search.Product` of the codebooks."""
        from .codec.correlate import Correlator

        return Correlator(self.codec.quantizer.codebooks)

    @cached_property
    def static(self) -> pmf.StaticPmf:
        return pmf.StaticPmf(self.lm.histogram)

    @cached_property
    def sha256(self) -> str:
        """Identity of the bit stream: the hash over the hashes of both models' weights."""
        return self.lm.identity

    def load(self) -> None:
        """Load everything now rather than at first use."""
        _ = self.codec, self.source, self.correlate, self.static


def one_thread() -> None:
    """Keep torch to one thread: on nets of this size more only steal cores from the rest of a flowgraph."""
    if "OMP_NUM_THREADS" not in os.environ:
        import torch

        torch.set_num_threads(1)


@lru_cache(maxsize=2)
def _models_in(folder: str) -> Models:
    one_thread()
    return Models()


def shared_models() -> Models:
    """The installed models, one copy for all blocks of a process."""
    return _models_in(str(weights.models_dir()))


@dataclass(frozen=True)
class Frame:
    """What the receiver recovered of one burst: its sequence number (unwrapped) and payload bits, None where lost."""

    sequence: int
    payloads: list[np.ndarray | None]
    burst: Burst | None = None


class HeaderReader(Protocol):
    """What a receiver of bursts asks about their headers."""

    header_code: HeaderCode

    def decode_header(self, llr: np.ndarray) -> BurstHeader | None: ...

    def payload_symbols(self, header: BurstHeader) -> int: ...


class FrameCoder:
    """Payloads of one superframe <-> header code bits and symbols: LDPC and QAM by the `phy` of a ladder's rungs."""

    def __init__(self, profile: LinkProfile | Ladder, sha256: str):
        self.ladder = load_ladder(profile)
        common = self.ladder.common
        if common.phy is None:
            raise ValueError(f"profile {common.name!r} has no phy section: choose one with a radio, or channel none")
        self.model = model_id(sha256, 6)
        self.header_code = HeaderCode(common.phy.header_code_bits)
        self.codes = {
            p.id: [LdpcCode(x.payload_bits, x.code_bits, x.bits_per_symbol) for x in p.phy.packets]
            for p in self.ladder.rungs
        }

    def encode(
        self, sequence: int, payloads: Sequence[np.ndarray], profile: LinkProfile | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """uint8 payload bits (zeros fill their block) -> header code bits uint8 [H], symbols complex64 [n].

        profile: the rung to send on; the lowest if not given.
        """
        profile = profile or self.ladder.common
        header = BurstHeader(profile.id, self.model, sequence % SEQUENCES)
        symbols = []
        for bits, code, phy in zip(payloads, self.codes[profile.id], profile.phy.packets, strict=True):
            if len(bits) > code.k:
                raise ValueError(f"payload: {len(bits)} bits exceed the profile's {code.k}")
            block = np.zeros(code.k, np.uint8)
            block[: len(bits)] = bits
            symbols.append(map_bits(code.encode(block ^ whitening(code.k)), phy.bits_per_symbol))
        return self.header_code.encode(header), np.concatenate(symbols)

    def decode_header(self, llr: np.ndarray) -> BurstHeader | None:
        """LLRs [H] -> the header, or None where it is damaged or foreign."""
        try:
            header = self.header_code.decode(llr, self.model)
        except PacketError:
            return None
        return header if self.ladder.find(header.profile) else None

    def payload_symbols(self, header: BurstHeader) -> int:
        """Symbols behind a header of ours."""
        return self.ladder.find(header.profile).phy.payload_symbols

    def decode(
        self, symbols: np.ndarray, noise_var: np.ndarray, profile: LinkProfile | None = None
    ) -> list[np.ndarray | None]:
        """Equalised symbols [n] and their noise variance -> payload bits of each packet, None where decoding failed.

        profile: the rung that the header announced; the lowest if not given.
        """
        out, at, profile = [], 0, profile or self.ladder.common
        for code, phy in zip(self.codes[profile.id], profile.phy.packets, strict=True):
            own = slice(at, at + phy.symbols)
            at += phy.symbols
            result = code.decode(demap(symbols[own], noise_var[own], phy.bits_per_symbol))
            out.append(result.bits ^ whitening(code.k) if result.ok else None)
        return out


class Unwrapper:
    """Superframe numbers from 8-bit ones: the number nearest to what the arrival time says.

    Each burst sets the clock for the next ones, so that neither a drift of the sender's clock nor its pauses add up.
    One that is more than `SLIP` numbers off may begin another transmission, a restart of the sender for instance: it is
    numbered `RESTART` further on, which no loss can be taken for. If the next burst goes on from there it was one; else
    it was a header that noise had changed, and the clock is what it was.

    period: samples from burst to burst. origin: sample at which superframe 0 starts, by the last burst; None: the first
    one tells.
    """

    SLIP = 4
    RESTART = 4 * SEQUENCES

    def __init__(self, period: int, origin: int | None = None):
        self.period, self.origin = period, origin
        self._suspect: int | None = None  # the origin by a burst that may have begun another transmission

    def __call__(self, sequence: int, start_sample: int) -> int:
        if self.origin is None:
            self.origin = start_sample - sequence * self.period
        for origin in (self.origin, self._suspect):
            if origin is not None:
                number, slip = self._nearest(origin, sequence, start_sample)
                if slip <= self.SLIP:
                    self.origin, self._suspect = start_sample - number * self.period, None
                    return number
        number = self._nearest(self.origin, sequence, start_sample)[0] + self.RESTART
        self._suspect = start_sample - number * self.period
        return number

    def _nearest(self, origin: int, sequence: int, start_sample: int) -> tuple[int, int]:
        """The number nearest to what the time says, and how far it is from that."""
        expected = round((start_sample - origin) / self.period)
        number = expected + (sequence - expected + SEQUENCES // 2) % SEQUENCES - SEQUENCES // 2
        return number, abs(number - expected)

    def anew(self) -> None:
        """What comes next is another transmission, whatever its number."""
        if self.origin is not None:
            self.origin -= self.RESTART * self.period


def numerology_of(profile: LinkProfile, rate: float | None = None) -> Numerology:
    """The OFDM numerology of a profile, at its own critical rate or another. ValueError where it has no radio part."""
    phy = with_radio(profile).phy
    return Numerology(phy.fft, phy.cp, phy.data_carriers, phy.pilots, phy.rate if rate is None else rate)


class RadioLink:
    """One profile or ladder and what goes on the air. ValueError on a radio that cannot be.

    profile: the one profile, or the lowest rung, from which everything is read that the rungs share. models: what both
    ends must have, with a `sha256`.
    """

    def __init__(self, profile: LinkProfile | Ladder, models):
        self.ladder, self.models = load_ladder(profile), models
        self.profile = profile = self.ladder.common
        if profile.phy and self.burst_samples * 16000 > profile.superframe_samples * profile.phy.rate:
            raise ValueError(
                f"profile {profile.name}: a burst of {1000 * self.burst_samples / profile.phy.rate:.1f} ms does not "
                f"fit into a superframe of {profile.superframe_samples / 16:.0f} ms; raise phy.rate or send fewer bits"
            )

    @property
    def period(self) -> int:
        """Samples from burst to burst at the transmitter's rate, phy.rate * oversampling."""
        return round(self.profile.superframe_samples / 16000 * self.sample_rate)

    @property
    def sample_rate(self) -> float:
        return self.profile.phy.rate * self.profile.phy.oversampling

    @property
    def burst_samples(self) -> int:
        """Samples of the longest burst at the critical rate phy.rate (its channel uses), with preamble and header."""
        return round(self.modulator().samples_per_burst(self.ladder.payload_symbols) / self.profile.phy.oversampling)

    @cached_property
    def numerology(self) -> Numerology:
        return numerology_of(self.profile)

    def modulator(self) -> BurstModulator:
        phy = self.profile.phy
        return BurstModulator(self.numerology, phy.header_code_bits, phy.oversampling, phy.papr_db)

    def receiver(self, coder: HeaderReader) -> BurstReceiver | WideReceiver:
        phy = self.profile.phy
        return make_receiver(
            self.numerology,
            phy.header_code_bits,
            coder.decode_header,
            coder.payload_symbols,
            phy.oversampling,
            max_cfo_hz=phy.max_cfo_hz,
            encode_header=coder.header_code.encode,
        )


class Link(RadioLink):
    """One profile or ladder with its models; makes the stages of both ends. ValueError on a radio that cannot be."""

    def __init__(self, profile: LinkProfile | Ladder, models: Models | None = None):
        super().__init__(profile, models or shared_models())

    @cached_property
    def plan(self) -> Plan:
        p = self.profile
        return Plan(p.superframe, p.groups, p.policy, p.window - 1, p.refresh, p.schedule, p.room, copies=p.copies)

    def codec_encoder(self):
        from .codec.api import Encoder

        return Encoder(self.models.codec, self.profile.layers)

    def codec_decoder(self):
        from .codec.api import Decoder

        return Decoder(self.models.codec)

    def entropy_encoder(self) -> SuperframeEncoder:
        books, weight = self.models.lm.codebooks.numpy(), self.profile.rate_weight
        search = RateDistortionSearch(books, weight, product=self.models.correlate)
        return SuperframeEncoder(self.models.source, self.plan, self.models.static, search)

    def entropy_decoder(self) -> SuperframeDecoder:
        return SuperframeDecoder(self.models.source, self.plan, self.models.static)

    def concealer(self):
        from .lm.conceal import Concealer

        p, lm = self.profile, self.models.lm
        groups = sorted({*p.groups, *p.copies})  # what may be there alone
        return Concealer(lm.model, lm.codebooks, p.layers, lookahead=p.lookahead, groups=groups)

    def frame_coder(self) -> FrameCoder:
        return FrameCoder(self.ladder, self.models.sha256)

    def sealer(self) -> Sealer | None:
        """Of a new transmission; None where the profile has no `security`. Raises ValueError, OSError about the key."""
        return self._with_key(Sealer)

    def opener(self) -> Opener | None:
        """Its other end."""
        return self._with_key(Opener)

    def _with_key(self, end):
        s = self.profile.security
        if s is None:
            return None
        if not s.key or (s.key == UNCHECKED and end is Sealer):
            raise ValueError(f"key: profile {self.profile.name} authenticates; name its key: file:PATH or env:NAME")
        key = None if s.key == UNCHECKED else read_key(s.key)
        return end(key, s.tag_bytes, s.encrypt, self.models.sha256)


@dataclass
class Timer:
    """Seconds spent at each end."""

    tx: float = 0.0
    rx: float = 0.0


@dataclass
class Counts:
    """What was sent, and what became of it: `status` has a row for each superframe, `fates` counts its words.

    packets_refused: those that came and were not sealed with the key, or came before; each counts as lost too.
    keep: a link that runs for ever remembers only so many of the last rows, or up to twice as many; None: all.
    """

    bursts_sent: int = 0
    bursts_detected: int = 0
    packets_sent: int = 0
    packets_refused: int = 0
    copy_bits: float = 0.0
    frames_concealed: int = 0
    model_bits: float = 0.0
    payload_bits: int = 0
    status: list[tuple[str, ...]] = field(default_factory=list)
    fates: Counter = field(default_factory=Counter)
    keep: int | None = None

    def add_sent(self, groups: Sequence[EncodedGroup]) -> None:
        self.packets_sent += len(groups)
        self.model_bits += sum(g.model_bits for g in groups)
        self.payload_bits += sum(len(g.bits) for g in groups)
        self.copy_bits += sum(g.copy_bits for g in groups)

    def add(self, decoded: DecodedSuperframe) -> None:
        self.note(decoded.status)

    def note(self, status: tuple[str, ...]) -> None:
        """The fates of one superframe's packets."""
        self.status.append(status)
        self.fates.update(status)
        if self.keep is not None and len(self.status) > 2 * self.keep:
            del self.status[: -self.keep]

    @property
    def packets_lost(self) -> int:
        return self.fates["lost"]

    @property
    def packets_undecodable(self) -> int:
        return self.fates["undecodable"]

    @property
    def packets_desync(self) -> int:
        return self.fates["desync"]


def superframes(audio: np.ndarray, profile: LinkProfile, delay: int = FRAME) -> np.ndarray:
    """float32 [n] padded with silence to whole superframes, `delay` samples past its end -> [m, superframe_samples]."""
    size = profile.superframe_samples
    total = -(-(len(audio) + delay) // size) * size
    return np.pad(audio.astype(np.float32), (0, total - len(audio))).reshape(-1, size)


def sent_at(ladder: Ladder, switches: Mapping[int, int] | None, sequence: int) -> LinkProfile:
    """The rung on which superframe `sequence` is sent. Raises ValueError on a rung that there is not."""
    begun = [first for first in switches or {} if first <= sequence]
    return ladder.rung(switches[max(begun)] if begun else 0)


def encode(
    link: Link, audio: np.ndarray, counts: Counts | None = None, switches: Mapping[int, int] | None = None
) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Sound float32 [n] at 16 kHz -> (sequence, payload bits of each packet) per superframe."""
    codec, coder, sealer = link.codec_encoder(), link.entropy_encoder(), link.sealer()
    for number, block in enumerate(superframes(audio, link.profile)):
        room = sent_at(link.ladder, switches, number).room
        sequence, groups = coder.push(latent=codec.analyse(block), room=room)
        if counts is not None:
            counts.add_sent(groups)
        payloads = [g.bits for g in groups]
        yield sequence, sealed(sealer, sequence, payloads, room) if sealer else payloads


def sealed(
    sealer: Sealer, sequence: int, payloads: Sequence[np.ndarray], room: Sequence[int] | None
) -> list[np.ndarray]:
    """The payloads of one superframe, sealed; `room` as of the profile it is sent on."""
    rooms = room or [None] * len(payloads)
    return [sealer.seal(sequence, g, bits, size) for g, (bits, size) in enumerate(zip(payloads, rooms, strict=True))]


def opened(
    opener: Opener, frames: Iterable[tuple[int, Sequence[np.ndarray | None]]], counts: Counts
) -> Iterator[tuple[int, list[np.ndarray | None]]]:
    """Sealed payloads of superframes -> payloads; those that are refused are as lost."""

    def unsealed(sequence: int, group: int, bits: np.ndarray | None) -> np.ndarray | None:
        try:
            return None if bits is None else opener.open(sequence, group, bits)
        except Refused as error:
            counts.packets_refused += error.kind != "joining"
            return None

    for sequence, payloads in frames:
        yield sequence, [unsealed(sequence, g, bits) for g, bits in enumerate(payloads)]


def joined(link: Link, frames: Iterable[tuple[int, Sequence[np.ndarray | None]]]) -> Opener | None:
    """An opener for payloads that are all at hand, so that the first of them open too; None without `security`."""
    opener = link.opener()
    if opener:
        opener.join((s, g, bits) for s, payloads in frames for g, bits in enumerate(payloads) if bits is not None)
    return opener


def decode(
    link: Link,
    frames: Iterable[tuple[int, Sequence[np.ndarray | None]]],
    samples: int,
    counts: Counts | None = None,
    concealer=None,
    opener: Opener | None = None,
) -> np.ndarray:
    """Payloads of consecutive superframes (None: lost) -> sound float32 [samples], aligned with what was encoded.

    concealer: None for the model's, or one of `baselines.concealers`. opener: one of the link's that has joined the
    transmission already; None: one that joins as packets come.
    """
    coder, opener, counts = link.entropy_decoder(), opener or link.opener(), counts if counts is not None else Counts()
    frames = opened(opener, frames, counts) if opener else frames
    return render(link, (coder.push(*frame) for frame in frames), samples, counts, concealer)


def render(
    link: Link, known: Iterable[DecodedSuperframe], samples: int, counts: Counts | None = None, concealer=None
) -> np.ndarray:
    """The part of `decode` behind the entropy decoder: what is known of consecutive superframes -> sound."""
    concealer, codec = concealer or link.concealer(), link.codec_decoder()
    counts, out = counts if counts is not None else Counts(), []

    def play(estimate):
        if estimate is not None:
            counts.frames_concealed += int(estimate.concealed.sum())
            out.append(speak(codec, estimate))

    def noted() -> Iterator[DecodedSuperframe]:
        for decoded in known:
            counts.add(decoded)
            yield decoded

    for ready in repaired(noted(), len(link.profile.copies)):
        play(concealer.push(ready.tokens, ready.received, ready.sent))
    for estimate in concealer.flush():
        play(estimate)
    audio = np.concatenate([*out, np.zeros(0, np.float32)])[link.models.codec.delay :]
    return np.pad(audio, (0, max(samples - len(audio), 0)))[:samples]


def speak(codec, estimate) -> np.ndarray:
    """One superframe of estimated latents to sound in [-1, 1], faded where a gap grows long."""
    audio = codec.push(estimate.latent, estimate.layers)
    # The gains stand at the boundaries of the frames; ramps between them do not click.
    gain = np.interp(np.linspace(0, 1, len(audio)), np.linspace(0, 1, len(estimate.gain)), estimate.gain)
    return np.clip(np.nan_to_num(audio * gain), -1.0, 1.0).astype(np.float32)


def modulate(
    link: Link, frames: Iterable[tuple[int, Sequence[np.ndarray]]], switches: Mapping[int, int] | None = None
) -> np.ndarray:
    """Payloads -> complex64 samples, one burst per superframe period with silence behind it."""
    coder, modulator, out = link.frame_coder(), link.modulator(), []
    for sequence, payloads in frames:
        burst = modulator.modulate(*coder.encode(sequence, payloads, sent_at(link.ladder, switches, sequence)))
        out.append(np.pad(burst, (0, link.period - len(burst))))
    return np.concatenate(out)


def demodulate(link: Link, samples: np.ndarray, chunk: int = 1 << 16) -> list[Frame]:
    """complex64 samples -> the frames found in them, in order of arrival."""
    coder = link.frame_coder()
    receiver, unwrap, found = link.receiver(coder), Unwrapper(link.period, 0), []
    bursts = [b for at in range(0, len(samples), chunk) for b in receiver.push(samples[at : at + chunk])]
    for burst in [*bursts, *receiver.flush()]:
        if burst.header is not None:
            sequence = unwrap(burst.header.sequence, burst.start_sample)
            profile = link.ladder.find(burst.header.profile)
            found.append(Frame(sequence, coder.decode(burst.symbols, burst.noise_var, profile), burst))
    return found


def in_order(frames: Iterable[Frame], count: int, groups: int) -> list[tuple[int, list[np.ndarray | None]]]:
    """Every superframe 0..count-1 exactly once; packets that never came are None.

    A superframe of which nothing came is taken to have as many packets as the one before it, at first `groups`.
    """
    got, out = {f.sequence: f.payloads for f in frames}, []
    for s in range(count):
        payloads = got.get(s, [None] * groups)
        groups = len(payloads)
        out.append((s, payloads))
    return out


def drop(frames: Iterable[Frame], loss, count: int, groups: int) -> list[Frame]:
    """Lay the losses of a process with `step(n) -> bool [n]` over the packets of superframes 0..count-1.

    Each superframe has `groups` draws, whether it came or not and however many packets it has. One that loses all of
    them is as one that never came.
    """
    gone, left = loss.step(count * groups).reshape(count, groups), []
    for f in frames:
        own = gone[f.sequence, : len(f.payloads)] if 0 <= f.sequence < count else np.ones(1, bool)
        if not own.all():
            left.append(replace(f, payloads=[None if g else p for p, g in zip(f.payloads, own, strict=True)]))
    return left


@dataclass
class LinkResult:
    """Sound out, counts, times, and what the pictures show."""

    audio: np.ndarray
    counts: Counts
    timer: Timer
    symbols: np.ndarray
    snr_db: list[float]


def run(
    link: Link, audio: np.ndarray, channel=None, loss=None, switches: Mapping[int, int] | None = None
) -> LinkResult:
    """Send sound through everything: codec, coder and, where `channel` is given, FEC, modem and that channel.

    Without a channel the packets of `to_packets` are sent; `loss` hits what is sent, packet by packet.
    """
    counts, timer, symbols, snr = Counts(), Timer(), [], []
    link.models.load()
    begin = perf_counter()
    sent = list(encode(link, audio, counts, switches))
    if channel is not None:
        samples = modulate(link, sent, switches)
        timer.tx = perf_counter() - begin
        counts.bursts_sent = len(sent)
        samples = channel.process(samples)
        begin = perf_counter()
        found = demodulate(link, samples)
        counts.bursts_detected = len(found)
        symbols, snr = [f.burst.symbols for f in found], [float(f.burst.snr_db) for f in found]
        if loss is not None:
            found = drop(found, loss, len(sent), link.ladder.packets)
        frames = in_order(found, len(sent), link.profile.packets)
    else:
        packets = to_packets(link, sent)
        timer.tx, begin = perf_counter() - begin, perf_counter()
        frames = from_packets(link, drop_packets(packets, loss), len(sent))
    out = decode(link, frames, len(audio), counts)
    timer.rx = perf_counter() - begin
    return LinkResult(out, counts, timer, np.concatenate([*symbols, np.zeros(0, np.complex64)]), snr)


def to_packets(link: Link, frames: Iterable[tuple[int, Sequence[np.ndarray]]]) -> list[Packet]:
    """Payload bits -> byte packets for files and packet networks."""
    model = model_id(link.models.sha256, 16)
    return [Packet(model, sequence % 65536, g, payload_bytes(bits))
            for sequence, payloads in frames for g, bits in enumerate(payloads)]


def drop_packets(packets: Sequence[Packet], loss=None) -> list[Packet]:
    """The packets that survive a process with `step(n) -> bool [n]`, in order of sending; all without one."""
    gone = np.zeros(len(packets), bool) if loss is None else loss.step(len(packets))
    return [p for p, g in zip(packets, gone, strict=True) if not g]


def from_packets(link: Link, packets: Iterable[Packet], count: int) -> list[tuple[int, list[np.ndarray | None]]]:
    """Byte packets in any order, with gaps and duplicates -> every superframe 0..count-1 once."""
    groups, got = link.profile.packets, {}
    previous = 0
    for p in packets:
        sequence = previous + (p.sequence - previous + 32768) % 65536 - 32768
        if p.group < groups and 0 <= sequence < count:
            previous = max(previous, sequence)
            got.setdefault((sequence, p.group), p.bits)
    return [(s, [got.get((s, g)) for g in range(groups)]) for s in range(count)]


def to_datagrams(link: Link, frames: Iterable[tuple[int, Sequence[np.ndarray]]]) -> list[bytes]:
    """Payload bits -> one datagram a superframe: all of its packets arrive or none of them."""
    model = model_id(link.models.sha256, 6)
    return [pack_datagram(BurstHeader(link.profile.id, model, sequence % SEQUENCES), payloads)
            for sequence, payloads in frames]


def from_datagrams(link: Link, datagrams: Sequence[bytes | None]) -> list[tuple[int, list[np.ndarray | None]]]:
    """Datagrams of consecutive superframes, None where lost -> the superframes.

    Raises PacketError on datagrams of another version or other weights, ValueError on one that stands in another's
    place.
    """
    model, groups = model_id(link.models.sha256, 6), link.profile.packets
    frames: list = [(s, [None] * groups) for s in range(len(datagrams))]
    for s, data in enumerate(datagrams):
        if data is not None:
            header, payloads = unpack_datagram(data, groups, model)
            if header.sequence != s % SEQUENCES:
                raise ValueError(f"datagrams: number {header.sequence} stands at {s}; sort them, None where missing")
            frames[s] = s, payloads
    return frames
