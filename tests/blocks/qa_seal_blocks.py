# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealer and opener as blocks, and the transmitter and receiver that have them: as the functions, packet for packet."""

import numpy as np
import pytest
from flowgraphs import clocks, pdu, post, through
from gnuradio import blocks, gr
from soundspring import link, profile
from soundspring.blocks.entropy_decoder import entropy_decoder
from soundspring.blocks.packet_opener import packet_opener
from soundspring.blocks.packet_sealer import packet_sealer
from soundspring.channel.factory import make_channel
from soundspring.hier import engine
from soundspring.hier.receiver import receiver
from soundspring.hier.transmitter import transmitter

pytest.importorskip("cryptography")
pytestmark = pytest.mark.usefixtures("tiny_models", "key")
KEY = "env:VOICE_KEY"


@pytest.fixture
def key(monkeypatch):
    monkeypatch.setenv("VOICE_KEY", "0f" * 16)
    monkeypatch.setenv("OTHER_KEY", "f0" * 16)


def payloads(count, **more):
    """PDUs of both packets of superframes 0.., and the bits in them."""
    rng = np.random.default_rng(8)
    bits = [[rng.integers(0, 2, k, np.uint8) for k in (80, 550)] for _ in range(count)]
    return [pdu(b, sequence=s, group=g, **more) for s, groups in enumerate(bits) for g, b in enumerate(groups)], bits


def again(results):
    """PDUs out of one block as PDUs into the next."""
    return [pdu(data, **meta) for meta, data in results]


@pytest.mark.parametrize("security", [{}, {"encrypt": True, "tag_bytes": 8}])
def test_what_is_sealed_opens(security):
    p = profile.with_security("reference", KEY, **security).common
    messages, bits = payloads(12, note="kept")
    sealed = through(packet_sealer(p), messages)
    assert [data.size for _, data in sealed[:2]] == [160, 624] and sealed[0][0]["note"] == "kept"
    end = packet_opener(p)
    opened = through(end, again(sealed))
    assert len(opened) == 24 - 7 and end.refused == {"joining": 7} and end.dropped == 7
    for meta, data in opened:
        truth = bits[meta["sequence"]][meta["group"]]
        assert meta["note"] == "kept" and np.array_equal(data, np.pad(truth, (0, data.size - truth.size)))


def test_without_a_key_they_pass_everything_unchanged():
    for block in (packet_sealer(), packet_opener()):
        messages, bits = payloads(3)
        assert [data.tolist() for _, data in through(block, messages)] == [b.tolist() for x in bits for b in x]


def test_what_cannot_be_used_is_dropped():
    sealer, end = packet_sealer("reference", KEY), packet_opener("reference", "env:OTHER_KEY")
    messages, _ = payloads(12)
    wrong = [pdu(np.zeros(100, np.uint8)), pdu(np.zeros(100, np.uint8), sequence=20, group=2),
             pdu(np.full(100, 2, np.uint8), sequence=20, group=0), pdu(np.zeros(121, np.uint8), sequence=20, group=0)]
    sealed = through(sealer, [*messages, *wrong, messages[-1]])
    assert sealer.dropped == 5 and len(sealed) == 24
    assert through(end, [*again(sealed), *wrong, pdu(sealed[0][1], sequence=0, group=0, ok=False)]) == []
    assert end.refused == {"joining": 7, "unverified": 17 + 2} and end.dropped == 24 + 4
    assert end.lost == 1


