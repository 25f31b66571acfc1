# SPDX-License-Identifier: GPL-3.0-or-later
"""Limiting the peaks of OFDM symbols: repeated clipping and filtering (Armstrong, Electronics Letters 38(5), 2002)."""

import numpy as np

from .numerology import Numerology

ROUNDS = 8
FINE = 4  # samples per critical sample at which peaks are looked for


def peak_amplitude(numerology: Numerology, papr_db: float) -> float:
    """Amplitude that is `papr_db` above the mean power of OFDM symbols, active / fft."""
    return float(np.sqrt(numerology.active / numerology.fft * 10 ** (papr_db / 10)))


def limit_peaks(values: np.ndarray, numerology: Numerology, papr_db: float) -> np.ndarray:
    """Carriers [n_symbols, active] whose waveform hardly exceeds the limit; pilots and band stay as they were.

    Each round clips the waveform and takes of the result the data carriers alone, brought back to their size, so that
    what is left on them looks like a little more noise. Peaks grow again by less from round to round.
    """
    limit, mask = peak_amplitude(numerology, papr_db), numerology.pilot_mask
    n = FINE * numerology.fft
    scale = n / np.sqrt(numerology.fft)
    size = (values.real**2 + values.imag**2).sum(axis=1, where=~mask)
    limited = values
    for _ in range(ROUNDS):
        grid = np.zeros((len(values), n), complex)
        grid[:, numerology.carriers] = limited
        samples = clip(np.fft.ifft(grid, axis=1) * scale, limit)
        back = np.fft.fft(samples, axis=1)[:, numerology.carriers] / scale
        gain = (values.conj() * back).real.sum(axis=1, where=~mask) / size
        limited = np.where(mask, values, back / gain[:, None])
    return limited


def clip(samples: np.ndarray, limit: float) -> np.ndarray:
    """Samples whose amplitude is at most `limit`, phases kept."""
    return samples / np.maximum(np.abs(samples) / limit, 1.0)
