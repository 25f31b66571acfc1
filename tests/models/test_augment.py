# SPDX-License-Identifier: GPL-3.0-or-later
"""Other voices, and what microphones, rooms and places add: as strong as said, and never more often."""

import numpy as np
import pytest

RATE = 16000


@pytest.fixture
def augment(train):
    return train("augment")


def noise(seconds=2):
    return (0.1 * np.random.default_rng(1).standard_normal(seconds * RATE)).astype(np.float32)


def power_above(x, hertz):
    spectrum = np.abs(np.fft.rfft(x)) ** 2
    return spectrum[np.fft.rfftfreq(len(x), 1 / RATE) > hertz].sum() / spectrum.sum()


def test_a_narrower_band_ends_below_seven_and_a_half_kilohertz(augment):
    x = noise()
    for seed in range(8):
        y = augment.narrower(x, np.random.default_rng(seed))
        assert power_above(x, 7500) > 0.05 and power_above(y, 7500) < 0.01
        assert power_above(y, 1000) > 0.5


def test_noise_lies_five_to_thirty_five_decibels_below(augment):
    x = noise()
    ratios = [20 * np.log10(np.std(x) / np.std(augment.noisy(x, np.random.default_rng(s)) - x)) for s in range(40)]
    assert min(ratios) >= 4.9 and max(ratios) <= 35.1
    assert max(ratios) - min(ratios) > 15


def test_a_room_keeps_the_direct_sound_and_decays(augment):
    x = np.zeros(RATE, np.float32)
    x[100] = 1.0
    for seed in range(8):
        y = augment.reverberant(x, np.random.default_rng(seed))
        assert y[100] == pytest.approx(1.0, abs=1e-6) and not np.any(np.abs(y[:100]) > 1e-6)
        tail = 10 * np.log10(np.sum(y[101:] ** 2))
        assert -18.1 <= tail <= -2.9
        assert np.sum(y[100 + RATE // 2 :] ** 2) < np.sum(y[101 : 100 + RATE // 4] ** 2) / 10


def test_about_half_of_the_speech_stays_as_it_is_but_for_its_sign(augment):
    x, rng = noise(1), np.random.default_rng(3)
    heard = [augment.augment(x, rng) for _ in range(200)]
    same, inverted = (np.mean([np.array_equal(y, sign * x) for y in heard]) for sign in (1, -1))
    assert 0.4 < same + inverted < 0.63  # 0.516 expected, 0.035 the standard deviation
    assert 0.15 < same < 0.37 and 0.15 < inverted < 0.37


def test_another_voice_is_higher_and_quicker_by_one_ratio(augment):
    rng = np.random.default_rng(5)
    lengths = [augment.stretch(rng, 2 * RATE) for _ in range(300)]
    assert 0.4 < np.mean([n == 2 * RATE for n in lengths]) < 0.6
    assert min(lengths) < 0.85 * 2 * RATE and max(lengths) > 1.2 * 2 * RATE
    assert all(1 / 1.26 < n / (2 * RATE) < 1.26 for n in lengths)
    for n in (RATE * 8 // 10, RATE * 12 // 10):
        tone = np.sin(2 * np.pi * 500 * np.arange(n) / RATE).astype(np.float32)
        y = augment.other_voice(tone, RATE)
        assert len(y) == RATE and y.dtype == np.float32
        assert np.argmax(np.abs(np.fft.rfft(y))) == pytest.approx(500 * n / RATE, abs=1)
        assert np.std(y[RATE // 4 : -RATE // 4]) == pytest.approx(np.sqrt(0.5), rel=0.01)


def test_a_microphone_changes_levels_slowly_over_frequency(augment):
    x = np.zeros(RATE, np.float32)
    x[0] = 1.0
    gains = np.array([20 * np.log10(np.abs(np.fft.rfft(augment.heard_through(x, np.random.default_rng(s)))))
                      for s in range(100)])
    at = [62, 125, 250, 500, 1000, 2000, 4000, 7999]
    assert np.all(np.abs(gains[:, at].std(0) - 4) < 1.2)
    assert np.abs(np.diff(gains[:, 500:], axis=1)).max() < 0.2


@pytest.mark.parametrize("kind", ["narrower", "reverberant", "noisy", "heard_through"])
def test_length_and_type_stay_and_silence_stays_silent(augment, kind):
    change, rng = getattr(augment, kind), np.random.default_rng(1)
    y = change(noise(), rng)
    assert y.shape == (2 * RATE,) and y.dtype == np.float32 and np.isfinite(y).all()
    assert not change(np.zeros(RATE, np.float32), rng).any()
