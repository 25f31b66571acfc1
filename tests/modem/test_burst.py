# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from modem_air import CODE_BITS, NUMEROLOGY, encode_header, make_burst
from soundspring.modem import BurstModulator, map_bits
from soundspring.modem.burst import PREAMBLE_SYMBOLS, pilot_values, pseudo_noise, training_values

RNG = np.random.default_rng(0)


def carriers_of(samples, oversampling=1):
    """Active carriers of each OFDM symbol, by the unitary DFT."""
    n, cp = 64 * oversampling, 16 * oversampling
    bodies = samples.reshape(-1, n + cp)[:, cp:]
    return np.fft.fft(bodies, axis=1) / (oversampling * 8), NUMEROLOGY.carriers


@pytest.mark.parametrize("oversampling", [1, 2])
def test_carriers_are_orthogonal_and_of_unit_power(oversampling):
    samples, symbols = make_burst(RNG, 7, oversampling)
    training_on = (PREAMBLE_SYMBOLS - 2) * 80 * oversampling
    spectrum, active = carriers_of(samples[training_on:], oversampling)
    assert np.allclose(spectrum[:2, active], training_values(NUMEROLOGY), atol=1e-5)
    data = spectrum[2:, active]
    mask = NUMEROLOGY.pilot_mask
    assert np.allclose(data[:, mask], pilot_values(NUMEROLOGY, len(data)), atol=1e-5)
    assert np.allclose(data[:8, ~mask].ravel(), map_bits(encode_header(7), 1), atol=1e-5)
    assert np.allclose(data[8:, ~mask].ravel()[: len(symbols)], symbols, atol=1e-5)
    silent = np.delete(spectrum, active, axis=1)
    assert np.abs(silent).max() < 1e-5
    assert np.isclose(np.mean(np.abs(data) ** 2), 1, atol=1e-5)


@pytest.mark.parametrize("oversampling", [1, 1.5, 2])
def test_power_of_each_part(oversampling):
    samples, _ = make_burst(RNG, 7, oversampling)
    chirps = samples[: int(8 * 80 * oversampling)]
    assert np.allclose(np.abs(chirps) ** 2, 52 / 64, atol=1e-5)
    assert np.isclose(np.mean(np.abs(samples) ** 2), 52 / 64, rtol=0.05)


@pytest.mark.parametrize("n_payload", [0, 1, 48, 49, 720])
def test_length_and_padding(n_payload):
    modulator = BurstModulator(NUMEROLOGY, CODE_BITS)
    samples = modulator.modulate(encode_header(1), np.ones(n_payload))
    assert samples.dtype == np.complex64 and len(samples) == modulator.samples_per_burst(n_payload)
    spectrum, active = carriers_of(samples[80 * PREAMBLE_SYMBOLS :])
    data = spectrum[:, active][:, ~NUMEROLOGY.pilot_mask].ravel()
    padding = data[CODE_BITS + n_payload :]
    assert len(padding) < 48 and np.allclose(np.abs(padding), 1, atol=1e-5)


def test_band_is_kept():
    """Half the power that leaves the occupied band at twice the rate is from symbol edges: below -20 dB in all."""
    samples, _ = make_burst(RNG, 7, 2)
    spectrum = np.abs(np.fft.fft(samples)) ** 2
    outside = np.abs(np.fft.fftfreq(len(samples), 0.5e-6)) > NUMEROLOGY.occupied_bandwidth / 2 + 2 * 15625
    assert spectrum[outside].sum() < 0.01 * spectrum.sum()


def test_pseudo_noise_is_an_m_sequence():
    bits = pseudo_noise(1022)
    assert np.array_equal(bits[:511], bits[511:]) and bits[:511].sum() == 256
    signs = 1.0 - 2.0 * bits[:511]
    correlation = np.fft.ifft(np.abs(np.fft.fft(signs)) ** 2).real
    assert np.allclose(correlation[1:], -1)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: BurstModulator(NUMEROLOGY, 0), "header_code_bits"),
        (lambda: BurstModulator(NUMEROLOGY, 8, 0.5), "oversampling"),
        (lambda: BurstModulator(NUMEROLOGY, 8, np.pi), "oversampling"),
        (lambda: BurstModulator(NUMEROLOGY, 8).modulate(np.zeros(9, np.uint8), np.ones(3)), "header_code_bits"),
        (lambda: BurstModulator(NUMEROLOGY, 8).modulate(np.zeros(8, np.uint8), np.array([np.nan])), "payload_symbols"),
    ],
)
def test_wrong_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
