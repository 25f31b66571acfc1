# SPDX-License-Identifier: GPL-3.0-or-later
"""Multipath fading: flat Rayleigh and Rician, and the tapped delay lines of TR 38.901.

The fading is a sum of sinusoids (Clarke's model, Jakes' spectrum) rather than filtered noise: it is a function of the
sample number alone, hence the same for any chunking and without a start-up transient; it needs no filter redesigned
for Doppler frequencies a millionth of the sample rate; and every run has exactly unit mean power in the long term.
"""

from __future__ import annotations

import numpy as np

from .base import as_samples, generator, number, sample_rate
from .interpolation import HALF, kernel

_SINUSOIDS = 32
_PER_CYCLE = 64  # anchors per Doppler period: linear interpolation between them errs by less than -58 dB
_BLOCK = 64  # anchors computed at a time, always the same ones together, so that rounding is the same too
_LOS_DOPPLER = 0.7  # of the maximum Doppler frequency: TR 38.901 clause 7.7.2, line-of-sight taps

# TR 38.901, tables 7.7.2-1 and 7.7.2-3: (delay in units of the delay spread, power in dB).
TDL_PROFILES: dict[str, tuple[tuple[float, float], ...]] = {
    "TDL-A": (
        (0.0000, -13.4), (0.3819, 0.0), (0.4025, -2.2), (0.5868, -4.0), (0.4610, -6.0), (0.5375, -8.2),
        (0.6708, -9.9), (0.5750, -10.5), (0.7618, -7.5), (1.5375, -15.9), (1.8978, -6.6), (2.2242, -16.7),
        (2.1718, -12.4), (2.4942, -15.2), (2.5119, -10.8), (3.0582, -11.3), (4.0810, -12.7), (4.4579, -16.2),
        (4.5695, -18.3), (4.7966, -18.9), (5.0066, -16.6), (5.3043, -19.9), (9.6586, -29.7),
    ),
    "TDL-C": (
        (0.0000, -4.4), (0.2099, -1.2), (0.2219, -3.5), (0.2329, -5.2), (0.2176, -2.5), (0.6366, 0.0),
        (0.6448, -2.2), (0.6560, -3.9), (0.6584, -7.4), (0.7935, -7.1), (0.8213, -10.7), (0.9336, -11.1),
        (1.2285, -5.1), (1.3083, -6.8), (2.1704, -8.7), (2.7105, -13.2), (4.2589, -13.9), (4.6003, -13.9),
        (5.4902, -15.8), (5.6077, -17.1), (6.3065, -16.0), (6.6374, -15.7), (7.0427, -21.6), (8.6523, -22.8),
    ),
}


class _Clarke:
    """`count` independent Rayleigh processes of unit power with autocorrelation J0(2 pi doppler tau).

    Each is a sum of M = 32 unit sinusoids whose angles of arrival 2 pi (m + u) / M are equally spaced around the
    circle: the mean over M points of exp(j x cos(angle)) equals J0(x) up to terms of the size of J_M(x), negligible
    for delays up to 4 Doppler periods. u, drawn around 1/4, keeps all M frequencies apart and those of two
    processes different; the phases are uniform.
    """

    def __init__(self, count: int, doppler_hz: float, interval_s: float, rng: np.random.Generator):
        u = rng.uniform(1 / 8, 3 / 8, (count, 1))
        self._step = 2 * np.pi * doppler_hz * interval_s * np.cos(2 * np.pi * (np.arange(_SINUSOIDS) + u) / _SINUSOIDS)
        self._phase = rng.uniform(0, 2 * np.pi, (count, _SINUSOIDS))

    def block(self, index: int) -> np.ndarray:
        """Return anchors index * 64 ... index * 64 + 63, complex128 [64, count]."""
        n = np.arange(index * _BLOCK, (index + 1) * _BLOCK)
        angles = n[:, None, None] * self._step + self._phase
        return np.exp(1j * angles).sum(axis=2) / np.sqrt(_SINUSOIDS)


