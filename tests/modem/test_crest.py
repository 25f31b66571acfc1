# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from modem_air import CODE_BITS, NUMEROLOGY, encode_header
from soundspring.modem import BurstModulator, map_bits
from soundspring.modem.burst import PREAMBLE_SYMBOLS, pilot_values

MEAN = NUMEROLOGY.active / NUMEROLOGY.fft
BITS = 4


def bursts(papr_db, oversampling=4, count=12):
    """(samples of the OFDM symbols behind the preamble, payload symbols) of several bursts."""
    rng = np.random.default_rng(0)
    modulator = BurstModulator(NUMEROLOGY, CODE_BITS, oversampling, papr_db)
    for _ in range(count):
        symbols = map_bits(rng.integers(0, 2, BITS * 720), BITS)
        samples = modulator.modulate(encode_header(int(rng.integers(1 << 16))), symbols)
        yield samples[PREAMBLE_SYMBOLS * 80 * oversampling :], symbols


def carriers(samples, oversampling=4):
    spectrum = np.fft.fft(samples.reshape(-1, 80 * oversampling)[:, 16 * oversampling :], axis=1)
    return spectrum / (oversampling * 8)


def peak_db(samples):
    return 10 * np.log10(np.max(np.abs(samples) ** 2) / MEAN)


def test_bursts_have_high_peaks_when_left_alone():
    assert np.mean([peak_db(s) for s, _ in bursts(None)]) > 9


@pytest.mark.parametrize("papr_db", [8.0, 6.0, 4.0])
def test_peaks_stay_below_the_limit_and_the_power_is_kept(papr_db):
    for samples, _ in bursts(papr_db):
        assert peak_db(samples) < papr_db + 1e-4
        assert abs(10 * np.log10(np.mean(np.abs(samples) ** 2) / MEAN)) < 0.5


@pytest.mark.parametrize("papr_db, evm_db, outside_db", [(8.0, -34, -57), (6.0, -22, -48), (4.0, -14, -37)])
def test_what_the_limit_costs(papr_db, evm_db, outside_db):
    """Error on the data carriers, and power that leaves the band; about 1 dB above what was measured."""
    error, outside, mask = [], [], NUMEROLOGY.pilot_mask
    for samples, symbols in bursts(papr_db):
        spectrum = carriers(samples)[8:]  # without the header, a toy that repeats itself and has extreme peaks
        active = spectrum[:, NUMEROLOGY.carriers]
        data = active[:, ~mask].ravel()
        error.append(np.mean(np.abs(data - symbols) ** 2))
        assert abs(np.vdot(symbols, data).real / np.vdot(symbols, symbols).real - 1) < 0.02
        assert np.max(np.abs(active[:, mask] - pilot_values(NUMEROLOGY, 8 + len(active))[8:])) < 0.05
        outside.append(1 - np.sum(np.abs(active) ** 2) / np.sum(np.abs(spectrum) ** 2))
    assert 10 * np.log10(np.mean(error)) < evm_db
    assert 10 * np.log10(np.mean(outside)) < outside_db


def test_a_limit_above_the_peaks_changes_nothing():
    for (limited, _), (free, _) in zip(bursts(20.0, count=3), bursts(None, count=3), strict=True):
        assert np.allclose(limited, free, atol=1e-5)


def test_an_impossible_limit_is_named():
    with pytest.raises(ValueError, match="papr_db"):
        BurstModulator(NUMEROLOGY, CODE_BITS, papr_db=2.0)
