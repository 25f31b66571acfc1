# SPDX-License-Identifier: GPL-3.0-or-later
"""Noise and the impairments of the radios, against what defines them."""

import numpy as np
import pytest
from soundspring.channel import Awgn, Cfo, Chain, ClockError, PhaseNoise, noise_variance


def test_awgn_has_its_variance_is_circular_and_white():
    noise = Awgn(0.25, seed=1).process(np.zeros(400_000, np.complex64)).astype(np.complex128)
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.25, rel=0.01)
    assert np.var(noise.real) == pytest.approx(np.var(noise.imag), rel=0.02)
    assert abs(np.mean(noise**2)) < 0.25 * 0.01
    assert abs(np.mean(noise[1:] * noise[:-1].conj())) < 0.25 * 0.01
    # The fourth moment of a Gaussian: E|n|^4 = 2 (E|n|^2)^2.
    assert np.mean(np.abs(noise) ** 4) == pytest.approx(2 * 0.25**2, rel=0.02)


def test_noise_variance_follows_the_definition_of_snr():
    assert noise_variance(10.0) == pytest.approx(0.1)
    assert noise_variance(3.0, 1.5) == pytest.approx(1.5 * 10**-0.3)


def test_no_noise_leaves_the_samples_alone():
    x = np.exp(1j * np.arange(100)).astype(np.complex64)
    np.testing.assert_array_equal(Awgn(0.0, seed=1).process(x), x)


def test_cfo_turns_by_its_frequency_even_late_in_the_stream():
    rate, hz = 1.5e6, -12_345.6
    cfo = Cfo(hz, rate)
    for _ in range(50):
        y = cfo.process(np.ones(100_000, np.complex64))
    n = np.arange(49 * 100_000, 50 * 100_000, dtype=np.longdouble)
    cycles = (n * np.longdouble(hz) / np.longdouble(rate) % 1).astype(np.float64)
    np.testing.assert_allclose(y, np.exp(2j * np.pi * cycles), atol=1e-5)


@pytest.mark.parametrize("ppm", [-150.0, 20.0, 3000.0])
@pytest.mark.parametrize("frequency", [0.013, 0.4, -0.4])  # cycles a sample; 0.4 is 0.8 of the Nyquist frequency
def test_clock_error_moves_a_tone_and_its_time_axis(ppm, frequency):
    x = np.exp(2j * np.pi * frequency * np.arange(60_000)).astype(np.complex64)
    channel = ClockError(ppm)
    y = channel.process(x)
    assert abs(y.size * (1 + ppm * 1e-6) - x.size) < 2
    position = (np.arange(y.size) - channel.delay) * (1 + ppm * 1e-6)
    error = (y - np.exp(2j * np.pi * frequency * position))[100:]
    assert 10 * np.log10(np.mean(np.abs(error) ** 2)) < -57


def test_phase_noise_decorrelates_as_a_lorentzian_line():
    rate, linewidth = 1e6, 200.0
    y = PhaseNoise(linewidth, rate, seed=3).process(np.ones(3_000_000, np.complex64)).astype(np.complex128)
    np.testing.assert_allclose(np.abs(y), 1.0, atol=1e-5)
    for lag in (100, 500, 1000):
        measured = np.mean(y[lag:] * y[:-lag].conj())
        assert abs(measured - np.exp(-np.pi * linewidth * lag / rate)) < 0.05


def test_phase_noise_from_a_data_sheet_level():
    rate, offset, level = 1e6, 20e3, -70.0
    y = PhaseNoise.from_level(level, offset, rate, seed=5).process(np.ones(4_000_000, np.complex64))
    frames = y.reshape(-1, 4000) * np.hanning(4000)
    density = np.mean(np.abs(np.fft.fft(frames)) ** 2, axis=0) / (rate * np.sum(np.hanning(4000) ** 2))
    bin_at_offset = round(offset / rate * 4000)
    measured = 10 * np.log10(np.mean(density[bin_at_offset - 2 : bin_at_offset + 3]))
    assert measured == pytest.approx(level, abs=0.5)


def test_chain_runs_in_order_and_adds_delays():
    x = np.ones(1000, np.complex64)
    chain = Chain([ClockError(0.0), Cfo(1000.0, 1e6), ClockError(5.0)])
    assert chain.delay == ClockError(0.0).delay * 2
    first, second, third = ClockError(0.0), Cfo(1000.0, 1e6), ClockError(5.0)
    np.testing.assert_array_equal(chain.process(x), third.process(second.process(first.process(x))))
    np.testing.assert_array_equal(Chain().process(x), x)


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: Awgn(-1.0), "noise_var"),
        (lambda: Awgn(float("nan")), "noise_var"),
        (lambda: Awgn(1.0, seed=-1), "seed"),
        (lambda: Awgn(1.0, seed=1.5), "seed"),
        (lambda: Cfo(6e5, 1e6), "hz"),
        (lambda: Cfo(1.0, 0.0), "rate"),
        (lambda: ClockError(1e5), "ppm"),
        (lambda: PhaseNoise(-1.0, 1e6), "linewidth_hz"),
        (lambda: PhaseNoise.from_level(10.0, 1e4, 1e6), "dbc_hz"),
        (lambda: Chain([1]), "channels"),
        (lambda: Awgn(1.0).process(np.zeros((2, 2))), "one-dimensional"),
        (lambda: noise_variance("loud"), "snr_db"),
    ],
)
def test_wrong_arguments_are_named(build, word):
    with pytest.raises(ValueError, match=word):
        build()
