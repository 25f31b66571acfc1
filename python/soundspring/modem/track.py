# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes from symbol to symbol: the drift of carrier and clock, then whatever else the channel does."""

from functools import lru_cache

import numpy as np

from .burst import PREAMBLE_SYMBOLS
from .channel_estimate import Channel
from .numerology import Numerology

# What the smoother weighs: Doppler frequencies in cycles per symbol, and random walks' variances per symbol.
DOPPLERS = tuple(0.032 * 2.0 ** -np.arange(7))
WALKS = tuple(np.logspace(-6, -1, 6))
SPAN = 96  # most points in time that are smoothed


def drift_precision(channel: Channel, cfo_sd: float, numerology: Numerology) -> np.ndarray:
    """Inverse variances, before the pilots are seen, of the drift: rad, rad per symbol (whose standard deviation is
    cfo_sd), rad per carrier, rad per carrier and symbol."""
    spread = channel.noise / (2 * PREAMBLE_SYMBOLS * numerology.active * channel.es)
    clock = 2 * np.pi * 40e-6 * numerology.symbol_length / numerology.fft
    carriers = numerology.carriers
    return 1 / np.array([spread, cfo_sd**2, spread * len(carriers) / np.vdot(carriers, carriers), clock**2])


@lru_cache(maxsize=32)
def processes(n: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """How changes over n symbols are smoothed: (symbols in a group, middle of each group [g], eigenvalues [c, g] and
    eigenvectors [c g, g] (rows) of a change's covariance, for each of c processes).

    For each process (fading at some Doppler frequency, a random walk at some speed) the smoother is a Wiener filter,
    and how likely the process is follows from what was measured; the filters are averaged by that. Of bursts longer
    than SPAN symbols it is means over several symbols that are smoothed, so that the cost stays linear.

    Eigenvalues and eigenvectors (rows) are those of a change's covariance, for each of c ways of changing. The
    change is that since the preamble, which knows the mean over its own symbols: with R the correlation over time
    and bars for that mean, R(t - t') - R(t - .) - R(. - t') + R(. - .). A Rayleigh channel's R is J0 (Clarke's model);
    a random walk's is minus half its variogram, which serves here as well.
    """
    group = -(-n // SPAN)
    first = np.arange(0, n, group)
    t = (first + np.append(first[1:], n) - 1) / 2
    times = np.concatenate([np.arange(PREAMBLE_SYMBOLS), PREAMBLE_SYMBOLS + t])
    lag = np.abs(times[:, None] - times)
    angle = 2 * np.pi * np.sin(np.pi * (np.arange(16) + 0.5) / 32)
    correlations = [np.cos(f * lag[:, :, None] * angle).mean(axis=2) for f in DOPPLERS] + [-w * lag / 2 for w in WALKS]
    values, vectors = [], []
    for r in correlations:
        known = r[:PREAMBLE_SYMBOLS].mean(axis=0)
        r = r - known - known[:, None] + known[:PREAMBLE_SYMBOLS].mean()
        value, vector = np.linalg.eigh(r[PREAMBLE_SYMBOLS:, PREAMBLE_SYMBOLS:])
        values.append(np.maximum(value, 0.0))
        vectors.append(vector.T)
    return group, t, np.array(values), np.concatenate(vectors)
