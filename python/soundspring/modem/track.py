# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes from symbol to symbol: the drift of carrier and clock, then whatever else the channel does."""

from functools import lru_cache

import numpy as np

from ._kernels import gauss_newton, weigh
from .burst import PREAMBLE_SYMBOLS
from .channel_estimate import Channel
from .numerology import Numerology

# What `smooth` weighs: Doppler frequencies in cycles per symbol, and random walks' variances per symbol.
DOPPLERS = tuple(0.032 * 2.0 ** -np.arange(7))
WALKS = tuple(np.logspace(-6, -1, 6))
SPAN = 96  # most points in time that are smoothed


def fit_drift(z, weight, k, t, channel: Channel, cfo_sd: float, numerology: Numerology, start=None) -> np.ndarray:
    """Maximum a posteriori phase, carrier offset, timing and clock drift from the pilots, by Gauss-Newton steps.

    The span is doubled from 16 symbols to the whole burst, so that each step starts within reach of the next.

    Args:
        z: pilots times their expected conjugate values, [n, pilots]
        weight: |h|^2 of the pilots; k: their carriers; t: symbol times
        start: (drift, symbols up to which it will do), if one is known already
    """
    spread = channel.noise / (2 * PREAMBLE_SYMBOLS * numerology.active * channel.es)
    clock = 2 * np.pi * 40e-6 * numerology.symbol_length / numerology.fft
    carriers = numerology.carriers
    prior = 1 / np.array([spread, cfo_sd**2, spread * len(carriers) / np.vdot(carriers, carriers), clock**2])
    by_carrier = (2 / channel.noise) * np.array([[weight.sum(), weight @ k], [weight @ k, weight @ k**2]])
    drift, span = start or (np.zeros(4), 16)
    return gauss_newton(z, by_carrier, k, t, span, drift, prior, 2 / channel.noise)


@lru_cache(maxsize=32)
def _processes(n: int) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
    """How n symbols are smoothed: (how many are grouped, middle of each group [g], eigenvalues [c, g], basis [c g, g]).

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


def smooth(change: np.ndarray, share: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    """Several complex changes since the preamble, all by the same process, out of their noise.

    For each process (fading at some Doppler frequency, a random walk at some speed) the smoother is a Wiener filter,
    and how likely the process is follows from what was measured; the filters are averaged by that. Of bursts longer
    than SPAN symbols it is means over several symbols that are smoothed, so that the cost stays linear.

    Args:
        change: measured, [n, m]; share: power of what changes, [m]; noise: variance of the noise

    Returns:
        (smoothed [n, m], mean variance of the error [m])
    """
    n, m = change.shape
    group, t, values, basis = _processes(n)
    # Means are weighted like whole groups: the last may be shorter, which is a little too trusting of it.
    means = change if group == 1 else _group_means(change, group)
    noise = noise / group
    parts = basis @ means.view(float)  # real and imaginary parts side by side
    variance = weigh(parts.reshape(*values.shape, 2 * m), values, share, noise) / len(t)
    smoothed = (basis.T @ parts).view(complex)
    if group == 1:
        return smoothed, variance
    return np.stack([np.interp(np.arange(n), t, column) for column in smoothed.T], axis=1), variance


def _group_means(x: np.ndarray, group: int) -> np.ndarray:
    """Means over each `group` rows of x, and over those that are left at the end."""
    first = np.arange(0, len(x), group)
    return np.add.reduceat(x, first, axis=0) / np.diff(np.append(first, len(x)))[:, None]
