# SPDX-License-Identifier: GPL-3.0-or-later
"""The rate-distortion search: fewer bits for a little error, and whatever it chooses is decoded."""

import numpy as np
import pytest
from coding_fakes import MlpSource
from soundspring.coding.search import RateDistortionSearch
from soundspring.coding.superframe import Plan, SuperframeDecoder, SuperframeEncoder

LAYERS, DIM, FRAMES = 6, 8, 3
BOOKS = np.random.default_rng(0).standard_normal((LAYERS, 1024, DIM)).astype(np.float32)
BOOKS *= 0.7 ** np.arange(LAYERS)[:, None, None]


@pytest.fixture(scope="module")
def source():
    return MlpSource(1, LAYERS)


def plan(policy, room=None):
    return Plan(FRAMES, (2, LAYERS), policy, 1, 4, ((1,), (0, 2)), room)


def nearest(latent):
    """latent [S, DIM] -> greedy tokens int16 [S, LAYERS]."""
    residual, out = latent.copy(), []
    for book in BOOKS:
        out.append(((residual[:, None] - book) ** 2).sum(-1).argmin(1))
        residual -= book[out[-1]]
    return np.stack(out, 1).astype(np.int16)


def error(latent, tokens):
    return float(((latent - sum(BOOKS[k][tokens[:, k]] for k in range(tokens.shape[1]))) ** 2).sum())


def sent(source, the_plan, weight, count=6, seed=3, paths=1):
    """-> (bits, error) of what was sent, each superframe decoded again to the tokens that were coded."""
    encoder = SuperframeEncoder(source, the_plan, search=RateDistortionSearch(BOOKS, weight, paths))
    decoder, rng = SuperframeDecoder(source, the_plan), np.random.default_rng(seed)
    bits = wrong = 0.0
    for _ in range(count):
        latent = rng.standard_normal((FRAMES, DIM)).astype(np.float32)
        sequence, groups = encoder.push(nearest(latent), latent)
        got = decoder.push(sequence, [g.bits for g in groups])
        assert got.status == ("ok", "ok")
        for g, start in zip(groups, (0, 2), strict=True):
            assert np.array_equal(got.tokens[:, start : start + g.n_layers], g.tokens)
        bits += sum(g.model_bits for g in groups)
        wrong += error(latent, np.where(got.received, got.tokens, 0)) if got.received.all() else 0.0
    return bits, wrong


def test_one_path_without_weight_finds_the_nearest_entries(source):
    latent = np.random.default_rng(5).standard_normal((FRAMES, DIM)).astype(np.float32)
    encoder = SuperframeEncoder(source, plan("layered"), search=RateDistortionSearch(BOOKS, 0.0, 1))
    _, groups = encoder.push(np.zeros((FRAMES, LAYERS), np.int16), latent)
    assert np.array_equal(np.concatenate([g.tokens for g in groups], 1), nearest(latent))


@pytest.mark.parametrize("policy", ["independent", "layered", "chained"])
def test_weight_buys_bits_with_error(source, policy):
    (bits0, error0), (bits1, error1) = (sent(source, plan(policy), w) for w in (0.0, 1.0))
    assert bits1 < 0.95 * bits0
    energy = DIM * FRAMES * 6
    assert error0 < error1 < 0.03 * energy


def test_more_paths_leave_less_error_at_no_more_bits(source):
    found = [sent(source, plan("layered"), 0.0, 8, 3, n) for n in (1, 4, 16)]
    (bits1, error1), (bits4, error4), (_, error16) = found
    assert error4 < 0.9 * error1 and error16 < 0.97 * error4
    assert bits4 == pytest.approx(bits1, rel=0.02)
    calm = MlpSource(1, LAYERS, spread=0.2)  # the other's prices turn over with every token, which the search neglects
    cost = [b * 0.5 + e for b, e in (sent(calm, plan("layered"), 1.0, 8, 3, n) for n in (1, 8))]
    assert cost[1] < cost[0]


