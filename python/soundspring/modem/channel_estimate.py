# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel's response at each carrier, with the accuracy to which it is known."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._kernels import estimate, estimate_again
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


def training_noise(received: np.ndarray, numerology: Numerology) -> float:
    """Noise variance from what differs between two training symbols [2, active] apart from a common phase."""
    first, second = received
    turn = np.vdot(first, second)
    turn = turn / abs(turn) if turn else np.complex64(1)
    difference = second * np.conj(turn) - first
    return float(np.vdot(difference, difference).real / 2 / (numerology.active - 1)) + 1e-20


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
    prior = fine.profile / np.diag(fine.gram).real ** 2
    steer, overlap = _steering(numerology, oversampling, tuple((fine.lags - fine.centre).tolist()))
    at = numerology.pilot_index
    taps, covariance, (h, error, *rest) = estimate(fine.answer, fine.gram, prior, noise * oversampling, steer, at)
    return Channel(taps, covariance, steer, overlap, noise, numerology.active - 1.0, h, error / noise, *rest)


def look_again(channel: Channel, turned: np.ndarray, known: np.ndarray, numerology: Numerology) -> Channel:
    """The channel in the middle of symbols that are known on all carriers, by these and by what was known before.

    Args:
        turned: received, the drift taken out, complex64 [any, active]; known: what was sent, [any, active]
    """
    response = (turned * known.conj()).mean(axis=0).astype(complex)
    taps, covariance, (h, error, *rest) = estimate_again(
        channel.taps, channel.covariance, channel.h, channel.error * channel.noise, channel.power, response,
        channel.noise / len(known), channel.steer, channel.overlap, numerology.pilot_index,
    )  # fmt: skip
    same = channel.steer, channel.overlap, channel.noise, channel.noise_dof
    return Channel(taps, covariance, *same, h, error / channel.noise, *rest)
