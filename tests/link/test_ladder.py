# SPDX-License-Identifier: GPL-3.0-or-later
"""A link that changes its rung while it runs: what every burst announces is followed, and nothing is lost by it."""

import numpy as np
import pytest
from soundspring.channel.factory import make_channel
from soundspring.link import Counts, Frame, Link, decode, demodulate, drop, encode, in_order, modulate, run, sent_at
from soundspring.profile import load, load_ladder

WIDE = load_ladder("wide")
SWITCHES = {0: 2, 3: 0, 5: 7, 8: 1, 9: 4, 12: 0}
COUNT = 14  # superframes of speech_like


@pytest.fixture
def link(tiny_models):
    return Link(WIDE, tiny_models)


def awgn(link, snr_db):
    return make_channel("awgn", rate=link.sample_rate, snr_db=snr_db, oversampling=2, seed=2)


def test_the_switches_say_what_is_sent_when():
    sent = [sent_at(WIDE, SWITCHES, s).id for s in range(COUNT)]
    assert sent == [2, 2, 2, 0, 0, 7, 7, 7, 1, 4, 4, 4, 0, 0]
    assert sent_at(WIDE, None, 5).id == sent_at(WIDE, {6: 3}, 5).id == 0
    with pytest.raises(ValueError, match="rung"):
        sent_at(WIDE, {0: 8}, 0)


def test_bursts_announce_their_rung_and_the_receiver_follows_without_a_loss(link, speech_like):
    frames = list(encode(link, speech_like, switches=SWITCHES))
    found = demodulate(link, awgn(link, 25.0).process(modulate(link, frames, SWITCHES)))
    assert [f.burst.header.profile for f in found] == [sent_at(WIDE, SWITCHES, s).id for s in range(COUNT)]
    for got, (sequence, sent) in zip(found, frames, strict=True):
        assert got.sequence == sequence and len(got.payloads) == len(sent)
        for bits, truth in zip(got.payloads, sent, strict=True):
            assert np.array_equal(bits[: len(truth)], truth) and not bits[len(truth) :].any()


def test_layers_of_packets_that_are_not_sent_are_not_concealed(link, speech_like):
    counts = Counts()
    frames = list(encode(link, speech_like, counts, SWITCHES))
    direct = decode(link, frames, len(speech_like))
    result = run(link, speech_like, awgn(link, 25.0), switches=SWITCHES)
    assert result.counts.frames_concealed == result.counts.packets_lost == 0
    assert [len(s) for s in result.counts.status] == [sent_at(WIDE, SWITCHES, s).packets for s in range(COUNT)]
    assert result.counts.packets_sent == counts.packets_sent == sum(len(payloads) for _, payloads in frames)
    assert np.array_equal(result.audio, direct) and np.abs(direct).max() > 0


def test_a_higher_rung_brings_more_layers(link, speech_like):
    layers = []
    for rung in (0, 1, 2, 3, 7):
        decoder = link.entropy_decoder()
        got = [decoder.push(*frame) for frame in encode(link, speech_like, switches={0: rung})]
        layers.append(np.mean([d.received.sum(1).mean() for d in got]))
    assert layers == sorted(layers) and layers[-1] > 5 * layers[0]


def test_below_the_thresholds_a_lower_rung_still_arrives(link, speech_like):
    """At an SNR at which the fourth rung is all but gone, the first loses nothing."""
    air = WIDE.rungs[0].phy.threshold_db + 2.5
    high, low = (run(link, speech_like, awgn(link, air), switches={0: r}).counts for r in (3, 0))
    assert high.packets_lost > COUNT and low.packets_lost == 0 and low.packets_sent == COUNT


def test_a_burst_of_which_nothing_came_has_the_packets_of_the_one_before(link):
    payloads = [Frame(0, [1, 2]), Frame(3, [3]), Frame(6, [4, 5])]
    assert [len(p) for _, p in in_order(payloads, 8, 1)] == [2, 2, 2, 1, 1, 1, 2, 2]
    assert [len(p) for _, p in in_order(payloads[1:], 4, 2)] == [2, 2, 2, 1]


def test_a_lost_burst_of_a_base_packet_alone_is_one_loss(link, speech_like):
    frames = list(encode(link, speech_like, switches={0: 0}))
    counts = Counts()
    decode(link, [(s, [None] if s == 4 else p) for s, p in frames], len(speech_like), counts)
    assert counts.packets_lost == 1 and counts.frames_concealed == 5


def test_losses_are_drawn_by_place_whatever_is_sent():
    class Odd:
        at = 0

        def step(self, n):
            self.at += n
            return np.arange(self.at - n, self.at) % 2 == 1

    frames = [Frame(0, [1, 2]), Frame(2, [3]), Frame(3, [4, 5]), Frame(9, [6])]
    assert drop(frames, Odd(), 5, 2) == [Frame(0, [1, None]), Frame(2, [3]), Frame(3, [4, None])]
    assert drop([Frame(0, [1]), Frame(1, [2, 3])], Odd(), 2, 3) == [Frame(0, [1]), Frame(1, [None, 3])]
    Odd.step = lambda self, n: np.ones(n, bool)
    assert drop(frames, Odd(), 5, 2) == []


def test_a_rung_by_itself_is_a_profile(tiny_models, speech_like):
    alone, ladder = Link(load("wide-3"), tiny_models), Link(WIDE, tiny_models)
    air = [awgn(alone, 9.0) for _ in range(2)]
    one, other = run(alone, speech_like, air[0]), run(ladder, speech_like, air[1], switches={0: 3})
    assert one.counts == other.counts and np.array_equal(one.audio, other.audio)
