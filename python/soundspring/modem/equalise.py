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
    drift = fit_drift(z, np.abs(channel.h[mask]) ** 2, k[mask], t, channel, cfo_sd, numerology)
    turned = received * np.exp(-1j * drift_phase(drift, k, t))
    at_pilots = turned[:, mask] * pilots
    change, unsure, dof = follow(at_pilots - channel.h[mask], channel, mask)
    response = channel.h + change
    residual = np.abs(at_pilots - response[:, mask]) ** 2
    data = response[:, ~mask]
    evidence = [
        (residual.sum() / (1 + channel.error[mask].mean()), max(residual.size - dof - 2, 1)),
        _quadrature(turned[:n_header, ~mask], data[:n_header], channel.error[~mask]),
    ]
    channel = _refine_noise(channel, evidence)
    power = np.abs(data) ** 2 + 1e-30
    spread = channel.noise * (1 + channel.error[~mask]) + unsure[:, ~mask]
    evm = float(np.sqrt(np.mean(residual / (np.abs(response[:, mask]) ** 2 + 1e-30))))
    return Equalised(turned[:, ~mask] / (data + 1e-30), spread / power, drift, channel, evm)


def follow(change: np.ndarray, channel: Channel, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """How the channel changes during the burst, from how it changes at the pilots.

    What changes is taken to have the delays of the channel itself, so the pilots' changes have a known covariance but
    for its size. Along its eigenvectors they are independent; there they are smoothed, then carried to all carriers.

    Args:
        change: measured at the pilots, [n, pilots]; mask: which carriers these are

    Returns:
        (change at all carriers [n, active], variance of its error [n, active], degrees of freedom it took)
    """
    share, vectors = np.linalg.eigh(channel.covariance[mask])
    share = np.maximum(share, 1e-6 * share[-1])
    smoothed, error = smooth(change @ vectors.conj(), share, channel.noise)
    spread = (channel.covariance @ vectors) / share  # [active, pilots], from the eigenvectors to the carriers
    seen = (np.abs(spread) ** 2 @ share) / channel.es
    moved = (np.abs(smoothed) ** 2).sum(axis=1) / share.sum()
    unseen = np.outer(moved, np.maximum(1 - seen, 0) * channel.es)
    dof = len(change) * error.sum() / channel.noise
    return smoothed @ spread.T, np.abs(spread) ** 2 @ error + unseen, float(dof)


def _quadrature(header: np.ndarray, response: np.ndarray, error: np.ndarray) -> tuple[float, float]:
    """Noise energy in the dimension that BPSK on the diagonal leaves empty, and its complex degrees of freedom."""
    across = (header * np.conj(response) * np.exp(-0.25j * np.pi)).imag / (np.abs(response) + 1e-30)
    return float((across**2 / (1 + error)).sum()), across.size / 2


def _refine_noise(channel: Channel, evidence: list[tuple[float, float]]) -> Channel:
    energy = channel.noise * channel.noise_dof + sum(e for e, _ in evidence)
    return replace(channel, noise=energy / (channel.noise_dof + sum(dof for _, dof in evidence)))
