# SPDX-License-Identifier: GPL-3.0-or-later
"""What changes from symbol to symbol: the drift of carrier and clock, then whatever else the channel does."""

from functools import lru_cache

import numpy as np

from .burst import PREAMBLE_SYMBOLS
from .channel_estimate import Channel
from .numerology import Numerology

# What `smooth` weighs: Doppler frequencies in cycles per symbol, and random walks' variances per symbol.
DOPPLERS = tuple(0.032 * 2.0 ** -np.arange(7))
WALKS = tuple(np.logspace(-6, -1, 6))
SPAN = 96  # most points in time that are smoothed


def drift_phase(drift: np.ndarray, k: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Phase [t, k] that the drift (a, b, c, d) gives carrier k at symbol time t: a + b t + c k + d k t."""
    a, b, c, d = drift
    return (a + b * t)[:, None] + np.outer(c + d * t, k)


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
    prior = 1 / np.array([spread, cfo_sd**2, spread / np.mean(numerology.carriers**2.0), clock**2])
    # The phase is (1, t) D (1, k)' with the drift in D, so the sums over symbols and over carriers come apart.
    over_t, over_k = np.stack([np.ones(len(t)), t]), np.stack([np.ones(len(k)), k])
    by_carrier = (2 / channel.noise) * (over_k * weight) @ over_k.T
    drift, span = start or (np.zeros(4), 16)
    while True:
        part = over_t[:, :span]
        information = np.kron(by_carrier, part @ part.T) + np.diag(prior)
        for _ in range(2):
            error = (z[:span] * np.exp(-1j * drift_phase(drift, k, t[:span]))).imag
            slope = (2 / channel.noise) * (over_k @ error.T @ part.T).ravel()
            drift = drift + np.linalg.solve(information, slope - prior * drift)
        if span >= len(t):
            return drift
        span *= 2


@lru_cache(maxsize=8)
def _kernels(t: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues [c, n] and eigenvectors [c, n, n] (rows) of a change's covariance, for each way of changing.

    The change is that since the preamble, which knows the mean over its own symbols: with R the correlation over time
    and bars for that mean, R(t - t') - R(t - .) - R(. - t') + R(. - .). A Rayleigh channel's R is J0 (Clarke's model);
    a random walk's is minus half its variogram, which serves here as well.
    """
    times = np.concatenate([np.arange(PREAMBLE_SYMBOLS), PREAMBLE_SYMBOLS + np.array(t)])
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
    return np.array(values), np.array(vectors)


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
    group = -(-n // SPAN)
    edges = np.arange(0, n, group)
    size = np.diff(np.append(edges, n))
    # Means are weighted like whole groups: the last may be shorter, which is a little too trusting of it.
    means = np.add.reduceat(change, edges, axis=0) / size[:, None]
    t = edges + (size - 1) / 2
    values, vectors = _kernels(tuple(t))
    noise = noise / group
    parts = vectors @ np.ascontiguousarray(means).view(float)  # real and imaginary parts side by side
    power = (parts**2).reshape(*parts.shape[:2], m, 2).sum(axis=3) / noise
    rest = 1 / (1 + values[:, :, None] * (share / noise))
    log_likelihood = (np.log(rest) - power * rest).sum(axis=(1, 2))
    weight = np.exp(log_likelihood - log_likelihood.max())
    keep = (1 - rest) * (weight / weight.sum())[:, None, None]
    parts *= np.repeat(keep, 2, axis=2)
    smoothed = np.tensordot(vectors, parts, ([0, 1], [0, 1])).view(complex)
    variance = keep.sum(axis=(0, 1)) * noise / len(t)
    if group == 1:
        return smoothed, variance
    return np.stack([np.interp(np.arange(n), t, column) for column in smoothed.T], axis=1), variance