@pytest.mark.parametrize("frame", range(FRAMES))
def test_all_paths_find_what_trying_everything_finds(frame):
    rng = np.random.default_rng(frame)
    books, weight, n = rng.standard_normal((2, 8, 3)).astype(np.float32), 1.0, 2
    target, bits = rng.standard_normal((FRAMES, 3)).astype(np.float32), rng.uniform(1, 6, (n, 9, 8)).astype(np.float32)
    search = RateDistortionSearch(books, weight, 8)

    def cost(frames, layer, lower):
        before = lower[:, 0] + 1 if layer else np.zeros(len(frames), int)
        return bits[layer, before]

    nothing = np.zeros((FRAMES, 0), np.int16)
    found = search.above(target, nothing, nothing.astype(bool), 0)(np.array([frame]), cost)
    first = [((target[frame] - books[0][a]) ** 2).sum() + 2 * search.half_price[0] * bits[0, 0, a] for a in range(8)]
    assert found.best(1)[0, 0] == np.argmin(first)
    price, second = 2 * search.half_price[1], bits[1, np.argmin(first) + 1]  # whatever comes first, the best one's bits
    options = {
        (a, b): ((target[frame] - books[0][a] - books[1][b]) ** 2).sum() + price * (bits[0, 0, a] + second[b])
        for a in range(8)
        for b in range(8)
    }
    a, b = found.best(2)[0]
    assert (a, b) == min(options, key=options.get)
    assert found.bits(2) == pytest.approx(bits[0, 0, a] + second[b])


@pytest.mark.parametrize("paths", [1, 4])
def test_with_little_room_what_fits_is_decoded(source, paths):
    sent(source, plan("layered", room=(60, 90)), 0.5, paths=paths)


def test_without_latents_the_tokens_are_sent_as_they_are(source):
    tokens = np.random.default_rng(1).integers(0, 1024, (FRAMES, LAYERS)).astype(np.int16)
    _, groups = SuperframeEncoder(source, plan("layered"), search=RateDistortionSearch(BOOKS, 1.0)).push(tokens)
    assert np.array_equal(np.concatenate([g.tokens for g in groups], 1), tokens)


@pytest.mark.parametrize(
    "books, weight, paths, word",
    [(BOOKS[0], 1, 4, "codebooks"), (BOOKS, -0.1, 4, "weight"), (BOOKS, 1, 0, "paths"), (BOOKS, 1, 1025, "paths")],
)
def test_wrong_arguments_are_named(books, weight, paths, word):
    with pytest.raises(ValueError, match=word):
        RateDistortionSearch(books, weight, paths)


def test_where_the_model_cannot_be_used_the_static_table_prices_the_search():
    class Broken(MlpSource):
        def logits(self, *args):
            return np.full((len(args[1]), 1024), np.nan)

    source, latent = Broken(1, LAYERS), np.random.default_rng(5).standard_normal((FRAMES, DIM)).astype(np.float32)
    encoder, decoder = (
        SuperframeEncoder(source, plan("layered"), search=RateDistortionSearch(BOOKS, 0.5)),
        SuperframeDecoder(source, plan("layered")),
    )
    sequence, groups = encoder.push(latent=latent)
    got = decoder.push(sequence, [g.bits for g in groups])
    assert all(g.fallback for g in groups) and got.status == ("ok", "ok")
    assert np.array_equal(got.tokens, np.concatenate([g.tokens for g in groups], 1))
    assert error(latent, got.tokens) <= error(latent, nearest(latent))  # all entries cost the same: only error counts


def test_without_tokens_there_must_be_something_to_search_in(source):
    with pytest.raises(ValueError, match="tokens"):
        SuperframeEncoder(source, plan("layered")).push(latent=np.zeros((FRAMES, DIM), np.float32))
    with pytest.raises(ValueError, match="tokens"):
        SuperframeEncoder(source, plan("layered"), search=RateDistortionSearch(BOOKS, 1.0)).push()
