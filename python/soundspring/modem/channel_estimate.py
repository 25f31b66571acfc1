# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel's response at each carrier, with the accuracy to which it is known."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .acquire import Acquisition
from .numerology import Numerology


@dataclass(frozen=True)
class Channel:
    """Channel estimate.

    h: response of each active carrier, [active]
    error: variance of its error per unit of noise variance, [active]
    noise: noise variance per carrier; noise_dof: how many complex residuals it was measured from
    es: mean power received per active carrier
    share, vectors, spread: how channels with these delays and of mean power es vary: the pilots' parts along `vectors`
        [pilots, pilots] (columns) are independent, of power `share` [pilots]; `spread` [active, pilots] carries them
        to all carriers
    unseen: the power of what the pilots do not show, [active]
    """

    h: np.ndarray
    error: np.ndarray
    noise: float
    noise_dof: float
    es: float
    share: np.ndarray
    vectors: np.ndarray
    spread: np.ndarray
    unseen: np.ndarray


def training_noise(received: np.ndarray, numerology: Numerology) -> float:
    """Noise variance from what differs between two training symbols [2, active] apart from a common phase."""
    first, second = received
    turn = np.vdot(first, second)
    turn = turn / abs(turn) if turn else np.complex64(1)
    difference = second * np.conj(turn) - first
    return float(np.vdot(difference, difference).real / 2 / (numerology.active - 1)) + 1e-20


@lru_cache(maxsize=64)
def _steering(numerology: Numerology, oversampling: float, lags: tuple[int, ...]) -> np.ndarray:
    """Response of each carrier to a path with each of these lags after the centre, [active, lags]."""
    delays = np.array(lags) / oversampling + numerology.cp / 2
    return np.exp(-2j * np.pi / numerology.fft * np.outer(numerology.carriers, delays))


def estimate_channel(fine: Acquisition, noise: float, numerology: Numerology, oversampling: float) -> Channel:
    """Linear MMSE estimate of the impulse response, whose power at each delay is about the measured profile.

    The preamble's correlation is answer = gram h + noise of covariance gram * oversampling * noise.

    Args:
        fine: from the preamble, the carrier offset already taken out
        noise: noise variance per carrier
    """
    noise_in = noise * oversampling
    prior = fine.profile / np.diag(fine.gram).real ** 2
    covariance = np.linalg.inv(fine.gram / noise_in + np.diag(1 / prior))
    taps = covariance @ fine.answer / noise_in
    steer = _steering(numerology, oversampling, tuple((fine.lags - fine.centre).tolist()))
    h = steer @ taps
    error = ((steer @ covariance).view(float) * steer.view(float)).sum(axis=1)
    es = float((np.vdot(h, h).real + error.sum()) / len(h))
    power = square(taps) + np.diag(covariance).real  # sharper than the profile, which the chirps' band smears
    at = numerology.pilot_index
    shape = (steer * (es / power.sum() * power)) @ steer[at].conj().T
    share, vectors = np.linalg.eigh(shape[at])
    share = np.maximum(share, 1e-6 * share[-1])
    spread = (shape @ vectors) / share
    unseen = np.maximum(es - square(spread) @ share, 0)
    return Channel(h, error / noise, noise, numerology.active - 1, es, share, vectors, spread, unseen)


def square(x: np.ndarray) -> np.ndarray:
    """|x|^2, without the root that np.abs would take."""
    return x.real**2 + x.imag**2
