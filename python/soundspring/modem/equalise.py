# SPDX-License-Identifier: GPL-3.0-or-later
"""From received carriers to symbols with their noise variance: drift, change of the channel, gain, noise."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ._kernels import follow, settle, unwind
from .burst import PREAMBLE_SYMBOLS, pilot_values
from .channel_estimate import Channel, look_again
from .numerology import Numerology
from .track import drift_precision, processes


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
    received: np.ndarray, n_header: int, channel: Channel, numerology: Numerology, cfo_sd: float, drift=None, known=None
) -> Equalised:
    """Track and equalise the symbols after the training.

    What changes beside the drift is taken to have the delays of the channel itself, so the pilots' changes have a known
    covariance but for its size. Along its eigenvectors they are independent; there they are smoothed, then carried to
    all carriers; by what the pilots do not show, the symbols are the noisier.

    A header that was decoded is known on all carriers: the channel is estimated once more, nearer to the payload than
    the preamble is, and followed from there. The drift is still that of the pilots alone, which see the whole burst
    evenly; with the header's weight it would run after what fading does there.

    Args:
        received: carriers, [n_symbols, active], header first
        n_header: how many of these symbols are header (BPSK, whose quadrature shows the noise)
        cfo_sd: standard deviation of the carrier offset still left, rad per symbol
        drift: what was found for the header alone, if that was done before
        known: the header's carriers as they were sent, complex64 [n_header, active], or None
    """
    at, rest = numerology.pilot_index, numerology.data_index
    times, pilots = _times_and_pilots(numerology, len(received))
    known = received[:0] if known is None else known
    prior = drift_precision(channel, cfo_sd, numerology)
    # The span of the fit is doubled from 16 symbols on, so that each step starts within reach of the next.
    start, span = (np.zeros(4), 16) if drift is None else (drift, 2 * n_header)
    drift, turned = unwind(
        received, pilots, at, numerology.carriers, times, channel.h, channel.noise, start, span, prior
    )
    if len(known):
        channel = look_again(channel, turned[: len(known)], known, numerology)
    tracker = processes(len(received), len(known), numerology.pilots / numerology.active)
    response, moved, steady, dof = follow(
        turned, known, pilots, at, channel.h, channel.noise, tracker, channel.share, channel.vectors, channel.spread
    )
    symbols, noise_var, noise, noise_dof, rms = settle(
        turned, response, pilots, at, rest, n_header, channel.error, channel.noise, channel.noise_dof, dof, steady,
        moved, channel.unseen,
    )  # fmt: skip
    evm = rms / (float(np.linalg.norm(channel.h[at])) / math.sqrt(len(at)) + 1e-15)
    return Equalised(symbols, noise_var, drift, channel._replace(noise=noise, noise_dof=noise_dof), evm)


@lru_cache(maxsize=32)
def _times_and_pilots(numerology: Numerology, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbol times [n], counted from the middle of the preamble, and the pilots' values, float32 [n, pilots]."""
    t = np.arange(n) + (PREAMBLE_SYMBOLS + 1) / 2
    return t, pilot_values(numerology, n).astype(np.float32)
