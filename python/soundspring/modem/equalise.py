# SPDX-License-Identifier: GPL-3.0-or-later
"""From received carriers to symbols with their noise variance: carrier and clock drift, phase, gain, noise."""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from .burst import PREAMBLE_SYMBOLS, pilot_values
from .channel_estimate import Channel
from .numerology import Numerology

WALKS = np.logspace(-9, 0, 28)  # variances per symbol that `smooth_gain` chooses from


@dataclass(frozen=True)
class Equalised:
    """symbols, noise_var: [n_symbols, data_carriers]; drift: (phase, rad per symbol, rad per carrier, rad per carrier
    and symbol) found by the pilots; channel with its noise measured again; evm: rms error of the pilots."""

    symbols: np.ndarray
    noise_var: np.ndarray
    drift: np.ndarray
    channel: Channel
    evm: float


def equalise(received: np.ndarray, n_header: int, channel: Channel, numerology: Numerology, cfo_sd: float) -> Equalised:
    """Track and equalise the symbols after the training.

    Args:
        received: carriers, [n_symbols, active], header first
        n_header: how many of these symbols are header (BPSK, whose quadrature shows the noise)
        cfo_sd: standard deviation of the carrier offset still left, rad per symbol
    """
    n = len(received)
    mask, k = numerology.pilot_mask, numerology.carriers
    t = np.arange(n) + (PREAMBLE_SYMBOLS + 1) / 2  # counted from the middle of the preamble
    pilots = pilot_values(numerology, n)
    z = received[:, mask] * np.conj(channel.h[mask]) * pilots
    weight = np.abs(channel.h[mask]) ** 2
    drift = fit_drift(z, weight, k[mask], t, channel, cfo_sd, numerology)
    turned = received * np.exp(-1j * _phase(drift, k, t))
    z = turned[:, mask] * np.conj(channel.h[mask]) * pilots
    gain, gain_var, gain_dof = smooth_gain(z.sum(axis=1) / weight.sum(), channel.noise / weight.sum())
    response = channel.h * gain[:, None]
    residual = np.abs(turned[:, mask] - response[:, mask] * pilots) ** 2
    evidence = [
        (residual.sum() / (1 + channel.error[mask].mean()), max(residual.size - gain_dof - 2, 1)),
        _quadrature(turned[:n_header, ~mask], response[:n_header, ~mask], channel.error[~mask]),
    ]
    channel = _refine_noise(channel, evidence)
    power = np.abs(response[:, ~mask]) ** 2 + 1e-30
    spread = channel.noise * (1 + channel.error[~mask]) + gain_var * np.abs(channel.h[~mask]) ** 2
    evm = float(np.sqrt(np.mean(residual / (np.abs(response[:, mask]) ** 2 + 1e-30))))
    return Equalised(turned[:, ~mask] / (response[:, ~mask] + 1e-30), spread / power, drift, channel, evm)


def _phase(drift: np.ndarray, k: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Phase [t, k] that the drift (a, b, c, d) gives carrier k at symbol time t: a + b t + c k + d k t."""
    a, b, c, d = drift
    return (a + b * t)[:, None] + np.outer(c + d * t, k)


def fit_drift(z, weight, k, t, channel: Channel, cfo_sd: float, numerology: Numerology) -> np.ndarray:
    """Maximum a posteriori phase, carrier offset, timing and clock drift from the pilots, by Gauss-Newton steps.

    The span is doubled from 16 symbols to the whole burst, so that each step starts within reach of the next.

    Args:
        z: pilots times their expected conjugate values, [n, pilots]
        weight: |h|^2 of the pilots; k: their carriers; t: symbol times
    """
    spread = channel.noise / (2 * PREAMBLE_SYMBOLS * numerology.active * channel.es)
    clock = 2 * np.pi * 40e-6 * numerology.symbol_length / numerology.fft
    prior = 1 / np.array([spread, cfo_sd**2, spread / np.mean(numerology.carriers**2.0), clock**2])
    # The phase is (1, t) D (1, k)' with the drift in D, so the sums over symbols and over carriers come apart.
    over_t, over_k = np.stack([np.ones(len(t)), t]), np.stack([np.ones(len(k)), k])
    by_carrier = (2 / channel.noise) * (over_k * weight) @ over_k.T
    drift = np.zeros(4)
    span = 16
    while True:
        part = over_t[:, :span]
        information = np.kron(by_carrier, part @ part.T) + np.diag(prior)
        for _ in range(2):
            error = (z[:span] * np.exp(-1j * _phase(drift, k, t[:span]))).imag
            slope = (2 / channel.noise) * (over_k @ error.T @ part.T).ravel()
            drift = drift + np.linalg.solve(information, slope - prior * drift)
        if span >= len(t):
            return drift
        span *= 2


@lru_cache
def _stiffness(n: int) -> np.ndarray:
    """Eigenvalues of a random walk of n steps, [4 n + 2], of its sines' four-fold periods."""
    return 4 * np.sin(np.pi * np.arange(4 * n + 2) / (4 * n + 2)) ** 2


def smooth_gain(gain: np.ndarray, noise: float) -> tuple[np.ndarray, float, float]:
    """Common complex gain of each symbol (phase noise, slow fading) as a random walk that starts from 1.

    The sines that vanish at the start and are level at the end diagonalise a random walk, so the smoother is a
    Wiener filter over them, and the likelihood of each walk variance is a sum over them; the likeliest is taken.

    Args:
        gain: measured, complex [n]; noise: variance of its noise

    Returns:
        (smoothed [n], mean variance of its error, degrees of freedom it took)
    """
    n = len(gain)
    if n < 2:
        return np.ones(n, complex), 0.0, 0.0
    u = gain - 1
    spectrum = np.fft.fft(np.concatenate([[0], u, u[::-1], [0], -u, -u[::-1]]))
    stiffness = _stiffness(n)
    modes = slice(1, 2 * n, 2)
    power = np.abs(spectrum[modes]) ** 2 / (4 * (2 * n + 1))
    walks = WALKS[:, None]
    variance = noise + walks / stiffness[modes]
    likelihood = -(np.log(variance) + power / variance).sum(axis=1)
    walk = float(walks[likelihood.argmax(), 0])
    keep = walk / (walk + noise * stiffness)
    smoothed = np.fft.ifft(spectrum * keep)[1 : n + 1]
    dof = float(keep[modes].sum())
    return 1 + smoothed, noise * dof / n, dof


def _quadrature(header: np.ndarray, response: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Noise energy in the dimension that BPSK on the diagonal leaves empty, and its complex degrees of freedom."""
    across = (header * np.conj(response) * np.exp(-0.25j * np.pi)).imag / (np.abs(response) + 1e-30)
    return float((across**2 / (1 + error)).sum()), across.size / 2


def _refine_noise(channel: Channel, evidence: list[tuple[float, float]]) -> Channel:
    energy = channel.noise * channel.noise_dof + sum(e for e, _ in evidence)
    return replace(channel, noise=energy / (channel.noise_dof + sum(dof for _, dof in evidence)))
