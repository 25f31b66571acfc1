# SPDX-License-Identifier: GPL-3.0-or-later
"""Fading against theory: power, envelope, Doppler autocorrelation, power delay profile."""

import numpy as np
import pytest
from scipy import special, stats
from soundspring.channel import TDL_PROFILES, FlatFading, TappedDelayLine

ONE = np.ones(1, np.complex64)


def _ensemble(k_factor_db: float | None, count: int = 2500) -> np.ndarray:
    """Gains of independent runs, one sample each."""
    return np.array([FlatFading(0.0, 1e6, k_factor_db, seed=s).process(ONE)[0] for s in range(count)])


def test_rayleigh_envelope_over_independent_runs():
    gains = _ensemble(None)
    assert np.mean(np.abs(gains) ** 2) == pytest.approx(1.0, abs=0.06)
    assert abs(gains.mean()) < 0.06
    assert stats.kstest(np.abs(gains), stats.rayleigh(scale=np.sqrt(0.5)).cdf).pvalue > 0.01
    assert stats.kstest(np.angle(gains), stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01
    # The test can tell: the same envelopes are no Rician ones.
    assert stats.kstest(np.abs(gains), stats.rice(b=1.0, scale=0.5).cdf).pvalue < 1e-3


@pytest.mark.parametrize("k_db", [0.0, 6.0, 10.0])
def test_rician_envelope_over_independent_runs(k_db):
    gains = _ensemble(k_db)
    k = 10 ** (k_db / 10)
    sigma = np.sqrt(0.5 / (k + 1))
    assert np.mean(np.abs(gains) ** 2) == pytest.approx(1.0, abs=0.05)
    assert stats.kstest(np.abs(gains), stats.rice(b=np.sqrt(2 * k), scale=sigma).cdf).pvalue > 0.01


def test_rayleigh_envelope_along_one_run():
    rate, doppler = 20e3, 100.0
    gains = FlatFading(doppler, rate, seed=11).process(np.ones(4_000_000, np.complex64))[::991]
    assert stats.kstest(np.abs(gains), stats.rayleigh(scale=np.sqrt(0.5)).cdf).pvalue > 0.01


@pytest.mark.parametrize("k_db", [None, 3.0])
def test_doppler_autocorrelation(k_db):
    rate, doppler = 20e3, 100.0
    h = FlatFading(doppler, rate, k_db, seed=5).process(np.ones(1_000_000, np.complex64)).astype(np.complex128)
    k = 0.0 if k_db is None else 10 ** (k_db / 10)
    for tau in np.arange(0.0, 0.02, 0.0013):  # up to two Doppler periods
        lag = round(tau * rate)
        measured = np.mean(h[lag:] * h[: h.size - lag].conj())
        sight = np.exp(2j * np.pi * 0.7 * doppler * lag / rate)
        theory = (special.j0(2 * np.pi * doppler * lag / rate) + k * sight) / (1 + k)
        assert abs(measured - theory) < 0.03


def test_gain_between_anchors_is_smooth_enough():
    """Interpolating the gain costs less than -58 dB: no step of the gain deviates from the local curvature bound."""
    rate, doppler = 1e6, 50.0
    h = FlatFading(doppler, rate, seed=2).process(np.ones(200_000, np.complex64)).astype(np.complex128)
    span = 156  # half the distance between anchors (1e6 / (64 * 50) = 312 samples)
    middle = (h[: -2 * span] + h[2 * span :]) / 2 - h[span:-span]
    assert np.max(np.abs(middle)) < (2 * np.pi * doppler * span / rate) ** 2 / 2 * np.sqrt(32) + 1e-3
    assert 10 * np.log10(np.mean(np.abs(middle) ** 2)) < -50


@pytest.mark.parametrize("model", sorted(TDL_PROFILES))
def test_tdl_tables_have_unit_delay_spread(model):
    """The delays of TR 38.901 are normalised to an RMS delay spread of 1, so a mistyped entry shows here."""
    line = TappedDelayLine(model, 1.0, 0.0, 100.0)
    assert line.powers.sum() == pytest.approx(1.0)
    spread = np.sqrt(line.powers @ line.delays_s**2 - (line.powers @ line.delays_s) ** 2)
    assert spread == pytest.approx(1.0, abs=2e-4)
    assert len(TDL_PROFILES[model]) == {"TDL-A": 23, "TDL-C": 24}[model]


@pytest.mark.parametrize("model", sorted(TDL_PROFILES))
def test_tdl_power_delay_profile(model):
    """E[H(f) H*(f + df)] over independent channels is the Fourier transform of the power delay profile."""
    rate, spread, size = 1.5e6, 1e-6, 128
    impulse = np.zeros(size, np.complex64)
    impulse[0] = 1
    lines = [TappedDelayLine(model, spread, 0.0, rate, seed=s) for s in range(1500)]
    responses = np.fft.fft([line.process(impulse) for line in lines], axis=1)
    f = np.fft.fftfreq(size, 1 / rate)
    band = np.abs(f) < 0.4 * rate
    assert np.mean(np.abs(responses[:, band]) ** 2) == pytest.approx(1.0, abs=0.03)
    for shift in (1, 3, 9, 20):
        df = shift * rate / size
        pairs = np.flatnonzero(band & np.roll(band, -shift))
        measured = np.mean(responses[:, pairs].conj() * responses[:, (pairs + shift) % size])
        delays = lines[0].delays_s + lines[0].delay / rate
        theory = np.sum(lines[0].powers * np.exp(-2j * np.pi * df * delays))
        assert abs(measured - theory) < 0.05


def test_tdl_without_spread_is_flat():
    """All paths at delay 0: a delayed copy of the input times one gain."""
    x = np.exp(2j * np.pi * 0.37 * np.arange(500)).astype(np.complex64)
    line = TappedDelayLine("TDL-A", 0.0, 0.0, 1e6, seed=4)
    y = line.process(x)[line.delay + 30 :]
    gain = y / x[30 : 500 - line.delay]
    np.testing.assert_allclose(gain, gain[0], atol=1e-4 * abs(gain[0]))


def test_tdl_fades_with_its_doppler():
    rate, doppler = 10e3, 50.0
    line = TappedDelayLine("TDL-C", 1e-9, doppler, rate, seed=9)
    h = line.process(np.ones(150_000, np.complex64))[100:].astype(np.complex128)
    for lag in (50, 77, 120, 200):
        measured = np.mean(h[lag:] * h[:-lag].conj())
        assert abs(measured - special.j0(2 * np.pi * doppler * lag / rate) * np.mean(np.abs(h) ** 2)) < 0.05


@pytest.mark.parametrize(
    ("build", "word"),
    [
        (lambda: FlatFading(-1.0, 1e6), "doppler_hz"),
        (lambda: FlatFading(6e5, 1e6), "doppler_hz"),
        (lambda: FlatFading(1.0, -1e6), "rate"),
        (lambda: FlatFading(1.0, 1e6, "strong"), "k_factor_db"),
        (lambda: TappedDelayLine("TDL-Z", 1e-7, 1.0, 1e6), "TDL-A, TDL-C"),
        (lambda: TappedDelayLine("TDL-A", -1e-7, 1.0, 1e6), "delay_spread_s"),
        (lambda: TappedDelayLine("TDL-A", 1.0, 1.0, 1e6), "delay_spread_s"),
    ],
)
def test_wrong_arguments_are_named(build, word):
    with pytest.raises(ValueError, match=word):
        build()
