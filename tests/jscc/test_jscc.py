# SPDX-License-Identifier: GPL-3.0-or-later
"""The analog scheme's mechanism, on a model that has not been trained: its linear part already sends sound."""

import numpy as np
import pytest
import torch
from conftest import tiny_jscc
from soundspring.jscc import Receiver, Transmitter
from soundspring.jscc.layers import SuperframeStack
from soundspring.jscc.model import Jscc, JsccConfig
from soundspring.jscc.spread import Spread


@pytest.fixture(scope="module")
def model():
    torch.set_num_threads(1)
    return tiny_jscc()


@pytest.fixture
def sound(speech_like):
    """Whole superframes, with silence at the end."""
    return np.concatenate([speech_like, np.zeros(-len(speech_like) % 1600 + 3200, np.float32)])


def noisy(symbols, variance, seed=0):
    rng = np.random.default_rng(seed)
    noise = (rng.standard_normal(symbols.shape) + 1j * rng.standard_normal(symbols.shape)) * np.sqrt(variance / 2)
    return (symbols + noise).astype(np.complex64), np.broadcast_to(np.float32(variance), symbols.shape).copy()


def error_db(heard, sound):
    """What is wrong with sound that comes 320 samples late, against its own power."""
    heard, sound = heard[320:], sound[:-320]
    return 10 * np.log10(np.mean((heard - sound) ** 2) / np.mean(sound**2))


