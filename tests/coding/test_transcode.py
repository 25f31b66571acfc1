# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from coding_fakes import MlpSource, Perturbed, sample
from soundspring.coding import pmf, transcode
from soundspring.coding.policy import context, dependencies
from soundspring.coding.transcode import Group, decode_group, encode_group

BASE = Group(0, (0, 2))
FINE = Group(1, (2, 6))
ELASTIC = Group(1, (2, 6), elastic=True)
SOURCE = MlpSource(1)


def window(group, seed, past=0, source=SOURCE):
    """tokens [T, K] of a window whose last superframe is coded, and the mask of its lower layers and its past."""
    visible = np.zeros((past + group.frames, 6), bool)
    visible[:past] = True
    visible[past:, :group.layers[0]] = True
    return sample(source, visible, group, past, seed), visible


def decoded(encoded, tokens, visible, group, source=SOURCE, **options):
    """What the other end makes of it: it has the visible tokens and nothing else."""
    return decode_group(source, encoded.bits, np.where(visible, tokens, -1), visible, group, **options)


@pytest.mark.parametrize("past", [0, 3, 15])
@pytest.mark.parametrize("group", [BASE, FINE, ELASTIC, Group(0, (0, 6), frames=1), Group(1, (2, 6), frames=3),
                                   Group(1, (2, 6), schedule=((0, 1, 2, 3, 4),)), Group(0, (0, 1), check_bits=8)])
def test_round_trip(group, past):
    for seed in range(4):
        tokens, visible = window(group, seed, past)
        encoded = encode_group(SOURCE, tokens, visible, group, offset=past, sequence=seed)
        result = decoded(encoded, tokens, visible, group, offset=past, sequence=seed)
        assert result.status == "ok" and result.n_layers == encoded.n_layers == group.size
        np.testing.assert_array_equal(result.tokens, tokens[past:, slice(*group.layers)])
        assert result.tokens.dtype == np.int16
        form = np.log2(64 / 63 * (2 if group.elastic else 1))
        assert len(encoded.bits) <= group.check_bits + form + encoded.model_bits + 1.001


def test_model_saves_what_its_pmfs_say():
    """Tokens drawn from the source cost its entropy, far below 10 bits; a wrong context costs more."""
    bits, blind = [], []
    for seed in range(30):
        tokens, visible = window(FINE, seed)
        bits.append(encode_group(SOURCE, tokens, visible, FINE).model_bits / 20)
        blind.append(encode_group(SOURCE, tokens, np.zeros_like(visible), FINE).model_bits / 20)
    assert np.mean(bits) < 8.2 and np.mean(blind) > np.mean(bits) + 0.5


