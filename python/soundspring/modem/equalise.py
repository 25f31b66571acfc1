# SPDX-License-Identifier: GPL-3.0-or-later
"""From received carriers to symbols with their noise variance: drift, change of the channel, gain, noise."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from ._kernels import divide, evidence, turn_back
from .burst import PREAMBLE_SYMBOLS, pilot_values
from .channel_estimate import Channel, square
from .numerology import Numerology
from .track import fit_drift, smooth


@dataclass(frozen=True)
class Equalised:
    """symbols, noise_var: complex64 and float32, [n_symbols, data_carriers]; drift: (phase, rad per symbol, rad per
    carrier, rad per carrier and symbol) found by the pilots; channel with its noise measured again; evm: rms error of
    the pilots."""

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
    at, rest, k = numerology.pilot_index, numerology.data_index, numerology.carriers
    t, pilots = _times_and_pilots(numerology, len(received))
    h = channel.h[at]
    z = received.take(at, axis=1) * pilots
    start = None if drift is None else (drift, 2 * n_header)
    drift = fit_drift(z * h.conj(), square(h), numerology.pilot_carriers, t, channel, cfo_sd, numerology, start)
    turned = turn_back(received, drift, k, t)
    change, moved, steady, dof = follow(turned.take(at, axis=1) * pilots - h, channel)
    response = (channel.h + change).astype(np.complex64)
    residual, quadrature = evidence(turned, response, pilots, at, rest, channel.error, n_header)
    n, count = pilots.shape
    measured = [
        (residual / (1 + channel.error[at].mean()), max(n * count - dof - 2, 1)),
        (quadrature, n_header * len(rest) / 2),
    ]
    channel = _refine_noise(channel, measured)
    steady = steady + channel.noise * (1 + channel.error)
    symbols, noise_var = divide(turned, response, rest, steady, moved, channel.unseen)
    evm = math.sqrt(residual / (n * count) / (square(h).mean() + 1e-30))
    return Equalised(symbols, noise_var, drift, channel, evm)


@lru_cache(maxsize=32)
def _times_and_pilots(numerology: Numerology, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbol times [n], counted from the middle of the preamble, and the pilots' values, float32 [n, pilots]."""
    t = np.arange(n) + (PREAMBLE_SYMBOLS + 1) / 2
    return t, pilot_values(numerology, n).astype(np.float32)


def follow(change: np.ndarray, channel: Channel) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """How the channel changes during the burst, from how it changes at the pilots.

    What changes is taken to have the delays of the channel itself, so the pilots' changes have a known covariance but
    for its size. Along its eigenvectors they are independent; there they are smoothed, then carried to all carriers.

    Args:
        change: measured at the pilots, [n, pilots]

    Returns:
        (change at all carriers [n, active]; its size in each symbol beside the channel's, [n], by which what the pilots
        do not show is uncertain; variance of its error, [active]; degrees of freedom it took)
    """
    smoothed, error = smooth(change @ channel.vectors.conj(), channel.share, channel.noise)
    moved = square(smoothed).sum(axis=1) / channel.share.sum()
    dof = float(len(change) * error.sum() / channel.noise)
    return smoothed @ channel.spread.T, moved, square(channel.spread) @ error, dof


def _refine_noise(channel: Channel, measured: list[tuple[float, float]]) -> Channel:
    energy = channel.noise * channel.noise_dof + sum(e for e, _ in measured)
    return replace(channel, noise=energy / (channel.noise_dof + sum(dof for _, dof in measured)))
