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

    taps, covariance: impulse response, [lags], and covariance of its error, [lags, lags]; steer [active, lags] carries
        it to the carriers; overlap = steer^H steer
    h: response of each active carrier, [active]
    error: variance of its error per unit of noise variance, [active]
    noise: noise variance per carrier; noise_dof: how many complex residuals it was measured from
    es: mean power received per active carrier
    power: how it is shared among the taps, [lags]
    share, vectors, spread: how channels with these delays and of mean power es vary: the pilots' parts along `vectors`
        [pilots, pilots] (columns) are independent, of power `share` [pilots]; `spread` [active, pilots] carries them
        to all carriers
    unseen: the power of what the pilots do not show, [active]
    """

    taps: np.ndarray
    covariance: np.ndarray
    steer: np.ndarray
    overlap: np.ndarray
    noise: float
    noise_dof: float
    h: np.ndarray
    error: np.ndarray
    es: float
    power: np.ndarray
    share: np.ndarray
    vectors: np.ndarray
    spread: np.ndarray
    unseen: np.ndarray


@lru_cache(maxsize=64)
def _steering(numerology: Numerology, oversampling: float, lags: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Response of each carrier to a path with each of these lags after the centre, [active, lags], and what such
    responses have in common, [lags, lags]."""
    delays = np.array(lags) / oversampling + numerology.cp / 2
    steer = np.exp(-2j * np.pi / numerology.fft * np.outer(numerology.carriers, delays))
    return steer, steer.conj().T @ steer


def estimate_channel(fine: Acquisition, noise: float, numerology: Numerology, oversampling: float) -> Channel:
    """Linear MMSE estimate of the impulse response, whose power at each delay is about the measured profile.

    The preamble's correlation is answer = gram h + noise of covariance gram * oversampling * noise.

    Args:
        fine: from the preamble, the carrier offset already taken out
        noise: noise variance per carrier
    """
    steer, overlap = _steering(numerology, oversampling, tuple((fine.lags - fine.centre).tolist()))
    taps, covariance, (h, error, *rest) = estimate(
        fine.answer, fine.gram, fine.profile, noise * oversampling, steer, numerology.pilot_index
    )
    return Channel(taps, covariance, steer, overlap, noise, numerology.active - 1.0, h, error / noise, *rest)
