# SPDX-License-Identifier: GPL-3.0-or-later
"""From received carriers to symbols with their noise variance: drift, change of the channel, gain, noise."""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._kernels import drift_precision, receive
from .burst import PREAMBLE_SYMBOLS, pilot_values
from .channel_estimate import Channel
from .numerology import Numerology
from .track import processes

CLOCK = 40e-6  # standard deviation of the difference of the sample clocks


class Equalised(NamedTuple):
    """symbols, noise_var: complex64 and float32, [n_symbols, data_carriers]; drift: (phase, rad per symbol, rad per
    carrier, rad per carrier and symbol) found by the pilots; es, noise: mean power and noise variance per carrier,
    measured again; evm: rms error of the pilots, 1 = their amplitude."""

    symbols: np.ndarray
    noise_var: np.ndarray
    drift: np.ndarray
    es: float
    noise: float
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
    carriers, n = numerology.carriers, len(received)
    known = received[:0] if known is None else known
    clock_sd = 2 * math.pi * CLOCK * numerology.symbol_length / numerology.fft
    prior = drift_precision(channel.noise, channel.es, cfo_sd, clock_sd, carriers, PREAMBLE_SYMBOLS)
    # The span of the fit is doubled from 16 symbols on, so that each step starts within reach of the next.
    start, span = (np.zeros(4), 16) if drift is None else (drift, 2 * n_header)
    layout = carriers, numerology.pilot_index, numerology.data_index, *_times_and_pilots(numerology, n)
    tracker = processes(n, len(known), numerology.pilots / numerology.active)
    return Equalised(*receive(received, known, n_header, layout, tuple(channel), tracker, start, span, prior))


@lru_cache(maxsize=32)
def _times_and_pilots(numerology: Numerology, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbol times [n], counted from the middle of the preamble, and the pilots' values, float32 [n, pilots]."""
    t = np.arange(n) + (PREAMBLE_SYMBOLS + 1) / 2
    return t, pilot_values(numerology, n).astype(np.float32)
