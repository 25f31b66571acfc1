# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the receiver is from one that knows the channel, the noise and where the burst begins.

The measure is what a decoder could learn from the LLRs of a QPSK payload: how many dB less would the other one need to
learn as much? Both see the same channels. `benchmarks/sync.py` does the same with packets.
"""

import numpy as np
import pytest
from modem_air import NUMEROLOGY, make_burst, noise, receiver
from scipy.signal import firwin, lfilter
from soundspring.channel.fading import TappedDelayLine
from soundspring.channel.impairments import Cfo, Chain, ClockError
from soundspring.modem import demap

RATE = 2e6
CARRIER_HZ = 2.5e9  # at which 60 ppm are 150 kHz
LOW_PASS = firwin(49, 750e3, window=("kaiser", 5.65), fs=RATE)
FIRST_PAYLOAD = 18


def information(llr, bits):
    """Bits per bit that LLRs taken at their word give away."""
    return 1 - np.mean(np.logaddexp(0, np.where(bits, -llr, llr).astype(float))) / np.log(2)


def carriers(samples):
    """Data carriers of the payload's symbols, from three quarters of the prefix on."""
    starts = (FIRST_PAYLOAD + np.arange(15)) * 160 + 24
    bodies = np.fft.fft(samples[starts[:, None] + np.arange(128)], axis=1)
    return bodies[:, NUMEROLOGY.carriers[~NUMEROLOGY.pilot_mask]].ravel()


def air(rng, model, value):
    """A burst over the channel: (at the receiver's antenna, the payload, the true response of each symbol, ppm)."""
    samples, symbols = make_burst(rng, value)
    clean = np.concatenate([samples * np.exp(2j * np.pi * rng.uniform()), np.zeros(200)]).astype(np.complex64)
    if model:
        fading = TappedDelayLine(*model, 50.0, RATE, int(rng.integers(1 << 31)))
        clean = fading.process(clean)[fading.delay :]
    response = carriers(clean) / carriers(samples)
    ppm = float(rng.choice([-60.0, 60.0]))
    clean = np.concatenate([np.zeros(int(rng.integers(100, 900))), clean, np.zeros(300)])
    return Chain([ClockError(ppm), Cfo(1e-6 * ppm * CARRIER_HZ, RATE)]).process(clean), symbols, response, ppm


def measure(model, snr_db, bursts):
    """(found bursts, information received, function: what the other receiver learns at an SNR lower by so many dB)."""
    rng = np.random.default_rng(int(snr_db) + 100)
    found, learned, others = 0, [], []
    for value in range(bursts):
        samples, symbols, response, _ = air(rng, model, value)
        bits = np.stack([symbols.real < 0, symbols.imag < 0], axis=1).ravel()
        rx = receiver()
        x = lfilter(LOW_PASS, 1, samples + noise(rng, len(samples), snr_db))
        good = [b for b in rx.push(x) + rx.flush() if b.header == value]
        found += len(good)
        learned.append(information(demap(good[0].symbols, good[0].noise_var, 2), bits) if good else 0.0)
        white = (rng.standard_normal(720) + 1j * rng.standard_normal(720)) / np.sqrt(2)
        others.append((symbols, response, white, bits))

    def genie(less_db):
        n0 = 10 ** (-(snr_db - less_db) / 10)
        return np.mean([information(demap(s + np.sqrt(n0) * w / h, n0 / np.abs(h) ** 2, 2), bits)
                        for s, h, w, bits in others])

    return found, np.mean(learned), genie


@pytest.mark.parametrize("snr_db, bursts, least, less_db", [(-4, 24, 24, 0.7), (-1, 24, 24, 0.5), (6, 16, 16, 0.4)])
def test_awgn(snr_db, bursts, least, less_db):
    """Oscillators 60 ppm apart, which moves carrier and clock alike."""
    found, learned, genie = measure(None, snr_db, bursts)
    assert found >= least
    assert learned > genie(less_db)


@pytest.mark.parametrize("model", [("TDL-A", 100e-9), ("TDL-C", 300e-9)])
@pytest.mark.parametrize("snr_db, least", [(0, 20), (8, 24)])
def test_fading(model, snr_db, least):
    """50 Hz of Doppler; at 0 dB a burst in ten is too faint for this header."""
    found, learned, genie = measure(model, snr_db, 24)
    assert found >= least
    assert learned > genie(1.0)
