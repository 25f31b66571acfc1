# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel as the analog scheme's receiver sees it: equalised symbols with known noise, without waveforms.

Each burst has a frequency response over the numerology's carriers; what is left of it after equalising is white noise
of variance N0/|H|^2, a little more for the estimate of the channel. tests/models holds that against the real modem.
"""

import math
from dataclasses import dataclass

import numpy as np

ESTIMATE = 0.05  # noise that the estimate of the channel adds, relative to N0
HEADER_DB = -11.5  # mean Es/N0 below which a burst's header, and with it the burst, is lost


@dataclass(frozen=True)
class Carriers:
    """What of a numerology matters here: size of the DFT, its data carriers."""

    fft: int = 64
    data: int = 48

    @property
    def indices(self) -> np.ndarray:
        half = self.data // 2
        return np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)])


def responses(rng: np.random.Generator, bursts: int, carriers: Carriers = Carriers()) -> np.ndarray:
    """Gains |H|^2 of the data carriers in consecutive bursts, float [bursts, data], 1 on average.

    Two of five channels are flat and steady. Else paths fall off exponentially over up to two samples, change from
    burst to burst more or less, and may have a line of sight.
    """
    if rng.random() < 0.4:
        return np.ones((bursts, carriers.data))
    spread = rng.choice((0.0, rng.uniform(0, 2)))
    delays = np.concatenate([[0.0], rng.exponential(max(spread, 1e-9), 7)])
    power = np.exp(-delays / max(spread, 1e-9)) if spread else np.eye(8)[0]
    taps = gains(rng, bursts, 8, rng.uniform(0, 0.98)) * np.sqrt(power / power.sum())
    sight = 10 ** (rng.uniform(0, 12) / 10) if rng.random() < 0.4 else 0.0
    taps = taps / math.sqrt(1 + sight)
    taps[:, 0] += math.sqrt(sight / (1 + sight))
    turn = np.exp(-2j * np.pi * delays[:, None] * carriers.indices / carriers.fft)
    return np.abs(taps @ turn) ** 2


def gains(rng: np.random.Generator, bursts: int, paths: int, memory: float) -> np.ndarray:
    """Rayleigh gains of unit power, complex [bursts, paths], with correlation `memory` from burst to burst."""
    white = (rng.standard_normal((bursts, paths)) + 1j * rng.standard_normal((bursts, paths))) / math.sqrt(2)
    for n in range(1, bursts):
        white[n] = memory * white[n - 1] + math.sqrt(1 - memory**2) * white[n]
    return white


def noise_variances(
    rng: np.random.Generator, rows: int, bursts: int, symbols: int, snr_db: tuple[float, float] = (-6.0, 26.0)
) -> np.ndarray:
    """Noise variance of the symbols of `bursts` consecutive bursts in `rows` channels, float32 [rows, bursts, symbols].

    Each channel has a mean Es/N0 from the range `snr_db`; inf where the burst did not come: too weak, or, in one
    channel of four, lost for another reason.
    """
    out = np.empty((rows, bursts, symbols), np.float32)
    for row in out:
        gain = responses(rng, bursts) * 10 ** (rng.uniform(*snr_db) / 10)
        rows_of_carriers = -(-symbols // gain.shape[1])
        noise = (1 + ESTIMATE) / np.maximum(gain, 1e-4)
        row[:] = np.tile(noise, (1, rows_of_carriers))[:, :symbols]  # a burst lasts too short for the gain to change
        weak = 10 * np.log10(gain.mean(1)) < HEADER_DB
        other = rng.random(bursts) < (rng.uniform(0.05, 0.35) if rng.random() < 0.25 else 0.0)
        row[weak | other] = np.inf
    return out
