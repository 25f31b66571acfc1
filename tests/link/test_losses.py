# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever is lost, late, doubled or damaged: the sound keeps its time to the sample, and is never loud noise."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from scipy.signal import correlate
from soundspring import profile
from soundspring.audio.io import read
from soundspring.channel.loss import parse_loss
from soundspring.coding.packet import Packet, PacketError, parse
from soundspring.link import Counts, Link, Unwrapper, decode, encode, from_packets, render, to_packets

SPEECH = Path(__file__).parents[2] / "examples" / "speech.wav"
SIZE, FRAME = 1600, 320
QUIET = 2e-3  # what counts as silence of the speech itself
BEFORE, BEHIND = 50, 6  # frames in which the loudest speech is looked for
CODING = 1.4  # how much louder (3 dB) a vowel may come out of the codec, out of few layers of it most of all
SLIP = 2  # samples by which correlation may err: what is estimated has not the phase of the speech
MEMORY = 10  # superframes after which the decoder has forgotten a loss


class Spoken:
    """Three seconds of speech by the released models, with its superframes as sent."""

    def __init__(self):
        self.link = Link(profile.load("reference"))
        self.audio = read(SPEECH)[0][8000:56000]
        self.frames = list(encode(self.link, self.audio))
        decoder = self.link.entropy_decoder()
        self.known = [decoder.push(*frame) for frame in self.frames]
        self.whole = render(self.link, self.known, len(self.audio))

    def lose(self, lost):
        """lost bool [superframes, packets] -> the sound, and the counts."""
        frames = [(s, [None if gone else bits for bits, gone in zip(payloads, row, strict=True)])
                  for (s, payloads), row in zip(self.frames, lost, strict=True)]
        counts = Counts()
        return decode(self.link, frames, len(self.audio), counts), counts


@pytest.fixture(scope="module")
def spoken():
    return Spoken()


