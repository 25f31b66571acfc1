# SPDX-License-Identifier: GPL-3.0-or-later
"""What radios and neighbours do to bursts: each may cost quality, none may cost bursts or leave the receiver lost."""

import numpy as np
import pytest
from modem_air import calibration, make_burst, noise, offset, receiver
from scipy.signal import firwin, lfilter

BURSTS = 12


def stream(seed, snr_db):
    """Bursts numbered from 0 with pauses and their own offsets, in noise: (samples at twice the rate, symbols)."""
    rng = np.random.default_rng(seed)
    parts, symbols = [], []
    for value in range(BURSTS):
        samples, sent = make_burst(rng, value)
        pause = np.zeros(int(rng.integers(300, 3000)), np.complex64)
        parts += [pause, offset(samples, rng.uniform(-1e5, 1e5), rng)]
        symbols.append(sent)
    x = np.concatenate([*parts, np.zeros(1000)])
    return x + noise(rng, len(x), snr_db), symbols


def received(x, symbols, lost=0):
    """(power of the symbols' error in dB, mean calibration); all bursts but `lost` come with their header."""
    rx = receiver()
    good = [b for b in rx.push(x) + rx.flush() if b.header is not None]
    assert len({b.header for b in good} & set(range(BURSTS))) == len(good) >= BURSTS - lost
    error = [np.mean(np.abs(b.symbols - symbols[b.header]) ** 2) for b in good]
    return 10 * np.log10(np.mean(error)), np.mean([calibration(b, symbols[b.header]) for b in good])


def tone(n, hz, level_db):
    """Continuous wave, its power relative to that of a burst, at twice the rate."""
    amplitude = np.sqrt(52 / 64) * 10 ** (level_db / 20)
    return amplitude * np.exp(2j * np.pi * (hz / 2e6 * np.arange(n) + 0.2))


@pytest.mark.parametrize("gain_db, degrees, error_db", [(0.5, 3, -22), (1, 5, -19), (2, 10, -15)])
def test_iq_imbalance(gain_db, degrees, error_db):
    x, symbols = stream(1, 25)
    skew = np.radians(degrees)
    x = x.real * 10 ** (gain_db / 20) + 1j * (x.imag * np.cos(skew) + x.real * np.sin(skew))
    error, ratio = received(x, symbols)
    assert error < error_db and 0.8 < ratio < 1.3


@pytest.mark.parametrize("level, error_db", [(1.0, -13), (0.5, -6.3)])
def test_clipping(level, error_db):
    """Full scale at the mean amplitude of a burst or half of that, of each component.

    The chirps lose less by it than the symbols, so that by the preamble alone these would come out too small, which has
    less of an error and more of a bias.
    """
    x, symbols = stream(2, 25)
    error, _ = received(np.clip(x.real, -level, level) + 1j * np.clip(x.imag, -level, level), symbols)
    assert error < error_db


def test_gain_steps():
    """A gain control that jumps by up to 40 dB every 10 ms, in the midst of bursts too."""
    x, symbols = stream(3, 20)
    gain = 10 ** (np.random.default_rng(0).uniform(-1, 1, len(x) // 20_000 + 1))
    received(x * np.repeat(gain, 20_000)[: len(x)], symbols, lost=3)


@pytest.mark.parametrize("hz, level_db, error_db", [(480e3, 0, -6), (600e3, 10, -6), (-900e3, 15, -7)])
def test_a_tone_beside_the_band_without_a_filter(hz, level_db, error_db):
    x, symbols = stream(4, 20)
    error, ratio = received(x + tone(len(x), hz, level_db), symbols)
    assert error < error_db and 0.8 < ratio < 1.3


def test_a_strong_tone_behind_a_channel_filter():
    """50 dB above the burst, one channel away; the filter passes the band and every carrier offset."""
    x, symbols = stream(5, 20)
    low_pass = firwin(101, 750e3, window=("kaiser", 7.0), fs=2e6)
    error, ratio = received(lfilter(low_pass, 1, x + tone(len(x), 930e3, 50)), symbols)
    assert error < -18.5 and 0.8 < ratio < 1.3


@pytest.mark.parametrize("hz", [203e3, 500e3, 750e3])
def test_a_strong_tone_is_no_burst_and_does_not_stop_the_receiver(hz):
    """Bursts drown in it, and are found again once it has gone."""
    x, symbols = stream(6, 20)
    rng = np.random.default_rng(0)
    jammed = noise(rng, 200_000, 20) + tone(200_000, hz, 40)
    rx = receiver()
    bursts = rx.push(np.concatenate([jammed, x])) + rx.flush()
    assert {b.header for b in bursts} - {None} >= set(range(2, BURSTS))
    assert rx.detections <= BURSTS + 3


def test_a_weak_burst_right_behind_a_strong_one():
    rng = np.random.default_rng(7)
    strong, weak = make_burst(rng, 1)[0], make_burst(rng, 2)[0]
    x = np.concatenate([np.zeros(500), 30 * offset(strong, 9e4, rng), offset(weak, -9e4, rng), np.zeros(500)])
    rx = receiver()
    assert [b.header for b in rx.push(x + noise(rng, len(x), 12)) + rx.flush()] == [1, 2]
