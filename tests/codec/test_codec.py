# SPDX-License-Identifier: GPL-3.0-or-later
"""The codec on a tiny model: streaming is batch, the transform reconstructs, the quantiser keeps its promises."""

import numpy as np
import pytest
import torch
from soundspring.codec import layers
from soundspring.codec.api import Decoder, Encoder, latents, load
from soundspring.codec.correlate import Correlator
from soundspring.codec.layers import CausalBlock
from soundspring.codec.mdct import Mdct
from soundspring.codec.rvq import ResidualQuantizer

HOP = 320
CHUNKINGS = [(1,), (2, 5, 1), (7,), (16, 1, 3)]


def frames_of(audio):
    return audio[: len(audio) // HOP * HOP]


def in_chunks(array, sizes, unit=1):
    """Pieces of `array`, `sizes` units long, the sizes taken in turn."""
    at, turn = 0, 0
    while at < len(array):
        size = sizes[turn % len(sizes)] * unit
        yield array[at : at + size]
        at, turn = at + size, turn + 1


def rms(x):
    return float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))


@pytest.mark.parametrize("hop", [8, 320])
@pytest.mark.parametrize("sizes", CHUNKINGS)
def test_the_transform_reconstructs_one_hop_late_at_any_chunking(hop, sizes):
    mdct = Mdct(hop)
    x = torch.randn(1, 20 * hop, generator=torch.Generator().manual_seed(1))
    tail, overlap, out = torch.zeros(1, hop), torch.zeros(1, hop), []
    for piece in in_chunks(x[0], sizes, hop):
        coefficients, tail = mdct.analyse(piece[None], tail)
        assert coefficients.shape == (1, len(piece) // hop, hop)
        audio, overlap = mdct.synthesise(coefficients, overlap)
        out.append(audio)
    out = torch.cat(out, 1)
    assert torch.allclose(out[:, hop:], x[:, :-hop], atol=1e-5)


def test_the_transform_is_orthonormal():
    basis = Mdct(16).basis.double()
    # Two neighbours that overlap by half: inner products of all basis functions are those of an orthonormal set.
    both = torch.cat([torch.nn.functional.pad(basis, (0, 0, 0, 16)), torch.nn.functional.pad(basis, (0, 0, 16, 0))], 1)
    assert torch.allclose(both.T @ both, torch.eye(32, dtype=torch.float64), atol=1e-6)


@pytest.mark.parametrize("sizes", CHUNKINGS)
@pytest.mark.parametrize("layers", [3, 12])
def test_tokens_do_not_depend_on_the_chunks(tiny_models, speech_like, sizes, layers):
    audio = frames_of(speech_like)
    whole = Encoder(tiny_models.codec, layers).push(audio)
    encoder = Encoder(tiny_models.codec, layers)
    pieces = np.concatenate([encoder.push(piece) for piece in in_chunks(audio, sizes, HOP)])
    assert whole.dtype == np.int16 and whole.shape == (len(audio) // HOP, layers)
    assert len(np.unique(whole)) > 50  # a row of equal tokens would agree with itself too
    assert np.mean(whole == pieces) >= 0.999


@pytest.mark.parametrize("sizes", CHUNKINGS)
def test_decoded_sound_does_not_depend_on_the_chunks(tiny_models, speech_like, sizes):
    tokens = Encoder(tiny_models.codec, 12).push(frames_of(speech_like))
    whole = Decoder(tiny_models.codec).push_tokens(tokens)
    decoder = Decoder(tiny_models.codec)
    pieces = np.concatenate([decoder.push_tokens(piece) for piece in in_chunks(tokens, sizes)])
    assert whole.shape == (len(tokens) * HOP,) and rms(whole) > 0
    assert rms(whole - pieces) < 1e-3 * rms(whole)


def test_the_encoder_looks_at_no_later_sound(tiny_models, speech_like):
    audio = frames_of(speech_like)
    other = audio.copy()
    other[20 * HOP :] = -other[20 * HOP :] + 0.1
    ours, theirs = (Encoder(tiny_models.codec, 6).push(x) for x in (audio, other))
    assert np.array_equal(ours[:20], theirs[:20]) and not np.array_equal(ours[20:], theirs[20:])


def test_reset_forgets_the_past(tiny_models, speech_like):
    audio = frames_of(speech_like)
    encoder, decoder = Encoder(tiny_models.codec, 6), Decoder(tiny_models.codec)
    tokens = encoder.push(audio)
    sound = decoder.push_tokens(tokens)
    assert not np.array_equal(encoder.push(audio)[0], tokens[0])
    encoder.reset()
    decoder.reset()
    assert np.array_equal(encoder.push(audio), tokens)
    assert np.array_equal(decoder.push_tokens(tokens), sound)


def test_a_smaller_rate_is_a_prefix_of_a_larger_one_without_a_beam(tiny_models, speech_like):
    audio = frames_of(speech_like)
    few, many = (Encoder(tiny_models.codec, k, beam=1).push(audio) for k in (6, 24))
    assert np.array_equal(few, many[:, :6])


def test_latents_are_sums_of_leading_layers(tiny_models):
    tokens = np.random.default_rng(2).integers(0, 1024, (4, 5)).astype(np.int16)
    books = tiny_models.codec.quantizer.codebooks.numpy()
    for k in (1, 3, 5):
        expected = sum(books[j][tokens[:, j]] for j in range(k))
        assert np.allclose(latents(tiny_models.codec, tokens[:, :k]), expected, atol=1e-5)


@pytest.mark.parametrize("beam", [2, 4, 9])
def test_a_beam_never_ends_worse_than_the_greedy_choice(tiny_models, beam):
    quantizer = tiny_models.codec.quantizer
    z = torch.randn(200, quantizer.dim, generator=torch.Generator().manual_seed(4))

    def errors(width):
        return (z - quantizer.decode(quantizer.encode(z, 12, width))).pow(2).sum(1)

    greedy, beamed = errors(1), errors(beam)
    assert (beamed <= greedy * 1.00001).all() and beamed.mean() < 0.95 * greedy.mean()


def test_a_beam_as_wide_as_all_paths_finds_the_best():
    quantizer = ResidualQuantizer(2, 8, 3)
    generator = torch.Generator().manual_seed(5)
    quantizer.codebooks.copy_(torch.randn(2, 8, 3, generator=generator))
    z = torch.randn(30, 3, generator=generator)
    every = torch.cartesian_prod(torch.arange(8), torch.arange(8))
    best = (z[:, None] - quantizer.decode(every)).pow(2).sum(-1).min(1).values
    found = (z - quantizer.decode(quantizer.encode(z, 2, beam=8))).pow(2).sum(-1)
    assert torch.allclose(found, best, atol=1e-5)


def test_nothing_in_nothing_out(tiny_models):
    assert Encoder(tiny_models.codec, 6).push(np.zeros(0, np.float32)).shape == (0, 6)
    assert Decoder(tiny_models.codec).push_tokens(np.zeros((0, 6), np.int16)).shape == (0,)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_a_bad_sample_does_not_outlive_its_frames(tiny_models, speech_like, bad):
    """One NaN in the state would silence the encoder for ever."""
    audio = frames_of(speech_like)
    spoilt = audio.copy()
    spoilt[5 * HOP + 7] = bad
    clean, tokens = (Encoder(tiny_models.codec, 6).push(x) for x in (audio, spoilt))
    assert tokens.min() >= 0 and np.array_equal(tokens[-20:], clean[-20:])


@pytest.mark.parametrize("layers", [0, 25, -1, 2.5])
def test_an_impossible_number_of_layers_is_named(tiny_models, layers):
    with pytest.raises(ValueError, match="layers"):
        Encoder(tiny_models.codec, layers)


def test_wrong_arguments_are_named(tiny_models):
    encoder, decoder = Encoder(tiny_models.codec, 6), Decoder(tiny_models.codec)
    with pytest.raises(ValueError, match="beam"):
        Encoder(tiny_models.codec, 6, beam=0)
    for shape in [(HOP + 1,), (1, HOP), ()]:
        with pytest.raises(ValueError, match="audio"):
            encoder.push(np.zeros(shape, np.float32))
    for value in (-1, 1024):
        with pytest.raises(ValueError, match="tokens"):
            decoder.push_tokens(np.full((2, 6), value, np.int16))
    with pytest.raises(ValueError, match="tokens"):
        decoder.push_tokens(np.zeros((2, 25), np.int16))
    with pytest.raises(ValueError, match="latent"):
        decoder.push(np.zeros((2, 3), np.float32), np.full(2, 6))
    with pytest.raises(ValueError, match="layers"):
        decoder.push(np.zeros((2, 16), np.float32), np.full(2, 25))


def test_a_damaged_model_is_refused(tiny_models_dir, tmp_path):
    with pytest.raises(FileNotFoundError, match="config.yaml is missing"):
        load(tmp_path)
    with pytest.raises(ValueError, match="kind 'lm', not 'codec'"):
        load(tiny_models_dir / "lm")


@pytest.mark.parametrize("entries, dim", [(1024, 16), (100, 13)])
def test_quick_inner_products_are_right_to_two_digits(entries, dim):
    rng = np.random.default_rng(7)
    books = rng.standard_normal((3, entries, dim)).astype(np.float32)
    books[1, 4] = 0
    rows, product = rng.standard_normal((9, dim)).astype(np.float32), Correlator(books)
    for layer in (0, 1):
        exact, found = rows @ books[layer].T, product(rows, layer)
        assert found.dtype == np.float32 and np.abs(found - exact).max() < 1e-2 * np.abs(exact).max()


@pytest.mark.parametrize("batch, frames", [(1, 5), (3, 200)])
def test_few_and_many_frames_are_filtered_alike(batch, frames, monkeypatch):
    torch.manual_seed(0)
    block, x = CausalBlock(8, 16), torch.randn(batch, frames, 8)
    one, _ = block(x, block.initial_state(batch))
    few = batch * (frames + block.past) <= layers.FEW
    monkeypatch.setattr(layers, "FEW", 0 if few else 10**9)
    other, _ = block(x, block.initial_state(batch))
    assert few == (frames < 10) and torch.allclose(one, other, atol=1e-6)
