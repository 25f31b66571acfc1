# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of superframes: every policy returns what arrived, and nothing that leans on what did not."""

import numpy as np
import pytest
from coding_fakes import MlpSource, Perturbed
from soundspring.coding.superframe import Plan, SuperframeDecoder, SuperframeEncoder

LAYERS = 6
POLICIES = ("independent", "layered", "chained")


def plan(policy, past=2, groups=(2, LAYERS), room=None, frames=3, refresh=4):
    return Plan(frames, groups, policy, past, refresh, tuple((f,) for f in range(frames)), room)


@pytest.fixture(scope="module")
def source():
    return MlpSource(1, LAYERS)


def some_tokens(superframes, frames=3, seed=0):
    return np.random.default_rng(seed).integers(0, 1024, (superframes, frames, LAYERS)).astype(np.int16)


def encode(source, tokens, the_plan):
    encoder = SuperframeEncoder(source, the_plan)
    return [encoder.push(block) for block in tokens]


def usable(the_plan, fates, s, g):
    """What the policy says about packet g of superframe s, given the fates of everything before it."""
    return all(s - b in fates and fates[s - b].get(h) == "ok" for b, h in the_plan.needs(g, s))


@pytest.mark.parametrize("policy", POLICIES)
def test_without_loss_everything_returns(source, policy):
    tokens, the_plan = some_tokens(12), plan(policy)
    decoder = SuperframeDecoder(source, the_plan)
    for (s, coded), truth in zip(encode(source, tokens, the_plan), tokens, strict=True):
        got = decoder.push(s, [g.bits for g in coded])
        assert got.sequence == s and got.status == ("ok", "ok")
        assert got.received.all() and np.array_equal(got.tokens, truth)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("loss", [0.1, 0.4])
@pytest.mark.parametrize("groups", [(2, LAYERS), (1, 3, LAYERS), (LAYERS,)])
@pytest.mark.parametrize("policy", POLICIES)
def test_with_losses_exactly_what_can_be_decoded_is(source, policy, groups, loss, seed):
    tokens, the_plan = some_tokens(12, seed=seed), plan(policy, groups=groups)
    rng, decoder = np.random.default_rng(seed), SuperframeDecoder(source, the_plan)
    fates, lost = {}, 0
    for (s, coded), truth in zip(encode(source, tokens, the_plan), tokens, strict=True):
        gone = rng.random(len(coded)) < loss
        lost += gone.sum()
        got = decoder.push(s, [None if x else g.bits for x, g in zip(gone, coded, strict=True)])
        fates[s] = {}
        for g in range(len(groups)):
            can = usable(the_plan, fates, s, g)
            fates[s][g] = "lost" if gone[g] else "ok" if can else "undecodable"
            own = slice(groups[g - 1] if g else 0, groups[g])
            assert (got.received[:, own] == (fates[s][g] == "ok")).all()
        assert got.status == tuple(fates[s].values())
        assert np.array_equal(got.tokens[got.received], truth[got.received])
        assert not got.tokens[~got.received].any(), "what is not received stands as zero"
    assert lost > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_superframe_of_which_nothing_came_may_be_left_out(source, policy):
    tokens, the_plan = some_tokens(8), plan(policy)
    packets = [[g.bits for g in coded] for _, coded in encode(source, tokens, the_plan)]
    told, untold = SuperframeDecoder(source, the_plan), SuperframeDecoder(source, the_plan)
    for s, bits in enumerate(packets):
        if s == 2:
            told.push(s, [None, None])
            continue
        a, b = told.push(s, bits), untold.push(s, bits)
        assert a.status == b.status and np.array_equal(a.tokens, b.tokens)


def test_an_independent_packet_needs_nothing_a_layered_one_its_bases_and_a_chained_one_all(source):
    fates = {}
    for policy in POLICIES:
        tokens, the_plan = some_tokens(4), plan(policy, past=1, refresh=10)
        decoder = SuperframeDecoder(source, the_plan)
        for s, coded in encode(source, tokens, the_plan):
            bits = [g.bits for g in coded]
            # Of superframe 1 the enhancement packet is lost, of superframe 2 the base.
            got = decoder.push(s, [None if (s, g) in ((1, 1), (2, 0)) else b for g, b in enumerate(bits)])
            fates[policy, s] = got.status
    assert [fates["independent", s] for s in range(4)] == [("ok", "ok"), ("ok", "lost"), ("lost", "ok"), ("ok", "ok")]
    assert [fates["layered", s][1] for s in range(4)] == ["ok", "lost", "undecodable", "undecodable"]
    assert [fates["layered", s][0] for s in range(4)] == ["ok", "ok", "lost", "ok"]
    assert [fates["chained", s] for s in range(4)] == [
        ("ok", "ok"), ("ok", "lost"), ("lost", "undecodable"), ("undecodable", "undecodable")]


