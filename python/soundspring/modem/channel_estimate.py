# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel's response at each carrier, with the accuracy to which it is known."""

from dataclasses import dataclass

import numpy as np

from .acquire import Acquisition
from .burst import training_values
from .numerology import Numerology


@dataclass(frozen=True)
class Channel:
    """Channel estimate.

    h: response of each active carrier, [active]
    error: variance of its error per unit of noise variance, [active]
    noise: noise variance per carrier; noise_dof: how many complex residuals it was measured from
    es: mean power received per active carrier
    covariance: between each carrier and each pilot, of channels with these delays, [active, pilots], of mean power es
    """

    h: np.ndarray
    error: np.ndarray
    noise: float
    noise_dof: float
    es: float
    covariance: np.ndarray


def training_noise(received: np.ndarray, numerology: Numerology) -> float:
    """Noise variance from what differs between two training symbols [2, active] apart from a common phase."""
    raw = received * np.conj(training_values(numerology))
    turn = np.vdot(raw[0], raw[1])
    turn = turn / abs(turn) if turn else 1.0
    return float(np.sum(np.abs(raw[1] * np.conj(turn) - raw[0]) ** 2) / 2 / (numerology.active - 1)) + 1e-20


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
    delays = (fine.lags - fine.centre) / oversampling + numerology.cp / 2
    steer = np.exp(-2j * np.pi / numerology.fft * np.outer(numerology.carriers, delays))
    h = steer @ taps
    error = ((steer @ covariance) * steer.conj()).sum(axis=1).real
    es = float(np.mean(np.abs(h) ** 2 + error))
    power = np.abs(taps) ** 2 + np.diag(covariance).real  # sharper than the profile, which the chirps' band smears
    shape = (steer * (es / power.sum() * power)) @ steer[numerology.pilot_mask].conj().T
    return Channel(h, error / noise, noise, numerology.active - 1, es, shape)