class _VaryingFilter:
    """A filter whose taps are a fixed mixture [paths, K] of fading path gains; the common part of both channels."""

    def __init__(self, mixture: np.ndarray, doppler_hz: float, rate: float, rng: np.random.Generator):
        self.rate = sample_rate(rate)
        self.doppler_hz = number("doppler_hz", doppler_hz, 0.0)
        if self.doppler_hz >= self.rate / 2:
            raise ValueError(f"doppler_hz must be below rate / 2 = {self.rate / 2:g} Hz, not {doppler_hz:g}")
        fastest = max(self.doppler_hz, 1e-9)
        self._spacing = int(np.clip(self.rate / (_PER_CYCLE * fastest), 1, 4096))
        self._mixture = mixture
        self._clarke = _Clarke(mixture.shape[0], self.doppler_hz, self._spacing / self.rate, rng)
        self._blocks: dict[int, np.ndarray] = {}
        self._position = 0
        self._past = np.zeros(mixture.shape[1] - 1, np.complex64)

    def _gains(self, block: int) -> np.ndarray:
        return self._clarke.block(block)

    def _anchors(self, first: int, last: int) -> np.ndarray:
        """Return the taps at anchors first..last, complex64 [last - first + 1, K]."""
        wanted = range(first // _BLOCK, last // _BLOCK + 1)
        self._blocks = {b: self._blocks[b] if b in self._blocks else
                        (self._gains(b) @ self._mixture).astype(np.complex64) for b in wanted}
        start = first - wanted[0] * _BLOCK
        return np.concatenate([self._blocks[b] for b in wanted])[start : start + last - first + 1]

    def process(self, x: np.ndarray) -> np.ndarray:
        """Return the faded samples, complex64 [n]."""
        from ._kernels import varying_filter

        x = as_samples(x)
        if x.size == 0:
            return x
        first = self._position // self._spacing
        last = (self._position + x.size - 1) // self._spacing + 1
        offset = self._position - first * self._spacing
        extended = np.concatenate([self._past, x])
        y = varying_filter(extended, self._anchors(first, last), self._spacing, offset)
        self._position += x.size
        self._past = extended[extended.size - self._past.size :].copy()
        return y

    def skip(self, n: int) -> int:
        """Fading goes on for n samples of silence, of which the last fill the filter."""
        self._position += n
        joined = np.pad(self._past, (0, min(n, self._past.size)))
        self._past = joined[joined.size - self._past.size :]
        return n


class FlatFading(_VaryingFilter):
    """One fading gain of unit mean power on all frequencies: Rayleigh, or Rician with a line of sight."""

    delay = 0

    def __init__(self, doppler_hz: float, rate: float, k_factor_db: float | None = None, seed: int = 0):
        """`doppler_hz`: maximum Doppler frequency, 0 for a gain that never changes. `rate`: samples per second.

        `k_factor_db`: power of the line of sight over that of the scattered paths (None: no line of sight, Rayleigh).
        The line of sight has 0.7 of the maximum Doppler frequency, as the line-of-sight taps of TR 38.901 clause 7.7.2.
        ValueError for a negative Doppler frequency or one beyond rate / 2.
        """
        rng = generator(seed, "flat fading")
        self.k_factor_db = None if k_factor_db is None else number("k_factor_db", k_factor_db, -100.0, 100.0)
        k = 0.0 if self.k_factor_db is None else 10.0 ** (self.k_factor_db / 10)
        super().__init__(np.full((1, 1), 1 / np.sqrt(1 + k)), doppler_hz, rate, rng)
        self._sight = np.sqrt(k)
        self._sight_phase = rng.uniform(0, 2 * np.pi)
        self._sight_step = 2 * np.pi * _LOS_DOPPLER * self.doppler_hz * self._spacing / self.rate

    def _gains(self, block: int) -> np.ndarray:
        n = np.arange(block * _BLOCK, (block + 1) * _BLOCK)[:, None]
        return super()._gains(block) + self._sight * np.exp(1j * (self._sight_step * n + self._sight_phase))


class TappedDelayLine(_VaryingFilter):
    """Frequency-selective Rayleigh fading: TDL-A or TDL-C of TR 38.901 V17, unit mean power over the band.

    Every path fades independently with the autocorrelation J0(2 pi doppler tau) and is laid on the sample grid by a
    band-limited interpolator, exact to -57 dB up to 0.8 of the Nyquist frequency; `delay` is its delay in samples,
    to be added to the delays of the paths.
    """

    delay = HALF

    def __init__(self, model: str, delay_spread_s: float, doppler_hz: float, rate: float, seed: int = 0):
        """`model`: "TDL-A" or "TDL-C"; `delay_spread_s`: RMS delay spread in seconds, by which the delays are scaled.

        `doppler_hz`, `rate`: as for `FlatFading`. ValueError for an unknown model or a delay of over 4096 samples.
        """
        if str(model).upper() not in TDL_PROFILES:
            raise ValueError(f"model must be one of {', '.join(TDL_PROFILES)}, not {model!r}")
        self.model = str(model).upper()
        delays, powers_db = np.array(TDL_PROFILES[self.model]).T
        powers = 10.0 ** (powers_db / 10)
        self.powers = powers / powers.sum()
        self.delays_s = delays * number("delay_spread_s", delay_spread_s, 0.0)
        samples = self.delays_s * sample_rate(rate)
        if samples.max() > 4096:
            raise ValueError(f"delay_spread_s must keep all delays below 4096 samples, not {delay_spread_s!r}")
        grid = np.arange(int(np.ceil(samples.max())) + 2 * HALF)
        mixture = np.sqrt(self.powers)[:, None] * kernel(grid - HALF - samples[:, None])
        super().__init__(mixture, doppler_hz, rate, generator(seed, "tapped delay line"))
