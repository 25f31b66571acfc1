# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of earlier superframes' lower layers in a packet: what was sent comes again, and never anything else."""

import numpy as np
import pytest
from coding_fakes import MlpSource, Perturbed
from soundspring.coding.copies import empty_bits
from soundspring.coding.superframe import (
    DecodedSuperframe,
    Plan,
    Repair,
    SuperframeDecoder,
    SuperframeEncoder,
    repaired,
)
from soundspring.coding.transcode import Group, decode_group, encode_group

LAYERS, FRAMES = 6, 2
SCHEDULE = ((0,), (1,))


@pytest.fixture(scope="module")
def source():
    return MlpSource(1, LAYERS)


def plan(policy="layered", groups=(2, LAYERS), copies=(3, 2), room=None):
    return Plan(FRAMES, groups, policy, 0, 5, SCHEDULE, room, copies=copies)


def some_tokens(superframes, seed=0):
    return np.random.default_rng(seed).integers(0, 1024, (superframes, FRAMES, LAYERS)).astype(np.int16)


def encode(source, tokens, the_plan):
    encoder = SuperframeEncoder(source, the_plan)
    return [encoder.push(block)[1] for block in tokens]


@pytest.mark.parametrize("policy", ["independent", "layered"])
@pytest.mark.parametrize("groups", [(2, LAYERS), (LAYERS,), (1, 3, LAYERS)])
@pytest.mark.parametrize("copies", [(1,), (LAYERS,), (3, 2), (2, 5)])
def test_copies_are_the_layers_sent_before(source, policy, groups, copies):
    tokens, the_plan = some_tokens(5), plan(policy, groups, copies)
    decoder = SuperframeDecoder(source, the_plan)
    for s, coded in enumerate(encode(source, tokens, the_plan)):
        got = decoder.push(s, [g.bits for g in coded])
        assert set(got.status) == {"ok"} and np.array_equal(got.tokens, tokens[s])
        for back, (layers, copy) in enumerate(zip(copies, got.copies, strict=True), 1):
            wanted = tokens[s - back][:, :layers] if s >= back else np.zeros((FRAMES, 0), np.int16)
            assert np.array_equal(copy, wanted)
        assert [g.copy_bits > 13 for g in coded] == [False] * (len(groups) - 1) + [s > 0]


def test_a_packet_with_copies_needs_nothing_that_came_earlier(source):
    tokens, the_plan = some_tokens(6), plan()
    bits = [[g.bits for g in coded] for coded in encode(source, tokens, the_plan)]
    late = SuperframeDecoder(source, the_plan).push(5, bits[5])
    assert late.status == ("ok", "ok") and np.array_equal(late.copies[1], tokens[3][:, :2])


def test_without_its_base_a_packet_brings_no_copies(source):
    tokens, the_plan = some_tokens(3), plan()
    bits = [[g.bits for g in coded] for coded in encode(source, tokens, the_plan)]
    got = SuperframeDecoder(source, the_plan).push(2, [None, bits[2][1]])
    assert got.status == ("lost", "undecodable") and got.copies == ()


@pytest.mark.parametrize("room", [(100, 400), (60, 220), (30, 60), (30, 40)])
def test_in_a_fixed_room_they_take_half_of_it_at_most(source, room):
    tokens, the_plan = some_tokens(6), plan(room=room)
    decoder, carried = SuperframeDecoder(source, the_plan), 0
    for s, coded in enumerate(encode(source, tokens, the_plan)):
        assert all(len(g.bits) <= limit for g, limit in zip(coded, room, strict=True))
        assert coded[1].copy_bits <= max(room[1] / 2, empty_bits(the_plan.group(1)))
        got = decoder.push(s, [np.pad(g.bits, (0, limit - len(g.bits))) for g, limit in zip(coded, room, strict=True)])
        assert got.status == ("ok", "ok") and np.array_equal(got.tokens[got.received], tokens[s][got.received])
        for back, copy in enumerate(got.copies, 1):
            assert np.array_equal(copy, tokens[s - back][:, : copy.shape[1]])
            carried += copy.size
    assert (carried > 0) == (room[1] > 200)


def test_a_copy_too_large_for_its_half_keeps_its_lower_layers(source):
    tokens, the_plan = some_tokens(3), plan(room=(200, 130), copies=(3,))
    decoder, copied = SuperframeDecoder(source, the_plan), []
    for s, coded in enumerate(encode(source, tokens, the_plan)):
        got = decoder.push(s, [g.bits for g in coded])
        copied += [c.shape[1] for c in got.copies]
        assert got.status == ("ok", "ok") and coded[1].copy_bits <= 65
    assert copied[0] == 0 and set(copied[1:]) <= {1, 2}, copied


def test_of_a_superframe_with_few_layers_only_those_are_copied(source):
    """The base of superframe 0 has no room for its second layer."""
    tokens, the_plan = some_tokens(2), plan(room=(200, 400), copies=(3,))
    encoder = SuperframeEncoder(source, the_plan)
    first = encoder.push(tokens[0], room=(45, 400))[1]
    second = encoder.push(tokens[1])[1]
    assert first[0].n_layers == 1
    got = SuperframeDecoder(source, the_plan).push(1, [g.bits for g in second])
    assert np.array_equal(got.copies[0], tokens[0][:, :1])