@pytest.mark.parametrize("policy", POLICIES)
def test_context_starts_anew_where_the_number_wraps(source, policy):
    """A receiver that joins with superframe 256, and numbers it 512, decodes everything from there on."""
    the_plan = plan(policy, frames=1, refresh=7)
    tokens = some_tokens(260, frames=1)
    encoder, decoder = SuperframeEncoder(source, the_plan), SuperframeDecoder(source, the_plan)
    for truth in tokens:
        s, coded = encoder.push(truth)
        if s >= 256:
            got = decoder.push(s + 256, [g.bits for g in coded])
            assert got.status == ("ok", "ok") and np.array_equal(got.tokens, truth)
    assert got.sequence == 259 + 256


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("room", [(60, 110), (40, 60), (25, 25)])
def test_fixed_rooms_send_as_many_layers_as_fit_and_the_rest_is_unknown(source, policy, room):
    tokens, the_plan = some_tokens(8), plan(policy, room=room)
    encoder, decoder, sent = SuperframeEncoder(source, the_plan), SuperframeDecoder(source, the_plan), []
    for truth in tokens:
        s, coded = encoder.push(truth)
        for g, limit in zip(coded, room, strict=True):
            assert len(g.bits) <= limit
        padded = [np.pad(g.bits, (0, limit - len(g.bits))) for g, limit in zip(coded, room, strict=True)]
        got = decoder.push(s, padded)
        assert got.status == ("ok", "ok")
        expected = np.zeros(LAYERS, bool)
        for (start, stop), g in zip(((0, 2), (2, LAYERS)), coded, strict=True):
            assert g.n_layers <= stop - start
            expected[start : start + g.n_layers] = True
        assert (got.received == expected).all() and np.array_equal(got.tokens[got.received], truth[got.received])
        sent.append(expected.sum())
    assert max(sent) < LAYERS and (max(sent) > 0 or room == (25, 25))


@pytest.mark.parametrize("policy", POLICIES)
def test_hostile_bits_are_counted_and_nothing_of_them_is_used(source, policy):
    the_plan, rng = plan(policy), np.random.default_rng(4)
    decoder = SuperframeDecoder(source, the_plan)
    for s in range(60):
        bits = [rng.integers(0, 2, rng.integers(0, 200)).astype(np.uint8) for _ in range(2)]
        got = decoder.push(s, bits)
        assert set(got.status) <= {"desync", "undecodable", "ok"}
        if "ok" not in got.status:
            assert not got.received.any() and not got.tokens.any()
    assert got is not None


def test_a_packet_in_the_wrong_place_is_noticed(source):
    the_plan, tokens = plan("independent"), some_tokens(2)
    first, second = ([g.bits for g in coded] for _, coded in encode(source, tokens, the_plan))
    decoder = SuperframeDecoder(source, the_plan)
    assert decoder.push(0, first[::-1]).status == ("desync", "desync"), "base and enhancement exchanged"
    assert decoder.push(1, first).status == ("desync", "desync"), "the packets of another superframe"
    assert decoder.push(257, second).status == ("ok", "ok"), "the number counts modulo 256"


def test_disturbed_logits_decode_the_same(source):
    the_plan, tokens = plan("chained"), some_tokens(8)
    decoder = SuperframeDecoder(Perturbed(source, 5e-9), the_plan)
    for s, coded in encode(source, tokens, the_plan):
        got = decoder.push(s, [g.bits for g in coded])
        assert got.status == ("ok", "ok") and np.array_equal(got.tokens, tokens[s])


def test_wrong_arguments_are_named(source):
    the_plan = plan("layered")
    encoder, decoder = SuperframeEncoder(source, the_plan), SuperframeDecoder(source, the_plan)
    for shape, value in (((2, LAYERS), 0), ((3, LAYERS - 1), 0), ((3, LAYERS), 1024), ((3, LAYERS), -1)):
        with pytest.raises(ValueError, match="tokens"):
            encoder.push(np.full(shape, value, np.int16))
    for payloads in ([], [None] * 3):
        with pytest.raises(ValueError, match="payloads"):
            decoder.push(0, payloads)
    decoder.push(5, [None, None])
    for late in (5, 4):
        with pytest.raises(ValueError, match="sequence"):
            decoder.push(late, [None, None])


def test_the_room_may_change_from_superframe_to_superframe_and_leave_groups_out(source):
    the_plan, tokens = plan("layered", past=1, room=(200, 400)), some_tokens(6)
    rooms = [(200, 400), (100,), (200, 150), (100,), (300, 600), None]
    encoder, decoder = SuperframeEncoder(source, the_plan), SuperframeDecoder(source, the_plan)
    for truth, room in zip(tokens, rooms, strict=True):
        s, coded = encoder.push(truth, room=room)
        room = room or the_plan.room
        assert len(coded) == len(room) and all(len(g.bits) <= r for g, r in zip(coded, room, strict=True))
        got = decoder.push(s, [g.bits for g in coded])
        assert got.status == ("ok",) * len(room) and got.sent == the_plan.groups[len(room) - 1]
        assert np.array_equal(got.tokens[got.received], truth[got.received])
        assert got.received.sum() == sum(g.n_layers for g in coded) * the_plan.frames > 0


def test_a_refused_push_leaves_no_trace(source):
    """A block that drops a malformed PDU goes on with the next one."""
    the_plan, tokens = plan("chained"), some_tokens(4)
    encoder, decoder = SuperframeEncoder(source, the_plan), SuperframeDecoder(source, the_plan)
    for i, truth in enumerate(tokens):
        if i == 2:
            with pytest.raises(ValueError):
                encoder.push(np.full((3, LAYERS), 2000, np.int16))
        s, coded = encoder.push(truth)
        assert s == i
        got = decoder.push(s, [g.bits for g in coded])
        assert got.status == ("ok", "ok") and np.array_equal(got.tokens, truth)