def test_what_was_lost_on_the_air_counts_as_lost_behind_the_opener(tiny_models, speech_like):
    """Packets that the LDPC decoder could not decode, one or both of a superframe, each counted once."""
    whole = link.Link(profile.with_security("reference", KEY).common, tiny_models)
    bad = {(8, 1), (9, 0), (9, 1), (11, 0)}
    messages = [pdu(bits, sequence=s, group=g, ok=(s, g) not in bad)
                for s, groups in link.encode(whole, speech_like) for g, bits in enumerate(groups)]  # 14 superframes
    end, decoder, debug = packet_opener(whole.profile), entropy_decoder(whole.profile), blocks.message_debug()
    top = gr.top_block()
    top.msg_connect((end, "pdus"), (decoder, "pdus"))
    top.msg_connect((decoder, "pdus"), (debug, "store"))
    post(end, messages)
    top.run()
    # The first superframes are still being joined: 7 packets, so it begins with the second packet of superframe 3.
    assert end.lost == 4 and end.refused == {"joining": 7} and end.dropped == 7
    fates = decoder.counts.fates
    assert (fates["lost"], fates["ok"], fates["desync"]) == (1 + 4, 2 * 11 - 5 - fates["undecodable"], 0)


def test_clocks_go_through():
    from soundspring.blocks.pdu import clock

    top, debug, block = gr.top_block(), blocks.message_debug(), packet_opener("reference", KEY)
    top.msg_connect((block, "pdus"), (debug, "store"))
    post(block, [clock(5)])
    top.run()
    assert clocks(debug) == [5]


@pytest.mark.parametrize("make", [packet_sealer, packet_opener, lambda p, k: transmitter(p, key=k),
                                  lambda p, k: receiver(p, key=k)])
@pytest.mark.parametrize("key", ["0f" * 16, "env:NOT_SET"])
def test_a_key_that_cannot_be_is_refused_before_the_start(make, key):
    with pytest.raises(ValueError, match="key"):
        make("reference", key)


@pytest.mark.parametrize("radio", [False, True])
def test_the_flowgraph_gives_what_the_functions_give(tiny_models, speech_like, radio):
    p = profile.with_security("reference", KEY).common
    results = []
    for run in (link.run, engine.run):
        whole = link.Link(p, tiny_models)
        channel = make_channel("awgn", rate=whole.sample_rate, snr_db=15.0, oversampling=2, seed=1) if radio else None
        results.append(run(whole, speech_like, channel))
    ours, theirs = results
    assert np.array_equal(ours.audio, theirs.audio) and np.abs(ours.audio).max() > 0
    assert ours.counts.status == theirs.counts.status and ours.counts.fates["ok"] == 20
    assert ours.counts.packets_refused == theirs.counts.packets_refused == 0


def heard(samples, **options):
    """The fates of packets in a receiver that hears these samples."""
    top, end, sound = gr.top_block(), receiver(**options), blocks.null_sink(gr.sizeof_float)
    source = blocks.vector_source_c(np.concatenate([samples, np.zeros(400_000, np.complex64)]).tolist())
    top.connect(source, end, sound)
    top.run()
    return end.entropy.counts.fates, end.refused


def test_a_receiver_that_comes_late_joins_within_a_second_and_others_hear_nothing(tiny_models, speech_like):
    whole = link.Link(profile.with_security("reference", KEY).common, tiny_models)
    samples = link.modulate(whole, list(link.encode(whole, np.tile(speech_like, 2))))  # 27 superframes
    late = samples[10 * whole.period + 12345 :]
    fates, refused = heard(late, key=KEY)
    assert refused == {"joining": 7} and fates["ok"] >= 2 * (27 - 11 - 4) and fates["desync"] == 0
    for options in ({"key": "env:OTHER_KEY"}, {}):
        assert heard(late, **options)[0]["ok"] == 0
    bare = link.Link(profile.load("reference"), tiny_models)
    assert heard(link.modulate(bare, list(link.encode(bare, speech_like))), key=KEY)[0] == {}


def test_bursts_sent_once_more_are_refused(tiny_models, speech_like):
    whole = link.Link(profile.with_security("reference", KEY).common, tiny_models)
    samples = link.modulate(whole, list(link.encode(whole, speech_like)))
    once, _ = heard(samples, key=KEY)
    pause = np.zeros(3 * whole.period, np.complex64)
    twice, refused = heard(np.concatenate([samples, pause, samples]), key=KEY)
    assert twice["ok"] == once["ok"] == 20 and refused["joining"] == 7
    assert refused["replayed"] + refused["unverified"] == 28
