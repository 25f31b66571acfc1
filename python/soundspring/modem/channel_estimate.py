# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel's response at each carrier, with the accuracy to which it is known."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._kernels import estimate
from .acquire import Acquisition
from .numerology import Numerology


class Channel(NamedTuple):
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
    prior = fine.profile / np.diag(fine.gram).real ** 2
    steer = _steering(numerology, oversampling, tuple((fine.lags - fine.centre).tolist()))
    h, error, es, *modes = estimate(fine.answer, fine.gram, prior, noise * oversampling, steer, numerology.pilot_index)
    return Channel(h, error / noise, noise, numerology.active - 1.0, es, *modes)
