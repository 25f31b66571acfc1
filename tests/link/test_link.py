# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole chain as functions, on tiny models: bit-exact where nothing is lost, honest where something is."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from soundspring import profile
from soundspring.channel.factory import make_channel
from soundspring.channel.loss import parse_loss
from soundspring.coding.packet import Packet, PacketError, model_id
from soundspring.coding.ssp import SspMeta, write_ssp
from soundspring.coding.superframe import repaired
from soundspring.link import (
    Counts,
    Frame,
    Link,
    Unwrapper,
    decode,
    demodulate,
    drop_packets,
    encode,
    from_datagrams,
    from_packets,
    in_order,
    modulate,
    run,
    speak,
    to_datagrams,
    to_packets,
)

PACKAGE = Path(__file__).parents[2] / "python"
BASE_ROOM = 200  # bits; the tiny model saves nothing, so the shipped profile's base packet would not hold its layers


@pytest.fixture
def link(tiny_models):
    """The reference profile with room enough for tokens that the tiny model cannot predict."""
    p = profile.load("reference")
    phy = p.to_dict()["phy"]
    phy["packets"] = [
        {"payload_bits": BASE_ROOM, "code_bits": 600, "bits_per_symbol": 2},
        {"payload_bits": 560, "code_bits": 1280, "bits_per_symbol": 2},
    ]
    return Link(profile.from_dict(p.to_dict() | {"phy": phy}), tiny_models)


@pytest.fixture
def packet_link(tiny_models):
    return Link(profile.load("reference").with_layers(12), tiny_models)


def awgn(link, snr_db, seed=1):
    return make_channel(
        "awgn", rate=link.sample_rate, snr_db=snr_db, oversampling=link.profile.phy.oversampling, seed=seed
    )


class Lose:
    """A loss process that loses the packets of the given places."""

    def __init__(self, *places):
        self.places, self.at = set(places), 0

    def step(self, n):
        self.at += n
        return np.array([i in self.places for i in range(self.at - n, self.at)], bool)


def tokens_of(link, frames):
    decoder = link.entropy_decoder()
    return [decoder.push(s, bits) for s, bits in frames]


# --- without loss ----------------------------------------------------------------------------------------------------


def test_at_12_db_the_link_is_bit_exact_with_encode_and_decode(link, speech_like):
    frames = list(encode(link, speech_like))
    direct = decode(link, frames, len(speech_like))
    result = run(link, speech_like, awgn(link, 12.0))
    c = result.counts
    assert c.bursts_sent == c.bursts_detected == len(frames) and c.packets_sent == 2 * len(frames)
    assert c.packets_lost == c.packets_undecodable == c.packets_desync == c.frames_concealed == 0
    assert np.array_equal(result.audio, direct) and result.audio.dtype == np.float32 and np.abs(direct).max() > 0
    assert len(result.audio) == len(speech_like) and abs(np.mean(result.snr_db) - 12) < 1
    assert len(result.symbols) == len(frames) * link.profile.phy.payload_symbols


def test_the_radio_gives_back_the_very_bits(link, speech_like):
    frames = list(encode(link, speech_like))
    samples = awgn(link, 12.0).process(modulate(link, frames))
    assert samples.dtype == np.complex64 and len(samples) == len(frames) * link.period
    for chunk in (1 << 16, 4099):
        found = demodulate(link, samples, chunk)
        assert [f.sequence for f in found] == [s for s, _ in frames]
        for got, (_, sent) in zip(found, frames, strict=True):
            for bits, truth in zip(got.payloads, sent, strict=True):
                assert np.array_equal(bits[: len(truth)], truth) and not bits[len(truth) :].any()


def test_the_sound_does_not_lag(tiny_models, packet_link, speech_like):
    """Decoding of one file is aligned with it: the transform's delay is taken out."""
    from soundspring.codec.api import Decoder

    frames, coder = list(encode(packet_link, speech_like)), packet_link.entropy_decoder()
    late = Decoder(tiny_models.codec).push_tokens(np.concatenate([coder.push(*f).tokens for f in frames]))
    direct = np.clip(late[320 : 320 + len(speech_like)], -1, 1)
    ours = decode(packet_link, frames, len(speech_like))
    assert np.abs(ours - direct).max() < 1e-4 * np.abs(direct).max()


