# SPDX-License-Identifier: GPL-3.0-or-later
"""From received carriers to symbols with their noise variance: drift, change of the channel, gain, noise."""

from dataclasses import dataclass, replace

import numpy as np

from .burst import PREAMBLE_SYMBOLS, pilot_values
from .channel_estimate import Channel
from .numerology import Numerology
from .track import drift_phase, fit_drift, smooth


@dataclass(frozen=True)
class Equalised:
    """symbols, noise_var: [n_symbols, data_carriers]; drift: (phase, rad per symbol, rad per carrier, rad per carrier
    and symbol) found by the pilots; channel with its noise measured again; evm: rms error of the pilots."""

    symbols: np.ndarray
    noise_var: np.ndarray
    drift: np.ndarray
    channel: Channel
    evm: float


def equalise(
    received: np.ndarray, n_header: int, channel: Channel, numerology: Numerology, cfo_sd: float, drift=None
) -> Equalised:
    """Track and equalise the symbols after the training.

    Args:
        received: carriers, [n_symbols, active], header first
        n_header: how many of these symbols are header (BPSK, whose quadrature shows the noise)
        cfo_sd: standard deviation of the carrier offset still left, rad per symbol
        drift: what was found for the header alone, if that was done before
    """
    n = len(received)
    at, rest, k = numerology.pilot_index, numerology.data_index, numerology.carriers
    t = np.arange(n) + (PREAMBLE_SYMBOLS + 1) / 2  # counted from the middle of the preamble
    pilots = pilot_values(numerology, n)
    h = channel.h[at]
    z = received.take(at, axis=1) * pilots
    start = None if drift is None else (drift, 2 * n_header)
    drift = fit_drift(z * h.conj(), square(h), k[at], t, channel, cfo_sd, numerology, start)
    turn = np.exp(-1j * drift_phase(drift, k, t))
    z, data = z * turn.take(at, axis=1), (received * turn).take(rest, axis=1)
    change, unsure, dof = follow(z - h, channel, at)
    residual = square(z - h - change.take(at, axis=1))
    response, error = channel.h[rest] + change.take(rest, axis=1), channel.error[rest]
    evidence = [
        (residual.sum() / (1 + channel.error[at].mean()), max(residual.size - dof - 2, 1)),
        _quadrature(data[:n_header], response[:n_header], error),
    ]
    channel = _refine_noise(channel, evidence)
    spread = channel.noise * (1 + error) + unsure.take(rest, axis=1)
    evm = float(np.sqrt(residual.mean() / (square(h).mean() + 1e-30)))
    return Equalised(data / (response + 1e-30), spread / (square(response) + 1e-30), drift, channel, evm)


def square(x: np.ndarray) -> np.ndarray:
    """|x|^2, without the root that np.abs would take."""
    return x.real**2 + x.imag**2


def follow(change: np.ndarray, channel: Channel, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """How the channel changes during the burst, from how it changes at the pilots.

    What changes is taken to have the delays of the channel itself, so the pilots' changes have a known covariance but
    for its size. Along its eigenvectors they are independent; there they are smoothed, then carried to all carriers.

    Args:
        change: measured at the pilots, [n, pilots]; at: which carriers these are

    Returns:
        (change at all carriers [n, active], variance of its error [n, active], degrees of freedom it took)
    """
    share, vectors = np.linalg.eigh(channel.covariance[at])
    share = np.maximum(share, 1e-6 * share[-1])
    smoothed, error = smooth(change @ vectors.conj(), share, channel.noise)
    spread = (channel.covariance @ vectors) / share  # [active, pilots], from the eigenvectors to the carriers
    size = square(spread)
    unseen = np.maximum(channel.es - size @ share, 0)  # power of the changes that the pilots do not show
    moved = square(smoothed).sum(axis=1) / share.sum()
    return smoothed @ spread.T, size @ error + np.outer(moved, unseen), float(len(change) * error.sum() / channel.noise)


def _quadrature(header: np.ndarray, response: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Noise energy in the dimension that BPSK on the diagonal leaves empty, and its complex degrees of freedom."""
    across = (header * np.conj(response) * np.exp(-0.25j * np.pi)).imag / (np.abs(response) + 1e-30)
    return float((across**2 / (1 + error)).sum()), across.size / 2


def _refine_noise(channel: Channel, evidence: list[tuple[float, float]]) -> Channel:
    energy = channel.noise * channel.noise_dof + sum(e for e, _ in evidence)
    return replace(channel, noise=energy / (channel.noise_dof + sum(dof for _, dof in evidence)))
