# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels by name, as the command line and the flowgraphs ask for them."""

from __future__ import annotations

from .awgn import Awgn, noise_variance
from .base import SampleChannel
from .fading import FlatFading, TappedDelayLine
from .impairments import Cfo, Chain, ClockError, PhaseNoise

CHANNELS = ("none", "awgn", "rayleigh", "rician", "tdl-a", "tdl-c")


def make_channel(
    name: str,
    *,
    rate: float,
    snr_db: float | None = None,
    oversampling: float = 1.0,
    doppler_hz: float = 10.0,
    k_factor_db: float = 10.0,
    delay_spread_s: float = 100e-9,
    cfo_hz: float = 0.0,
    clock_ppm: float = 0.0,
    linewidth_hz: float = 0.0,
    seed: int = 0,
) -> Chain:
    """Return the channel `name` with the radios' impairments: fading, clock error, carrier offset, phase noise, noise.

    `name`: one of `CHANNELS`. `rate`: samples per second of the stream, `oversampling` times the critical rate of the
    numerology. `snr_db`: mean Es/N0 per active carrier; None for no noise (not with "awgn"). `doppler_hz` and the
    parameters of one channel do nothing in the others. Impairments of 0 are left out. All parts draw from `seed`.
    ValueError names the argument that is wrong.
    """
    name = str(name).lower()
    if name not in CHANNELS:
        raise ValueError(f"name must be one of {', '.join(CHANNELS)}, not {name!r}")
    if name == "none" and snr_db is not None:
        raise ValueError("snr_db must be None with the channel 'none', which has no noise; use 'awgn' for noise")
    if name == "awgn" and snr_db is None:
        raise ValueError("snr_db must be given for the channel 'awgn'")
    parts: list[SampleChannel] = []
    if name in ("rayleigh", "rician"):
        parts.append(FlatFading(doppler_hz, rate, k_factor_db if name == "rician" else None, seed))
    elif name in ("tdl-a", "tdl-c"):
        parts.append(TappedDelayLine(name, delay_spread_s, doppler_hz, rate, seed))
    if clock_ppm:
        parts.append(ClockError(clock_ppm))
    if cfo_hz:
        parts.append(Cfo(cfo_hz, rate))
    if linewidth_hz:
        parts.append(PhaseNoise(linewidth_hz, rate, seed))
    if snr_db is not None:
        parts.append(Awgn(noise_variance(snr_db, oversampling), seed))
    return Chain(parts)
