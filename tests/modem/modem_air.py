# SPDX-License-Identifier: GPL-3.0-or-later
"""What the modem tests share: a toy header code, bursts and an air to send them through."""

import numpy as np
from soundspring.modem import BurstModulator, BurstReceiver, Numerology, map_bits

HEADER_BITS, REPEATS = 24, 16
CODE_BITS = HEADER_BITS * REPEATS
PAYLOAD = 720
NUMEROLOGY = Numerology()


def _check(value: int) -> int:
    return (value * 40503 >> 7) & 0xFF


def encode_header(value: int) -> np.ndarray:
    """16-bit value and 8 check bits, repeated."""
    bits = [int(c) for c in f"{value:016b}{_check(value):08b}"]
    return np.tile(np.array(bits, np.uint8), REPEATS)


def decode_header(llr: np.ndarray) -> int | None:
    bits = (llr.reshape(REPEATS, HEADER_BITS).sum(axis=0) > 0).astype(int)
    value, check = int("".join(map(str, bits[:16])), 2), int("".join(map(str, bits[16:])), 2)
    return value if check == _check(value) else None


def receiver(oversampling=2, payload=PAYLOAD, **options) -> BurstReceiver:
    return BurstReceiver(NUMEROLOGY, CODE_BITS, decode_header, lambda _: payload, oversampling,
                         **{"encode_header": encode_header} | options)


def make_burst(rng, value: int, oversampling=2, payload=PAYLOAD) -> tuple[np.ndarray, np.ndarray]:
    """(samples, payload symbols) of a QPSK burst."""
    symbols = map_bits(rng.integers(0, 2, 2 * payload), 2)
    return BurstModulator(NUMEROLOGY, CODE_BITS, oversampling).modulate(encode_header(value), symbols), symbols


def offset(samples: np.ndarray, cfo_hz: float, rng, rate_hz: float = 2e6) -> np.ndarray:
    """Carrier offset and a random phase."""
    turn = 2j * np.pi * (cfo_hz / rate_hz * np.arange(len(samples)) + rng.uniform())
    return (samples * np.exp(turn)).astype(np.complex64)


def noise(rng, n: int, snr_db: float, oversampling: float = 2) -> np.ndarray:
    """Complex noise that gives Es/N0 = snr_db when received at this oversampling."""
    scale = np.sqrt(oversampling * 10 ** (-snr_db / 10) / 2)
    return (scale * (rng.standard_normal(n) + 1j * rng.standard_normal(n))).astype(np.complex64)


def padded(samples: np.ndarray, before: int, after: int) -> np.ndarray:
    return np.concatenate([np.zeros(before), samples, np.zeros(after)])


def calibration(burst, symbols: np.ndarray) -> float:
    """Mean of error power / stated noise variance: 1 where the variance is right."""
    return float(np.mean(np.abs(burst.symbols - symbols) ** 2 / burst.noise_var))