def test_both_ends_ask_the_source_the_same():
    class Recorder:
        def __init__(self):
            self.calls = []

        def begin(self, *args):
            self.calls.append([np.copy(a) for a in args])
            return SOURCE.begin(*args)

        def logits(self, state, *args):
            self.calls.append([np.copy(a) for a in args])
            return SOURCE.logits(state, *args)

    tokens, visible = window(FINE, 0, 5)
    ends = Recorder(), Recorder()
    encoded = encode_group(ends[0], tokens, visible, FINE, offset=5)
    assert decoded(encoded, tokens, visible, FINE, ends[1], offset=5).status == "ok"
    assert len(ends[0].calls) == len(ends[1].calls) == 3 + 3 * 4
    for a, b in zip(*(e.calls for e in ends), strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_array_equal(x, y)


def test_padding_and_cut_zeros_do_no_harm():
    tokens, visible = window(FINE, 5)
    bits = encode_group(SOURCE, tokens, visible, FINE).bits
    for received in (np.concatenate([bits, np.zeros(n, np.uint8)]) for n in (0, 1, 7, 200)):
        assert decode_group(SOURCE, received, tokens, visible, FINE).status == "ok"


def test_last_bit_differences_do_not_matter_and_few_groups_fall_back():
    group, fallbacks, n = Group(0, (0, 6)), 0, 500
    other = Perturbed(SOURCE, 1e-10)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        tokens, visible = rng.integers(0, 1024, (5, 6)).astype(np.int16), np.zeros((5, 6), bool)
        encoded = encode_group(SOURCE, tokens, visible, group)
        fallbacks += encoded.fallback
        result = decoded(encoded, tokens, visible, group, other)
        assert result.status == "ok" and (result.tokens == tokens).all()
    # 30720 logits with 8e-8 each: 0.25 % of the groups
    assert fallbacks / n < 0.02


def test_a_logit_on_a_rounding_boundary_is_coded_without_the_model():
    class Edge(MlpSource):
        def logits(self, *args):
            out = super().logits(*args)
            out[0, 3] = np.round(out[0, 3] / pmf.STEP) * pmf.STEP + pmf.STEP / 2 + 1e-12
            return out

    tokens, visible = window(FINE, 6)
    static = pmf.StaticPmf(np.random.default_rng(0).integers(0, 50, (6, 1024)))
    for table in (None, static):
        encoded = encode_group(Edge(1), tokens, visible, FINE, static=table)
        assert encoded.fallback
        result = decoded(encoded, tokens, visible, FINE, Perturbed(Edge(1), 1e-10), static=table)
        assert result.status == "ok" and result.fallback
    assert len(encode_group(Edge(1), tokens, visible, FINE).bits) == pytest.approx(11 + 6 + 200, abs=8)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_broken_source_is_survived(bad):
    class Broken(MlpSource):
        def logits(self, *args):
            return super().logits(*args) * bad

    tokens, visible = window(ELASTIC, 7)
    for limit in (None, 150):
        encoded = encode_group(Broken(1), tokens, visible, ELASTIC, max_bits=limit)
        assert encoded.fallback and encoded.n_layers == (4 if limit is None else 2)
        assert decoded(encoded, tokens, visible, ELASTIC).status == "ok"
    good = encode_group(SOURCE, tokens, visible, ELASTIC)
    assert decoded(good, tokens, visible, ELASTIC, Broken(1)).status == "desync"


@pytest.mark.parametrize("amount", [0.05, 1e-3])
def test_real_differences_are_detected(amount):
    """A decoder with other arithmetic either still gets the right tokens or reports a desync; never wrong tokens.

    With the 16-bit check: 200 tries would let a wrong one pass with probability 0.002. The rate of the short checks is
    measured below.
    """
    group = Group(1, (2, 6), check_bits=16)
    other, right, desync = Perturbed(SOURCE, amount), 0, 0
    for seed in range(200):
        tokens, visible = window(group, seed)
        result = decoded(encode_group(SOURCE, tokens, visible, group), tokens, visible, group, other)
        right += result.status == "ok"
        desync += result.status == "desync" and result.tokens.shape == (5, 0)
        assert result.status == "desync" or (result.tokens == tokens[:, 2:]).all()
    assert right + desync == 200 and desync >= (190 if amount > 0.01 else 100)


@pytest.mark.parametrize("width", [8, 11])
def test_damage_passes_no_more_often_than_the_check_allows(width):
    """Random bits in place of a payload: accepted at most at the rate of a CRC alone."""
    group, rng, tries, accepted = Group(0, (0, 1), frames=1, check_bits=width), np.random.default_rng(0), 12000, 0
    none = np.zeros((1, 6), bool)
    constant = MlpSource(2)
    for _ in range(tries):
        bits = rng.integers(0, 2, width + 12, dtype=np.uint8)
        accepted += decode_group(constant, bits, none.astype(np.int16), none, group).status == "ok"
    assert accepted / tries < 1.3 * 2.0**-width


def test_wrong_context_sequence_index_and_flipped_bits_are_detected():
    group = Group(1, (2, 6), check_bits=16)
    for seed in range(60):
        tokens, visible = window(group, seed)
        encoded = encode_group(SOURCE, tokens, visible, group, sequence=seed)
        wrong = tokens.copy()
        wrong[seed % 5, seed % 2] ^= 1
        flipped = encoded.bits.copy()
        flipped[seed % len(flipped)] ^= 1
        result = decoded(encoded, wrong, visible, group, sequence=seed)
        assert result.status == ("ok" if encoded.fallback else "desync")  # the static table knows no context
        for result in (decoded(encoded, tokens, visible, group, sequence=seed + 1),
                       decoded(encoded, tokens, visible, Group(2, (2, 6), check_bits=16), sequence=seed),
                       decode_group(SOURCE, flipped, tokens, visible, group, sequence=seed)):
            assert result.status == "desync"
        assert decoded(encoded, tokens, visible, group, sequence=seed + 256).status == "ok"


def test_garbage_never_raises():
    rng = np.random.default_rng(8)
    tokens, visible = window(ELASTIC, 8)
    for n in [0, 1, 10, 11, 12, *rng.integers(0, 400, 60)]:
        for bits in (rng.integers(0, 2, n, dtype=np.uint8), np.ones(n, np.uint8), np.zeros(n, np.uint8)):
            result = decode_group(SOURCE, bits, tokens, visible, ELASTIC)
            assert result.status == ("truncated" if n < 11 else "desync")


def test_fixed_size_never_exceeded_and_filled():
    """As many layers as fit: never more bits than allowed, and seldom fewer layers than trying them all gives."""
    rng, best = np.random.default_rng(9), 0
    sent = []
    for seed in range(120):
        limit = int(rng.integers(22, 240))
        tokens, visible = window(ELASTIC, seed)
        encoded = encode_group(SOURCE, tokens, visible, ELASTIC, max_bits=limit)
        assert len(encoded.bits) <= limit
        padded = np.concatenate([encoded.bits, np.zeros(limit - len(encoded.bits), np.uint8)])
        result = decode_group(SOURCE, padded, np.where(visible, tokens, 0), visible, ELASTIC)
        assert result.status == "ok" and result.n_layers == encoded.n_layers
        np.testing.assert_array_equal(result.tokens, tokens[:, 2:2 + encoded.n_layers])
        job = transcode._Job(SOURCE, tokens, visible, ELASTIC, 0, None)
        fits = max(n for n in range(5) if job.encode(n, limit - 11) is not None)
        assert encoded.n_layers <= fits
        best += encoded.n_layers == fits
        sent.append(encoded.n_layers)
    assert best >= 112 and set(sent) == {0, 1, 2, 3, 4}


def test_fixed_size_costs_few_trunk_passes():
    class Counting(MlpSource):
        passes = 0

        def begin(self, *args):
            self.passes += 1
            return super().begin(*args)

    source = Counting(1)
    for seed in range(50):
        tokens, visible = window(ELASTIC, seed)
        encode_group(source, tokens, visible, ELASTIC, max_bits=140)
    assert source.passes / 50 < 6  # 3 steps; all layers are tried first, and every try shares the first step's pass
    source.passes, group = 0, Group(1, (2, 6), schedule=((0, 1, 2, 3, 4),), elastic=True)
    for seed in range(50):
        tokens, visible = window(group, seed)
        encode_group(source, tokens, visible, group, max_bits=140)
    assert source.passes == 50


def simulate(policy, past, lost, frames=5, superframes=14, refresh=5):
    """A stream with packets (superframe, group) in `lost`; returns the status of each packet at the receiver."""
    groups = (Group(0, (0, 2), frames), Group(1, (2, 6), frames, elastic=True))
    truth = np.random.default_rng(0).integers(0, 1024, (superframes * frames, 6)).astype(np.int16)
    heard, status = np.zeros_like(truth), {}
    for s in range(superframes):
        for group in groups:
            needed = dependencies(policy, group.index, s, window=past, refresh=refresh)
            sent = {(b, g.index): mask(s, b, g, past, frames) for b in range(past + 1) for g in groups if b <= s}
            there = {k: m for k, m in sent.items() if status.get((s - k[0], k[1])) == "ok"}
            first = s * frames - past * frames
            shape = ((past + 1) * frames, 6)
            encoded = encode_group(SOURCE, padded(truth, first, shape), context(needed, sent, shape), group,
                                   offset=past * frames, sequence=s)
            visible = context(needed, there, shape)
            if (s, group.index) in lost:
                status[s, group.index] = "lost"
            elif visible is None:
                status[s, group.index] = "undecodable"
            else:
                result = decode_group(SOURCE, encoded.bits, padded(heard, first, shape), visible, group,
                                      offset=past * frames, sequence=s)
                status[s, group.index] = result.status
                own = slice(s * frames, (s + 1) * frames), slice(*group.layers)
                heard[own] = result.tokens
                np.testing.assert_array_equal(heard[own], truth[own])
    return status


def mask(s, back, group, past, frames):
    out = np.zeros(((past + 1) * frames, 6), bool)
    out[(past - back) * frames:(past - back + 1) * frames, slice(*group.layers)] = True
    return out


def padded(tokens, first, shape):
    out = np.zeros(shape, np.int16)
    part = tokens[max(first, 0):first + shape[0]]
    out[shape[0] - len(part):] = part
    return out


@pytest.mark.parametrize("policy, past, frames, base_dies, fine_dies", [
    ("independent", 0, 5, set(), set()),
    ("layered", 0, 5, set(), {7}),
    ("layered", 0, 1, set(), {7}),
    ("layered", 2, 5, set(), {7, 8, 9}),
    ("chained", 1, 5, {8, 9}, {7, 8, 9}),
    ("chained", 3, 1, {8, 9}, {7, 8, 9}),
])
def test_policies_and_what_a_lost_base_packet_takes_with_it(policy, past, frames, base_dies, fine_dies):
    status = simulate(policy, past, {(7, 0)}, frames)
    for s in range(14):
        assert status[s, 0] == ("lost" if s == 7 else "undecodable" if s in base_dies else "ok")
        assert status[s, 1] == ("undecodable" if s in fine_dies else "ok")


def test_a_lost_fine_packet_hurts_only_the_chain():
    assert simulate("layered", 1, {(6, 1)})[7, 0] == "ok"
    chained = simulate("chained", 1, {(6, 1)})
    assert [chained[s, 0] for s in range(6, 11)] == ["ok", "undecodable", "undecodable", "undecodable", "ok"]


def test_dependencies():
    assert dependencies("independent", 1, 9) == ()
    assert dependencies("layered", 0, 9, window=2) == ()
    assert dependencies("layered", 1, 9, window=2) == ((0, 0), (1, 0), (2, 0))
    assert dependencies("layered", 1, 257, window=2) == ((0, 0), (1, 0))
    assert dependencies("chained", 1, 257, window=3) == ((1, 0), (1, 1), (0, 0))
    assert dependencies("chained", 1, 265, window=3) == ((1, 0), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (0, 0))
    assert dependencies("chained", 0, 260, window=3, refresh=4) == ()
    for arguments in ({"policy": "none"}, {"window": -1}, {"refresh": 0}, {"group": 2}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            dependencies(**{"policy": "chained", "group": 0, "sequence": 0} | arguments)


def test_wrong_arguments_are_named():
    tokens, visible = window(FINE, 0)
    seen = visible.copy()
    seen[0, 3] = True
    large = np.where(visible, tokens, 2000)
    for arguments, name in (((tokens[0], visible, FINE), "tokens"), ((tokens, visible[:4], FINE), "visible"),
                            ((tokens, seen, FINE), "visible"), ((large, visible, FINE), "tokens"),
                            ((tokens, visible, Group(1, (2, 7))), "group")):
        with pytest.raises(ValueError, match=name):
            encode_group(SOURCE, *arguments)
    with pytest.raises(ValueError, match="offset"):
        encode_group(SOURCE, tokens, visible, FINE, offset=1)
    for group, limit in ((FINE, 100), (ELASTIC, 12)):
        with pytest.raises(ValueError, match="max_bits"):
            encode_group(SOURCE, tokens, visible, group, max_bits=limit)
    for arguments, name in (((0, (0, 2), 5, ((0, 1), (3, 4))), "schedule"), ((0, (2, 2)), "layers"),
                            ((0, (0, 2), 5, None, 9), "check_bits"), ((256, (0, 2)), "index")):
        with pytest.raises(ValueError, match=name):
            Group(*arguments)


def test_overhead_stays_small():
    """Everything but the model's bits: headers, checks, forms, ends of codes; 25 bits stand in the burst header."""
    extra = []
    for seed in range(60):
        total = 25.0
        for group in (Group(0, (0, 2), elastic=True), Group(1, (2, 6), check_bits=8, elastic=True)):
            tokens, visible = window(group, seed)
            encoded = encode_group(SOURCE, tokens, visible, group)
            total += len(encoded.bits) - encoded.model_bits
        extra.append(total)
    assert np.mean(extra) < 46 and max(extra) < 25 + 11 + 8 + 2 * (1.03 + 1)
