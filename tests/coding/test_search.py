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


def sent(source, the_plan, weight, count=6, seed=3):
    """-> (bits, error) of what was sent, each superframe decoded again to the tokens that were coded."""
    encoder = SuperframeEncoder(source, the_plan, search=RateDistortionSearch(BOOKS, weight))
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


def test_without_weight_the_nearest_entries_are_sent(source):
    latent = np.random.default_rng(5).standard_normal((FRAMES, DIM)).astype(np.float32)
    encoder = SuperframeEncoder(source, plan("layered"), search=RateDistortionSearch(BOOKS, 0.0))
    _, groups = encoder.push(np.zeros((FRAMES, LAYERS), np.int16), latent)
    assert np.array_equal(np.concatenate([g.tokens for g in groups], 1), nearest(latent))


@pytest.mark.parametrize("policy", ["independent", "layered", "chained"])
def test_weight_buys_bits_with_error(source, policy):
    (bits0, error0), (bits1, error1) = (sent(source, plan(policy), w) for w in (0.0, 1.0))
    assert bits1 < 0.95 * bits0
    energy = DIM * FRAMES * 6
    assert error0 < error1 < 0.03 * energy


def test_with_little_room_what_fits_is_decoded(source):
    sent(source, plan("layered", room=(60, 90)), 0.5)


def test_without_latents_the_tokens_are_sent_as_they_are(source):
    tokens = np.random.default_rng(1).integers(0, 1024, (FRAMES, LAYERS)).astype(np.int16)
    _, groups = SuperframeEncoder(source, plan("layered"), search=RateDistortionSearch(BOOKS, 1.0)).push(tokens)
    assert np.array_equal(np.concatenate([g.tokens for g in groups], 1), tokens)


@pytest.mark.parametrize("books, weight, word", [(BOOKS[0], 1.0, "codebooks"), (BOOKS, -0.1, "weight")])
def test_wrong_arguments_are_named(books, weight, word):
    with pytest.raises(ValueError, match=word):
        RateDistortionSearch(books, weight)