def test_every_superframe_has_the_same_power(model, sound):
    symbols = Transmitter(model).push(sound)
    assert symbols.dtype == np.complex64 and symbols.shape == (len(sound) // 1600, 1008)
    assert np.allclose(np.mean(np.abs(symbols) ** 2, axis=1), 1, atol=1e-4)
    silent = Transmitter(model).push(np.zeros(1600, np.float32))
    assert np.isfinite(silent).all() and np.mean(np.abs(silent) ** 2) < 1.001


def test_sound_comes_back_the_better_the_less_noise_there_is(model, sound):
    symbols = Transmitter(model).push(sound)
    errors = [error_db(Receiver(model).push(*noisy(symbols, 10 ** (-snr / 10))), sound) for snr in (0, 10, 20, 60)]
    assert all(a > b + 3 for a, b in zip(errors, errors[1:-1], strict=False)) and errors[-1] < -20


@pytest.mark.parametrize("cuts", [[1], [3, 1, 2], [2, 5]])
def test_streaming_is_batch(model, sound, cuts):
    tx, rx, symbols, heard, at, i = Transmitter(model), Receiver(model), [], [], 0, 0
    whole = Transmitter(model).push(sound)
    received = noisy(whole, 0.1)
    expected = Receiver(model).push(*received)
    while at < len(whole):
        own = slice(at, at + cuts[i % len(cuts)])
        symbols.append(tx.push(sound[own.start * 1600 : own.stop * 1600]))
        heard.append(rx.push(received[0][own], received[1][own]))
        at, i = own.stop, i + 1
    assert np.abs(np.concatenate(symbols) - whole).max() < 1e-4
    assert np.abs(np.concatenate(heard) - expected).max() < 1e-3 * np.abs(expected).max()


def test_nothing_waits_for_the_next_superframe(model, sound):
    """The symbols of a superframe, and its sound, do not change with what comes behind it."""
    other = sound.copy()
    other[4800:] = 0.1
    ours, theirs = (Transmitter(model).push(s) for s in (sound, other))
    assert np.array_equal(ours[:3], theirs[:3]) and not np.allclose(ours[3], theirs[3])
    late = ours.copy()
    late[3:] = 1.0
    noise = np.full(ours.shape, 0.01, np.float32)
    a, b = (Receiver(model).push(s, noise) for s in (ours, late))
    assert np.allclose(a[:4800], b[:4800], atol=1e-6) and not np.allclose(a[4800:], b[4800:])


def test_all_frames_of_a_superframe_are_seen_at_once():
    torch.manual_seed(0)
    stack = SuperframeStack(1, 8, 16, superframe=5, past=6)
    x = torch.randn(1, 15, 8, requires_grad=True)
    y, state = stack(x, stack.initial_state(1))
    seen = [torch.autograd.grad(y[0, t].sum(), x, retain_graph=True)[0][0].abs().sum(1) > 0 for t in (5, 9)]
    assert all(s[:10].all() and not s[10:].any() for s in seen)
    assert torch.equal(state[0][0], x[0, -6:])


def test_what_was_lost_is_continued_and_does_no_harm_later(model, sound):
    symbols, noise = noisy(Transmitter(model).push(sound), 0.01)
    lost = noise.copy()
    lost[4:6] = np.inf
    garbage = symbols.copy()
    garbage[4:6] = np.nan
    whole, gap, worse = (Receiver(model).push(s, n) for s, n in ((symbols, noise), (symbols, lost), (garbage, noise)))
    assert np.isfinite(gap).all() and np.array_equal(gap, worse)
    assert np.allclose(whole[:6400], gap[:6400], atol=1e-6) and not np.allclose(whole[6400:9600], gap[6400:9600])
    assert np.abs(gap[-1600:] - whole[-1600:]).max() < 0.1
    rx = Receiver(model)
    parts = [rx.push(symbols[:4], noise[:4]), rx.lost(2), rx.push(symbols[6:], noise[6:])]
    assert np.allclose(np.concatenate(parts), gap, atol=1e-5)


def test_it_helps_to_be_told_which_symbols_are_weak(model):
    sound = (np.random.default_rng(5).standard_normal(16000).cumsum() * 0.002).astype(np.float32)  # as it began with
    sound -= np.convolve(sound, np.full(800, 1 / 800), "same").astype(np.float32)
    sent = Transmitter(model).push(sound)
    variance = np.full(sent.shape, 0.003, np.float32)
    variance[:, :400] = 10.0
    symbols, _ = noisy(sent, variance)
    told = error_db(Receiver(model).push(symbols, variance), sound)
    untold = error_db(Receiver(model).push(symbols, np.full_like(variance, variance.mean())), sound)
    assert told < untold - 0.5


def test_the_level_arrives_at_any_snr():
    spread = Spread(5, 320, 1008)
    torch.manual_seed(0)
    true = torch.linspace(-4, 1, 200)
    symbols = spread.spread(torch.randn(200, 5, 320) * true.exp()[:, None, None])
    true = 0.5 * (torch.exp(2 * true) + np.exp(-9)).log()
    assert torch.allclose(symbols.abs().pow(2).mean(1), torch.ones(200), atol=1e-3)
    for snr, limit in ((30, 0.05), (10, 0.08), (-5, 0.3)):
        noise = torch.full(symbols.shape, 10 ** (-snr / 10))
        level = spread.gather(symbols + noise.sqrt() * torch.randn_like(symbols), noise)[2]
        assert float((level - true).pow(2).mean().sqrt()) < limit
    nothing = spread.gather(symbols * 0, torch.full(symbols.shape, 1e6))[2]
    assert torch.allclose(nothing, torch.tensor(-1.5), atol=0.01)


def test_values_come_back_from_their_symbols():
    spread, values = Spread(3, 32, 90), torch.randn(7, 3, 32)
    symbols = spread.spread(values)
    back, noise, level = spread.gather(symbols, torch.full((7, 90), 0.01))
    assert symbols.shape == (7, 90) and back.shape == values.shape and noise.shape == (7, 3, 16)
    assert torch.allclose(back * level.exp()[:, None, None], values, rtol=0.1, atol=0.05)
    assert sorted(spread.place.tolist()) == list(range(90))


def test_what_is_sent_twice_has_half_the_noise():
    """The lowest values of each frame; where one of the two is lost, the other stands alone."""
    torch.manual_seed(1)
    spread, values = Spread(5, 320, 1008), torch.randn(60, 5, 320)
    symbols, noise_var = spread.spread(values), torch.full((60, 1008), 0.1)
    received = symbols + torch.randn_like(symbols) * 0.1**0.5
    clean, _, level = spread.gather(symbols, noise_var)
    noisy, stated, _ = spread.gather(received, noise_var)
    error = (noisy - clean).pow(2).mean((0, 1)).view(-1, 2).mean(1)
    assert torch.allclose(error, stated[0, 0], rtol=0.2) and torch.allclose(stated[0, 0, 0] * 2, stated[0, 0, -1])
    assert 30 < int((stated[0, 0] < 0.07).sum()) < 45
    noise_var[:, spread.place[:160]] = 1e6
    received[:, spread.place[:160]] = 0
    assert 0.9 < float(spread.gather(received, noise_var)[1][0, 0, 0] / stated[0, 0, -1]) < 1.1


@pytest.mark.parametrize("sizes", [(5, 320, 803), (5, 3, 100), (5, 32, 40)])
def test_sizes_that_do_not_fit_are_refused(sizes):
    with pytest.raises(ValueError, match="symbols"):
        Spread(*sizes)


def test_wrong_arguments_are_named(model):
    tx, rx = Transmitter(model), Receiver(model)
    with pytest.raises(ValueError, match="audio"):
        tx.push(np.zeros(1000, np.float32))
    with pytest.raises(ValueError, match="symbols"):
        rx.push(np.zeros((1, 800), np.complex64), np.ones((1, 800), np.float32))
    for variance in (np.ones((1, 5)), np.full((1, 1008), -1.0), np.full((1, 1008), np.nan)):
        with pytest.raises(ValueError, match="noise_var"):
            rx.push(np.zeros((1, 1008), np.complex64), variance.astype(np.float32))
    with pytest.raises(ValueError, match="bands"):
        Jscc(JsccConfig(bands=(4, 4)))
    assert tx.push(np.zeros(0, np.float32)).shape == (0, 1008)
    assert rx.push(np.zeros((0, 1008), np.complex64), np.zeros((0, 1008), np.float32)).shape == (0,)