def test_disturbed_logits_decode_the_same(source):
    tokens, the_plan = some_tokens(6), plan()
    decoder = SuperframeDecoder(Perturbed(source, 5e-9), the_plan)
    for s, coded in enumerate(encode(source, tokens, the_plan)):
        got = decoder.push(s, [g.bits for g in coded])
        assert got.status == ("ok", "ok") and all(
            np.array_equal(copy, tokens[s - back][:, : copy.shape[1]]) for back, copy in enumerate(got.copies, 1))


def test_any_flipped_bit_is_noticed(source):
    """Nearly: wrong tokens pass an 8-bit check once in 256."""
    tokens, the_plan = some_tokens(2), plan(groups=(LAYERS,), copies=(3,))
    bits, passed = encode(source, tokens, the_plan)[1][0].bits, 0
    for at in range(len(bits)):
        spoilt = bits.copy()
        spoilt[at] ^= 1
        got = SuperframeDecoder(source, the_plan).push(1, [spoilt])
        passed += got.status != ("desync",)
        assert got.status == ("ok",) or got.copies == ()
    assert passed <= 1


class Odd(MlpSource):
    """Its logits are of no use where the past is asked for."""

    def logits(self, state, frames, layer, tokens, known):
        logits = super().logits(state, frames, layer, tokens, known)
        return np.where(np.asarray(frames)[:, None] < FRAMES, np.nan, logits)


def test_copies_that_cannot_be_coded_are_left_out():
    source, tokens = Odd(1, LAYERS), some_tokens(2).reshape(-1, LAYERS)
    group, visible = Group(0, (0, LAYERS), FRAMES, SCHEDULE, copies=(3,)), np.zeros((2 * FRAMES, LAYERS), bool)
    coded = encode_group(source, tokens, visible, group, offset=FRAMES, earlier=[3])
    got = decode_group(source, coded.bits, tokens, visible, group, offset=FRAMES)
    assert not coded.fallback and got.status == "ok" and got.copies[0].shape == (FRAMES, 0)
    assert np.array_equal(got.tokens, tokens[FRAMES:])


def test_what_cannot_be_coded_by_the_model_has_no_copies(source):
    tokens, visible = some_tokens(2).reshape(-1, LAYERS), np.zeros((2 * FRAMES, LAYERS), bool)
    group, broken = Group(0, (0, LAYERS), FRAMES, SCHEDULE, copies=(3,)), MlpSource(1, LAYERS)
    broken.heads = broken.heads * np.nan
    coded = encode_group(broken, tokens, visible, group, offset=FRAMES, earlier=[3])
    got = decode_group(source, coded.bits, tokens, visible, group, offset=FRAMES)
    assert coded.fallback and coded.copy_bits == 0 and got.status == "ok" and got.copies == ()


def test_wrong_arguments_are_named(source):
    tokens, visible = some_tokens(1)[0], np.zeros((FRAMES, LAYERS), bool)
    with pytest.raises(ValueError, match="offset"):
        encode_group(source, tokens, visible, Group(0, (0, 2), FRAMES, SCHEDULE, copies=(1,)))
    with pytest.raises(ValueError, match="copy_schedule"):
        Group(0, (0, 2), FRAMES, SCHEDULE, copies=(1,), copy_schedule=((0,),))
    with pytest.raises(ValueError, match="max_bits: must be at least"):
        group = Group(0, (0, 2), FRAMES, SCHEDULE, elastic=True, copies=(3,))
        encode_group(source, np.tile(tokens, (2, 1)), np.tile(visible, (2, 1)), group, offset=FRAMES, max_bits=18)


def decoded(sequence, layers, copies=()):
    received = np.tile(np.arange(LAYERS) < layers, (FRAMES, 1))
    tokens = np.where(received, 10 * sequence + np.arange(LAYERS), 0).astype(np.int16)
    return DecodedSuperframe(sequence, tokens, received, ("ok",), LAYERS, copies)


def test_repair_fills_what_is_missing_and_keeps_what_came():
    wrong = np.full((FRAMES, 3), 77, np.int16)
    known = [decoded(0, 2), decoded(1, 0), decoded(2, LAYERS, (wrong, wrong[:, :1])), decoded(5, LAYERS, (wrong,))]
    out = list(repaired(known, 2))
    assert [d.sequence for d in out] == [0, 1, 2, 5]
    assert out[0].tokens[0].tolist() == [0, 1, 0, 0, 0, 0], "what came is not overwritten by a copy"
    assert out[1].tokens[0].tolist() == [77, 77, 77, 0, 0, 0] and out[1].received.sum() == 3 * FRAMES
    assert out[2] is known[2] and not known[1].received.any(), "what was given stays as it is"


def test_repair_waits_as_long_as_copies_may_come():
    repair = Repair(2)
    assert [repair.push(decoded(s, 1)) for s in range(2)] == [None, None]
    assert repair.push(decoded(2, 1)).sequence == 0
    assert [d.sequence for d in repair.flush()] == [1, 2] and repair.flush() == []
    assert [d.sequence for d in repaired([decoded(0, 1)], 0)] == [0]
