# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels: samples to samples (noise, fading, radio impairments) and packets to packets (loss).

A sample channel is a stateful object with `process(x complex64 [n]) -> complex64 [n]`; a loss process one with
`step(n) -> bool [n]`. Both give the same stream for a seed however it is cut into chunks.
"""

from .awgn import Awgn, noise_variance
from .base import SampleChannel
from .factory import CHANNELS, make_channel
from .fading import TDL_PROFILES, FlatFading, TappedDelayLine
from .impairments import Cfo, Chain, ClockError, PhaseNoise
from .loss import Bernoulli, GilbertElliott, LossProcess, MarkovLoss, Trace, Wlan, parse_loss

__all__ = [
    "CHANNELS", "TDL_PROFILES", "Awgn", "Bernoulli", "Cfo", "Chain", "ClockError", "FlatFading", "GilbertElliott",
    "LossProcess", "MarkovLoss", "PhaseNoise", "SampleChannel", "TappedDelayLine", "Trace", "Wlan", "make_channel",
    "noise_variance", "parse_loss",
]
