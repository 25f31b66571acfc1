# SPDX-License-Identifier: GPL-3.0-or-later
"""What microphones, rooms and places add: as strong as said, and never more often."""

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


def test_most_speech_stays_as_it_is(augment):
    x, rng = noise(1), np.random.default_rng(3)
    same = np.mean([np.array_equal(augment.augment(x, rng), x) for _ in range(200)])
    assert 0.55 < same < 0.8  # 0.69 expected, 0.033 the standard deviation


@pytest.mark.parametrize("kind", ["narrower", "reverberant", "noisy"])
def test_length_and_type_stay_and_silence_stays_silent(augment, kind):
    change, rng = getattr(augment, kind), np.random.default_rng(1)
    y = change(noise(), rng)
    assert y.shape == (2 * RATE,) and y.dtype == np.float32 and np.isfinite(y).all()
    assert not change(np.zeros(RATE, np.float32), rng).any()