def levels(x):
    """Root mean square of each 20 ms."""
    return np.sqrt(np.square(x[: len(x) // FRAME * FRAME].reshape(-1, FRAME)).mean(1))


def loudest_nearby(x):
    """Of each 20 ms, the level of the loudest in the second before, and what the overlap of frames brings forward."""
    padded = np.pad(levels(x), (BEFORE, BEHIND))
    return sliding_window_view(padded, BEFORE + BEHIND + 1).max(1)


def check_sound(out, audio):
    """out is never a loud noise: no louder than the speech nearby, but for what the codec itself errs."""
    assert out.shape == audio.shape and out.dtype == np.float32
    assert np.isfinite(out).all() and np.abs(out).max() < 1
    assert (levels(out) <= CODING * np.maximum(loudest_nearby(audio), QUIET)).all()


def lag(out, audio, most=800):
    """Samples by which `out` lags `audio`, by correlation."""
    found = correlate(out, audio, method="fft")
    middle = len(audio) - 1
    return int(found[middle - most : middle + most + 1].argmax()) - most


def pattern(name, shape):
    every = np.arange(shape[0])[:, None]
    named = {"only the first": every > 0, "all but the first": every == 0, "every other": every % 2 == 1,
             "bases": np.arange(shape[1]) == 0, "no bases": np.arange(shape[1]) > 0,
             "half a second": (every >= 8) & (every < 13), "long": (every >= 4) & (every < 18)}
    if name in named:
        return np.broadcast_to(named[name], shape)
    return parse_loss(name, 4).step(shape[0] * shape[1]).reshape(shape)


PATTERNS = ["none", "bernoulli:0.1", "bernoulli:0.3", "bernoulli:0.6", "bernoulli:0.9", "bernoulli:1", "gilbert:0.4,10",
            "only the first", "all but the first", "every other", "bases", "no bases", "half a second", "long"]


def test_the_codec_itself_keeps_the_level(spoken):
    check_sound(spoken.whole, spoken.audio)
    assert 0.85 < np.linalg.norm(spoken.whole) / np.linalg.norm(spoken.audio) < 1.15


@pytest.mark.parametrize("name", PATTERNS)
def test_every_pattern_of_loss_keeps_time_and_level(spoken, name):
    lost = pattern(name, (len(spoken.frames), 2))
    out, counts = spoken.lose(lost)
    check_sound(out, spoken.audio)
    assert len(counts.status) == len(spoken.frames) and counts.packets_lost == lost.sum()
    if lost.mean() < 0.5 and not lost[:, 0].all():
        half = len(out) // 2
        assert abs(lag(out, spoken.audio)) <= SLIP and abs(lag(out[half:], spoken.audio[half:])) <= SLIP
    last = np.flatnonzero(lost.any(1)).max(initial=-MEMORY)
    settled = slice((last + MEMORY) * SIZE, None)  # empty where losses go on to the end
    assert np.allclose(out[settled], spoken.whole[settled], atol=1e-4)


def test_a_long_gap_fades_to_the_floor_and_the_voice_comes_back(spoken):
    out, _ = spoken.lose(pattern("long", (len(spoken.frames), 2)))
    gap = levels(out[12 * SIZE : 16 * SIZE])  # from 800 ms on, to where copies of the lost begin
    assert gap.max() < 0.035 * levels(spoken.audio).max()
    assert levels(out[20 * SIZE :]).max() > 0.5 * levels(spoken.audio[20 * SIZE :]).max()


def test_minutes_without_a_packet(tiny_models, speech_like):
    """Two of them: the same length, silence but for the floor, and then the very sound that it would have been."""
    link, gap = Link(profile.load("reference").with_layers(6), tiny_models), 1200
    head = list(encode(link, speech_like))
    encoder, codec = link.entropy_encoder(), link.codec_encoder()
    encoder.sequence = first = len(head) + gap
    blocks = np.resize(speech_like, 12 * SIZE).reshape(-1, SIZE)
    rest = [(s, [g.bits for g in groups])
            for s, groups in (encoder.push(latent=codec.analyse(block)) for block in blocks)]
    frames = [*head, *((len(head) + i, [None, None]) for i in range(gap)), *rest]
    counts, samples = Counts(), len(frames) * SIZE - FRAME
    out = decode(link, frames, samples, counts)
    assert len(out) == samples and np.abs(out).max() < 1
    assert counts.fates == {"ok": 2 * (len(head) + 12), "lost": 2 * gap} and counts.frames_concealed == 5 * gap
    assert np.abs(out[(len(head) + 10) * SIZE : (first - 1) * SIZE]).max() <= 0.031
    decoder = link.entropy_decoder()
    alone = render(link, [decoder.push(*frame) for frame in rest], 12 * SIZE - FRAME)
    assert np.allclose(out[-2 * SIZE :], alone[-2 * SIZE :], atol=1e-4) and np.abs(alone[-2 * SIZE :]).max() > 0.001


# --- packets on a bad road -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sent(tmp_path_factory):
    """Byte packets of a tiny link whose payloads are their own numbers; no model is asked for."""
    class Small:
        profile = profile.load("reference").with_layers(12)

    return Small, [Packet(0x1234, s, g, bytes([s, g, 7 * s % 256])) for s in range(30) for g in range(2)]


@settings(deadline=None, max_examples=200)
@given(data=st.data())
def test_order_copies_and_damage_never_put_a_packet_in_a_wrong_place(sent, data):
    """What arrives stands where it was sent, whatever the order; what is damaged is missing."""
    link, packets = sent
    arriving = data.draw(st.lists(st.sampled_from(range(len(packets))), max_size=80))
    survived, got = set(), []
    for index in arriving:
        raw = bytearray(packets[index].to_bytes())
        if data.draw(st.booleans()):
            raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
            with pytest.raises(PacketError):
                parse(bytes(raw), 0x1234)
            continue
        survived.add(index)
        got.append(parse(bytes(raw), 0x1234))
    frames = from_packets(link, got, 30)
    assert [s for s, _ in frames] == list(range(30))
    for s, payloads in frames:
        for g, bits in enumerate(payloads):
            assert (bits is not None) == (2 * s + g in survived)
            assert bits is None or np.packbits(bits).tobytes() == packets[2 * s + g].payload


def test_damage_that_passes_the_packets_crc_is_stopped_by_the_token_check(spoken):
    """Payloads of noise with a right CRC: checks of 11 and 8 bits let one in 2048 and one in 256 through."""
    rng = np.random.default_rng(8)
    packets = to_packets(spoken.link, spoken.frames)
    for index in range(1, len(packets), 3):
        packets[index] = replace(packets[index], payload=rng.bytes(len(packets[index].payload)))
    counts = Counts()
    out = decode(spoken.link, from_packets(spoken.link, [parse(p.to_bytes()) for p in packets], len(spoken.frames)),
                 len(spoken.audio), counts)
    check_sound(out, spoken.audio)
    damaged = len(packets[1::3])
    assert damaged - 1 <= counts.packets_desync <= damaged >= 20 and counts.packets_lost == 0


@pytest.mark.parametrize("layers", [3, 12])
@pytest.mark.parametrize("at", [4, 13])
def test_damage_that_passes_every_check_is_a_short_soft_noise(spoken, layers, at):
    """Tokens of chance in one superframe, taken for good: no louder than speech, and gone soon after."""
    rng, known = np.random.default_rng(at), list(spoken.known)
    chance = rng.integers(0, 1024, known[at].tokens.shape).astype(np.int16)
    received = np.broadcast_to(np.arange(12) < layers, chance.shape)
    known[at] = replace(known[at], tokens=chance, received=received)
    out = render(spoken.link, known, len(spoken.audio))
    heard = slice(at * SIZE - FRAME, (at + 3) * SIZE)
    assert np.abs(out).max() < 1
    assert levels(out[heard]).max() < max(0.4 * levels(spoken.audio).max(), CODING * levels(spoken.whole[heard]).max())
    assert np.array_equal(out[: heard.start], spoken.whole[: heard.start])
    settled = slice((at + MEMORY) * SIZE, None)
    assert np.allclose(out[settled], spoken.whole[settled], atol=1e-4)


# --- numbers that lie ------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(first=st.integers(0, 255), false=st.dictionaries(st.integers(3, 280), st.integers(0, 255), max_size=8),
       jitter=st.integers(0, 2**32))
def test_a_burst_with_a_false_number_moves_no_other(first, false, jitter):
    """Headers that noise has changed into other good ones, each alone among right ones, over a wrap of the numbers."""
    rng, unwrap = np.random.default_rng(jitter), Unwrapper(1000)
    alone = {at: number for at, number in false.items() if not {at - 1, at + 1} & set(false)}
    for s in range(300):
        told = alone.get(s, (first + s) % 256)
        got = unwrap(told, 1000 * s + int(rng.integers(-300, 300)))
        if s not in alone:
            assert got == first + s
