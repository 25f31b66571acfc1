# SPDX-License-Identifier: GPL-3.0-or-later
"""The long-term postfilter: harmonics stay, what lies between them falls, and nothing else is touched."""

import numpy as np
import pytest
from soundspring.codec.postfilter import PARTS, PAST, State, periods, postfilter

RATE, HOP = 16000, 320


def voice(pitch: float, seconds: float = 1.0, rate: int = RATE) -> np.ndarray:
    """Harmonics of one pitch up to 4 kHz, float32 [n] in whole frames."""
    t = np.arange(int(seconds * rate) // HOP * HOP) / rate
    return sum(0.1 * np.cos(2 * np.pi * pitch * h * t + h * h) for h in range(1, int(4000 / pitch))).astype(np.float32)


def filtered(x: np.ndarray, strength: float = 0.5) -> np.ndarray:
    return postfilter(x[None], HOP, strength, State.initial())[0][0]


@pytest.mark.parametrize("pitch", [62.3, 100.0, 141.7, 229.1, 317.4, 466.0])
def test_the_period_is_found_between_samples(pitch):
    x = np.concatenate([np.zeros(PAST, np.float32), voice(pitch)])[None]
    lags, weights = np.empty((1, 50 * PARTS)), np.empty((1, 50 * PARTS))
    periods(x, HOP, lags, weights)
    settled = slice(5 * PARTS, None)
    assert np.abs(lags[0, settled] - RATE / pitch).max() < 0.25
    assert weights[0, settled].min() > 0.95


@pytest.mark.parametrize("pitch", [80.0, 123.4, 250.0])
def test_noise_between_harmonics_falls_and_harmonics_stay(pitch):
    clean = voice(pitch, 2.0)
    noise = (0.05 * np.random.default_rng(1).standard_normal(len(clean))).astype(np.float32)
    settled = slice(RATE // 2, None)
    left = (filtered(clean + noise) - clean)[settled]
    gain = 10 * np.log10(np.mean(noise[settled] ** 2) / np.mean(left**2))
    assert gain > 2.5  # white noise: 1 / (1 + w)^2 (1 + w^2 5/9), 2.95 dB for w = 0.5
    assert np.mean((filtered(clean) - clean)[settled] ** 2) < 1e-3 * np.mean(clean[settled] ** 2)


def test_what_has_no_period_hardly_changes():
    noise = (0.1 * np.random.default_rng(2).standard_normal(RATE)).astype(np.float32)
    assert np.mean((filtered(noise) - noise) ** 2) < 0.02 * np.mean(noise**2)
    silence = np.zeros(HOP * 10, np.float32)
    assert not filtered(silence).any()


def test_a_voice_that_begins_is_not_heard_before_and_one_that_ends_not_long_after():
    x = np.concatenate([np.zeros(HOP * 20, np.float32), voice(150.0, 0.4), np.zeros(HOP * 20, np.float32)])
    y = filtered(x)
    assert not y[: HOP * 20].any() and not y[-HOP * 20 + PAST :].any()


def test_pieces_give_what_the_whole_gives():
    rng = np.random.default_rng(3)
    x = np.stack([voice(110.0), voice(190.0)]) + 0.02 * rng.standard_normal((2, RATE)).astype(np.float32)
    whole, _ = postfilter(x, HOP, 0.5, State.initial(2))
    state, parts = State.initial(2), []
    for begin, end in ((0, 1), (1, 4), (4, 4), (4, 29), (29, 50)):
        part, state = postfilter(np.ascontiguousarray(x[:, begin * HOP : end * HOP]), HOP, 0.5, state)
        parts.append(part)
    assert np.array_equal(np.concatenate(parts, 1), whole)
    assert np.array_equal(whole[1], filtered(x[1]))
    assert not np.array_equal(whole, x)


def test_without_strength_nothing_is_done():
    x = voice(120.0)
    assert np.array_equal(filtered(x, 0.0), x)


def test_each_frame_may_have_a_strength_of_its_own():
    x = voice(120.0) + 0.02 * np.random.default_rng(5).standard_normal(RATE).astype(np.float32)
    strength = np.where(np.arange(50) < 25, 0.0, 0.5)[None]
    y = postfilter(x[None], HOP, strength, State.initial())[0][0]
    assert np.allclose(y[: 25 * HOP], x[: 25 * HOP], atol=1e-6)
    assert np.array_equal(y[26 * HOP :], filtered(x)[26 * HOP :])


@pytest.mark.parametrize("odd", [np.nan, np.inf, 1e30])
def test_what_is_no_sound_ends_when_it_is_gone(odd):
    x = voice(120.0, 2.0)
    x[5000] = odd
    y = filtered(x)
    assert np.isfinite(y[5000 + 2 * HOP + PAST :]).all()
