# SPDX-License-Identifier: GPL-3.0-or-later
"""Concealment without a model: what is played for a frame, by what of it arrived."""

import numpy as np
import pytest
from soundspring.baselines.concealers import FewerLayers, Mute, RepeatLatent
from soundspring.link import Counts, Link, decode, encode
from soundspring.lm.conceal import Concealer
from soundspring.profile import load

LAYERS = 12
BOOKS = np.random.default_rng(1).standard_normal((24, 1024, 4)).astype(np.float32)
ALL = (FewerLayers, Mute, RepeatLatent)


def superframe(seed=0):
    return np.random.default_rng(seed).integers(0, 1024, (5, LAYERS)).astype(np.int16)


def latents(tokens, layers):
    return sum(BOOKS[k][tokens[:, k]] for k in range(layers))


def arrived(base=True, fine=True):
    received = np.zeros((5, LAYERS), bool)
    received[:, :3], received[:, 3:] = base, fine
    return received


@pytest.mark.parametrize("kind", ALL)
def test_what_arrived_whole_is_played_as_it_is(kind):
    tokens = superframe()
    got = kind(BOOKS).push(tokens, arrived())
    np.testing.assert_allclose(got.latent, latents(tokens, LAYERS), rtol=1e-5)
    assert got.layers.tolist() == [LAYERS] * 5 and got.gain.tolist() == [1] * 5 and not got.concealed.any()


@pytest.mark.parametrize("kind", ALL)
def test_a_lost_enhancement_leaves_the_base(kind):
    tokens = superframe()
    got = kind(BOOKS).push(tokens, arrived(fine=False))
    np.testing.assert_allclose(got.latent, latents(tokens, 3), rtol=1e-5)
    assert got.layers.tolist() == [3] * 5 and got.gain.tolist() == [1] * 5


@pytest.mark.parametrize("kind", ALL)
def test_an_enhancement_without_its_base_is_of_no_use(kind):
    tokens = superframe()
    with_it, without = (kind(BOOKS).push(tokens, arrived(base=False, fine=f)) for f in (True, False))
    np.testing.assert_array_equal(with_it.latent, without.latent)
    assert with_it.concealed.all() and without.concealed.all()


def test_a_lost_base_gives_zero_silence_or_a_fading_repetition():
    first, second = superframe(1), superframe(2)
    lost = arrived(base=False, fine=False)
    got = {}
    for kind in ALL:
        concealer = kind(BOOKS)
        concealer.push(first, arrived())
        got[kind] = concealer.push(second, lost)
    assert not got[FewerLayers].latent.any() and got[FewerLayers].gain.tolist() == [1] * 5
    assert got[Mute].gain.tolist() == [0] * 5
    np.testing.assert_allclose(got[RepeatLatent].latent, np.tile(latents(first, LAYERS)[-1], (5, 1)), rtol=1e-5)
    np.testing.assert_allclose(got[RepeatLatent].gain, 0.8 ** np.arange(1, 6), rtol=1e-6)
    assert got[RepeatLatent].layers.tolist() == [LAYERS] * 5


def test_repetition_recovers_and_forgets():
    concealer = RepeatLatent(BOOKS, fade=0.5)
    concealer.push(superframe(1), arrived())
    concealer.push(superframe(2), arrived(base=False))
    assert concealer.push(superframe(3), arrived()).gain.tolist() == [1] * 5
    concealer.reset()
    assert not concealer.push(superframe(4), arrived(base=False)).latent.any()


def test_layers_that_were_never_sent_are_no_loss():
    received = arrived()
    received[:, 9:] = False
    got = FewerLayers(BOOKS).push(superframe(), received)
    assert got.layers.tolist() == [9] * 5 and not got.concealed.any()


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="fade"):
        RepeatLatent(BOOKS, fade=1.5)
    with pytest.raises(ValueError, match="codebooks"):
        Mute(BOOKS[0])


def test_the_link_decodes_with_any_of_them(tiny_models, speech_like):
    link = Link(load("reference").with_layers(12), tiny_models)
    sent = list(encode(link, speech_like))
    books = tiny_models.lm.codebooks.numpy()
    kinds = {"model": link.concealer(), "fewer": FewerLayers(books), "mute": Mute(books), "repeat": RepeatLatent(books)}
    assert isinstance(kinds["model"], Concealer)
    whole = [decode(link, sent, len(speech_like), concealer=c) for c in kinds.values()]
    for audio in whole[1:]:
        np.testing.assert_allclose(audio, whole[0], atol=1e-5)
    damaged = [(s, [None, None] if s in (5, 6) else p) for s, p in sent]  # and with 6 the copy of 5
    played = {}
    for name, concealer in kinds.items():
        concealer.reset()
        counts = Counts()
        played[name] = decode(link, damaged, len(speech_like), counts, concealer)
        known = 5 if name == "model" else 0  # it also counts those whose base alone came, as a copy
        assert counts.frames_concealed == 5 + known and counts.packets_lost == 4
    inside = slice(5 * 1600 + 320, 6 * 1600 - 320)
    assert not played["mute"][inside].any()
    assert len({a[inside].tobytes() for a in played.values()}) == 4