@pytest.mark.parametrize("n", [1, 319, 320, 1280, 1281, 1600, 4000])
def test_any_length_comes_back_with_its_length(packet_link, speech_like, n):
    audio = speech_like[:n]
    frames = list(encode(packet_link, audio))
    assert len(frames) == -(-(n + 320) // 1600)
    assert decode(packet_link, frames, n).shape == (n,)


@pytest.mark.parametrize("name", profile.profiles())
def test_every_shipped_profile_runs_from_packet_to_packet(tiny_models, speech_like, name):
    link = Link(profile.load(name), tiny_models)
    result = run(link, speech_like[:8000])
    c = result.counts
    assert c.packets_sent and c.packets_lost == c.packets_undecodable == c.packets_desync == 0
    assert np.isfinite(result.audio).all() and len(result.audio) == 8000


# --- with loss -------------------------------------------------------------------------------------------------------


def test_a_lost_base_packet_takes_its_enhancement_along_and_is_concealed(packet_link, speech_like):
    c = run(packet_link, speech_like, loss=Lose(4)).counts
    assert c.status[2] == ("lost", "undecodable") and c.status[3] == ("ok", "ok")
    assert (c.packets_lost, c.packets_undecodable, c.packets_desync, c.frames_concealed) == (1, 1, 0, 5)


def test_a_lost_enhancement_packet_is_concealed_and_its_base_played(packet_link, speech_like):
    c = run(packet_link, speech_like, loss=Lose(5)).counts
    assert c.status[2] == ("ok", "lost") and (c.packets_lost, c.packets_undecodable, c.frames_concealed) == (1, 0, 5)


def test_layers_that_found_no_room_are_no_loss(tiny_models, speech_like):
    """The tiny model saves nothing, so the shipped profile's blocks hold only some of the layers."""
    link = Link(profile.load("reference"), tiny_models)
    frames = list(encode(link, speech_like))
    received = [d.received for d in tokens_of(link, frames)]
    assert not all(r.all() for r in received)
    counts = Counts()
    decode(link, frames, len(speech_like), counts)
    assert counts.frames_concealed == 0


def test_loss_changes_the_sound_only_from_there_on_and_not_for_ever(packet_link, speech_like):
    whole, holed = (run(packet_link, speech_like, loss=x).audio for x in (None, Lose(4, 5)))
    assert np.array_equal(whole[: 2 * 1600 - 320], holed[: 2 * 1600 - 320])
    assert not np.array_equal(whole[3200:4800], holed[3200:4800])
    assert np.allclose(whole[9600:], holed[9600:], atol=1e-5)  # the decoder's memory is finite


def test_everything_lost_is_quiet_and_no_error(packet_link, speech_like):
    result = run(packet_link, speech_like, loss=parse_loss("bernoulli:1"))
    assert result.counts.packets_lost == result.counts.packets_sent
    assert result.counts.frames_concealed == 5 * len(result.counts.status)
    assert np.isfinite(result.audio).all()
    assert np.abs(result.audio[-1600:]).max() <= 0.031  # faded to the floor, whatever the model would babble


def test_noise_alone_loses_everything_and_plays_nothing_loud(link, speech_like):
    result = run(link, speech_like[:8000], awgn(link, -20.0))
    assert result.counts.bursts_detected == 0 and result.counts.packets_lost == result.counts.packets_sent
    assert np.abs(result.audio[-400:]).max() < 0.5


def test_between_all_and_nothing_what_passes_is_right(link, speech_like):
    """Near the threshold some code blocks fail; those that pass carry the sent bits, the others are None."""
    frames = list(encode(link, speech_like))
    found = demodulate(link, awgn(link, -0.5, seed=3).process(modulate(link, frames)))
    truth, right, failed = dict(frames), 0, 0
    for f in found:
        for bits, sent in zip(f.payloads, truth[f.sequence], strict=True):
            failed += bits is None
            right += bits is not None and np.array_equal(bits[: len(sent)], sent)
    assert failed > 0 and right > 0 and failed + right == 2 * len(found)


def test_loss_hits_radio_packets_too(link, speech_like):
    c = run(link, speech_like, awgn(link, 12.0), Lose(1, 6)).counts
    assert c.bursts_detected == c.bursts_sent
    assert c.status[0] == ("ok", "lost") and c.status[3] == ("lost", "undecodable")


@pytest.mark.parametrize("name", ["reference", "packet20"])
def test_copies_are_what_was_sent_and_fill_what_is_lost(tiny_models, speech_like, name):
    """Superframes 3, 7 and 8 do not come; the layers of each that a later one carries are there all the same."""
    link = Link(profile.replace_profile(profile.load(name), copies=(2, 1)), tiny_models)
    counts = Counts()
    frames = list(encode(link, speech_like, counts))
    whole = tokens_of(link, frames)
    left = [(s, [None] * len(bits) if s in (3, 7, 8) else bits) for s, bits in frames]
    got = list(repaired(tokens_of(link, left), 2))
    carried = {3: 2, 7: 1, 8: 2}
    for one, other in zip(got, whole, strict=True):
        layers = carried.get(one.sequence)
        known = other.received if layers is None else other.received & (np.arange(link.profile.layers) < layers)
        assert np.array_equal(one.received, known) and (layers is None or known.any())
        assert np.array_equal(one.tokens[known], other.tokens[known])
    assert counts.copy_bits > 0 and [d.sequence for d in got] == [s for s, _ in frames]


def test_copies_shorten_gaps_and_a_receiver_waits_for_them(tiny_models, speech_like):
    plain, concealed = profile.load("packet20"), []
    for copies in ((), (3,), (3, 3)):
        link = Link(profile.replace_profile(plain, copies=copies), tiny_models)
        frames = from_packets(link, drop_packets(to_packets(link, encode(link, speech_like)),
                                                 parse_loss("bernoulli:0.3", 5)), -(-(len(speech_like) + 320) // 320))
        got = list(repaired(tokens_of(link, frames), len(copies)))
        concealed.append(sum(not d.received.any() for d in got))
        assert link.profile.wait == len(copies)
    assert concealed[0] > concealed[1] > concealed[2]


def test_datagrams_carry_all(tiny_models, speech_like):
    link = Link(profile.load("packet20"), tiny_models)
    frames = list(encode(link, speech_like[:4000]))
    sent = to_datagrams(link, frames)
    for (_, got), (_, put) in zip(from_datagrams(link, sent), frames, strict=True):
        for one, other in zip(got, put, strict=True):
            assert np.array_equal(one[: len(other)], other) and not one[len(other) :].any()
    got = tokens_of(link, from_datagrams(link, [None if i in (2, 5, 6) else d for i, d in enumerate(sent)]))
    assert [d.status for d in got] == [("lost",) if i in (2, 5, 6) else ("ok",) for i in range(len(sent))]
    with pytest.raises(ValueError, match="sort them"):
        from_datagrams(link, sent[1:])
    foreign = [bytes([sent[0][0] ^ 1]) + sent[0][1:], *sent[1:]]
    with pytest.raises(PacketError, match="weights"):
        from_datagrams(link, foreign)


# --- packets in any order, hostile or not ----------------------------------------------------------------------------


def test_order_duplicates_and_foreign_groups_do_not_matter(packet_link, speech_like):
    frames = list(encode(packet_link, speech_like))
    packets = to_packets(packet_link, frames)
    stray = [Packet(packets[0].model, 3, 7, b"x"), Packet(packets[0].model, 60000, 0, b"x")]
    shuffled = [packets[i] for i in np.random.default_rng(1).permutation(len(packets))]
    plain = from_packets(packet_link, packets, len(frames))
    odd = from_packets(packet_link, stray + shuffled + packets, len(frames))
    for (s, a), (t, b) in zip(plain, odd, strict=True):
        assert s == t and all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_byte_packets_number_beyond_their_sixteen_bits(packet_link):
    model = model_id(packet_link.models.sha256, 16)
    count = 65536 + 5000
    packets = [Packet(model, s % 65536, 0, bytes([s % 251])) for s in range(0, count, 7)]
    got = from_packets(packet_link, packets, count)
    assert [s for s, _ in got] == list(range(count))
    for s, (bits, nothing) in got:
        assert nothing is None and (bits is None) == bool(s % 7)
        assert bits is None or np.packbits(bits)[0] == s % 251


def test_hostile_payloads_are_counted_and_concealed(packet_link, speech_like):
    rng = np.random.default_rng(2)
    frames = [(s, [rng.integers(0, 2, rng.integers(0, 500)).astype(np.uint8) for _ in p])
              for s, p in encode(packet_link, speech_like)]
    counts = Counts()
    sound = decode(packet_link, frames, len(speech_like), counts)
    assert counts.packets_desync + counts.packets_undecodable >= 2 * len(frames) - 1
    assert counts.frames_concealed >= 5 * (len(frames) - 1)
    assert np.isfinite(sound).all() and np.abs(sound[-1600:]).max() <= 0.031


def test_flipped_bits_never_reach_the_codec(packet_link, speech_like):
    rng, frames, counts = np.random.default_rng(3), list(encode(packet_link, speech_like)), Counts()
    spoilt = []
    for s, payloads in frames:
        flipped = [b.copy() for b in payloads]
        for bits in flipped:
            bits[rng.integers(len(bits))] ^= 1
        spoilt.append((s, flipped))
    decode(packet_link, spoilt, len(speech_like), counts)
    assert counts.packets_desync + counts.packets_undecodable >= 2 * len(frames) - 1


def test_bursts_of_another_profile_or_model_are_not_taken(link, speech_like):
    samples = modulate(link, list(encode(link, speech_like[:3200])))
    assert len(demodulate(link, samples)) == 3
    other = Link(profile.replace_profile(link.profile, id=6), link.models)
    assert demodulate(other, samples) == []
    foreign = Link(link.profile, link.models)
    foreign.frame_coder = lambda: _with_model(link.frame_coder())
    assert demodulate(foreign, samples) == []


def _with_model(coder):
    coder.model ^= 1
    return coder


def test_the_payload_must_fit_its_code_block(link):
    coder = link.frame_coder()
    with pytest.raises(ValueError, match="201 bits exceed the profile's 200"):
        coder.encode(0, [np.zeros(BASE_ROOM + 1, np.uint8), np.zeros(10, np.uint8)])
    with pytest.raises(ValueError):
        coder.encode(0, [np.zeros(10, np.uint8)])


def test_a_profile_without_radio_has_no_frame_coder(packet_link):
    with pytest.raises(ValueError, match="no phy section"):
        packet_link.frame_coder()


# --- numbers that wrap -----------------------------------------------------------------------------------------------


def test_sequence_numbers_unwrap_by_the_time_of_arrival():
    period, rng, unwrap = 1000, np.random.default_rng(4), Unwrapper(1000, 0)
    for s in range(2000):
        if rng.random() < 0.3 or 500 <= s < 1100:  # losses, one of them longer than two wraps
            continue
        assert unwrap(s % 256, s * period + int(rng.integers(-400, 400))) == s


def test_without_an_origin_the_first_burst_gives_it():
    unwrap = Unwrapper(1000)
    assert unwrap(250, 77_000) == 250
    assert [unwrap((250 + i) % 256, 77_000 + 1000 * i) for i in range(1, 20)] == list(range(251, 270))


def test_numbers_follow_a_clock_that_drifts_and_a_sender_that_pauses():
    unwrap, at = Unwrapper(1000), 0
    for s in range(3000):
        at += 1003 if s % 100 else 1600
        assert unwrap(s % 256, at) == s
    assert abs(unwrap.origin + 2999 * 1000 - at) < 1000  # where the next is expected follows too


@pytest.mark.parametrize("last", [6, 100, 127, 128, 200, 255, 300])
def test_a_sender_that_restarts_is_another_transmission_far_away(last):
    unwrap = Unwrapper(1000)
    for s in range(last + 1):
        unwrap(s % 256, 1000 * s)
    begin = 1000 * last + 7345
    numbers = [unwrap(s, begin + 1000 * s) for s in range(20)]
    assert numbers == list(range(numbers[0], numbers[0] + 20)) and numbers[0] - last > 800


def test_every_superframe_comes_once_whatever_arrived():
    got = in_order([Frame(2, ["b", None]), Frame(0, ["a", "c"]), Frame(99, ["x", "x"]), Frame(-1, ["y", "y"])], 4, 2)
    assert got == [(0, ["a", "c"]), (1, [None, None]), (2, ["b", None]), (3, [None, None])]


# --- the last step to the ear ----------------------------------------------------------------------------------------


def test_what_is_played_is_finite_and_within_full_scale():
    class Wild:
        def push(self, latent, layers):
            return np.tile(np.array([np.nan, np.inf, -np.inf, 1e9], np.float32), 400)

    class Estimate:
        latent, layers, gain = None, None, np.ones(6, np.float32)

    out = speak(Wild(), Estimate())
    assert np.isfinite(out).all() and np.abs(out).max() <= 1 and out.shape == (1600,)


# --- another process, given only what survived ---------------------------------------------------------------------

FAR_END = """
import sys
import numpy as np
from soundspring.coding.ssp import read_ssp
from soundspring.link import Link, Models, decode, from_packets
from soundspring.profile import from_dict
import torch
torch.set_num_threads(int(sys.argv[3]))
models = Models()
meta, packets, stats = read_ssp(sys.argv[1], models.sha256)
link = Link(from_dict(meta.settings), models)
frames = from_packets(link, packets, -(-(meta.samples + 320) // link.profile.superframe_samples))
coder = link.entropy_decoder()
decoded = [coder.push(s, bits) for s, bits in frames]
np.savez(sys.argv[2], tokens=[d.tokens for d in decoded], received=[d.received for d in decoded],
         sound=decode(link, frames, meta.samples))
"""


@pytest.mark.parametrize(("policy", "threads"), [("layered", 2), ("chained", 1)])
def test_another_process_decodes_from_the_surviving_packets_alone(tiny_models, speech_like, tmp_path, policy, threads):
    plain = profile.load("reference").with_layers(12)
    link = Link(profile.replace_profile(plain, policy=policy, window=3, copies=()), tiny_models)
    frames = list(encode(link, speech_like))
    survivors = drop_packets(to_packets(link, frames), parse_loss("bernoulli:0.45", 5))
    meta = SspMeta(tiny_models.sha256, link.profile.name, len(speech_like), settings=link.profile.to_dict())
    write_ssp(tmp_path / "air.ssp", meta, survivors)
    here = from_packets(link, survivors, len(frames))
    tokens, sound = tokens_of(link, here), decode(link, here, len(speech_like))
    environment = os.environ | {"PYTHONPATH": str(PACKAGE), "SOUNDSPRING_MODELS": str(tiny_models.codec_folder.parent),
                                "OMP_WAIT_POLICY": "PASSIVE"}  # two threads on one busy core else wait for each other
    subprocess.run([sys.executable, "-c", FAR_END, "air.ssp", "out.npz", str(threads)], cwd=tmp_path, check=True,
                   timeout=120, env=environment)
    far = np.load(tmp_path / "out.npz")
    fates = {f for d in tokens for f in d.status}
    assert {"ok", "lost", "undecodable"} <= fates and "desync" not in fates
    assert np.array_equal(far["tokens"], [d.tokens for d in tokens])
    assert np.array_equal(far["received"], [d.received for d in tokens])
    assert np.abs(far["sound"] - sound).max() < 1e-6 and np.abs(sound).max() > 0
    if threads == 1:
        assert np.array_equal(far["sound"], sound)


def test_nothing_is_left_to_the_garbage_collector(link, speech_like):
    """A collection of all there is comes hardly ever in a program of this size: what waits for it looks like a leak."""
    def through():
        coder, decoder, concealer = link.entropy_encoder(), link.entropy_decoder(), link.concealer()
        for number in range(4):
            sequence, groups = coder.push(latent=latents[number], room=link.profile.room)
            decoded = decoder.push(sequence, [g.bits if number != 2 else None for g in groups])
            concealer.push(decoded.tokens, decoded.received, decoded.sent)

    codec, size = link.codec_encoder(), link.profile.superframe_samples
    latents = [codec.analyse(speech_like[n * size : (n + 1) * size]) for n in range(4)]
    through()
    gc.collect()
    gc.disable()
    try:
        through()
        assert gc.collect() == 0
    finally:
        gc.enable()
