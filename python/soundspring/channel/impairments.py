# SPDX-License-Identifier: GPL-3.0-or-later
"""What the radios themselves do to the samples: carrier offset, clock error, phase noise; and chains of channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .base import SampleChannel, as_samples, generator, number, sample_rate
from .interpolation import HALF, kernel

_PHASES = 512  # rows of the interpolation table; linear interpolation between them errs by less than -100 dB


class Cfo:
    """A carrier frequency offset: sample n is turned by exp(j 2 pi hz n / rate)."""

    delay = 0

    def __init__(self, hz: float, rate: float):
        """`hz` of either sign, `rate` in samples per second; ValueError beyond half the sample rate."""
        self.rate = sample_rate(rate)
        self.hz = number("hz", hz, -self.rate / 2, self.rate / 2)
        self._position = 0

    def process(self, x: np.ndarray) -> np.ndarray:
        """Return the turned samples, complex64 [n]."""
        from ._kernels import rotate

        x = as_samples(x)
        n = np.arange(self._position, self._position + x.size)
        self._position += x.size
        cycles = n * (self.hz / self.rate) % 1.0  # whole turns go before the factor 2 pi can cost digits
        return rotate(x, 2 * np.pi * cycles)

    def skip(self, n: int) -> int:
        """The carrier turns on for n samples."""
        self._position += n
        return n


class ClockError:
    """A sample clock that is off: output sample n is the input at the position (n - delay) (1 + ppm 1e-6).

    Positive `ppm`: the receiver samples too slowly (or the sender too fast), so fewer samples come out than go in; the
    length of the output of one call is therefore only about that of its input. Interpolated as in
    `TappedDelayLine`: exact to -57 dB up to 0.8 of the Nyquist frequency.
    """

    delay = HALF

    def __init__(self, ppm: float):
        """`ppm` within +-10000 parts per million; ValueError otherwise."""
        self.ppm = number("ppm", ppm, -1e4, 1e4)
        self._step = 1.0 + self.ppm * 1e-6
        fractions = np.arange(_PHASES + 1)[:, None] / _PHASES
        self._table = kernel(np.arange(1 - HALF, HALF + 1) - fractions).astype(np.float32)
        # Preceded by silence: output 0 is the input at -HALF, so that a call can return as much as it was given.
        self._buffer: np.ndarray = np.zeros(2 * HALF, np.complex64)
        self._origin = -2 * HALF
        self._next = -HALF  # number of the next output sample

    def process(self, x: np.ndarray) -> np.ndarray:
        """Return all output samples that the input so far determines, complex64 [about n]."""
        from ._kernels import resample

        self._buffer = np.concatenate([self._buffer, as_samples(x)])
        # A sample at position p needs the input up to floor(p) + HALF.
        end = self._origin + self._buffer.size - HALF
        count = max(int(np.ceil(end / self._step)) - self._next, 0)
        while count and (self._next + count - 1) * self._step >= end:
            count -= 1
        y = resample(self._buffer, self._table, self._next, self._step, self._origin, count)
        self._next += count
        keep = int(np.floor(self._next * self._step)) - HALF + 1 - self._origin
        if keep > 0:
            self._buffer, self._origin = self._buffer[keep:].copy(), self._origin + keep
        return y

    def skip(self, n: int) -> int:
        """How many samples n of silence are to this clock is found by making them."""
        return self.process(np.zeros(n, np.complex64)).size


class PhaseNoise:
    """Oscillator phase noise: the phase is a Wiener process, the spectral line a Lorentzian `linewidth_hz` wide.

    E[exp(j (phase(t + tau) - phase(t)))] = exp(-pi linewidth |tau|); far from the carrier the single-sideband level at
    the offset f is linewidth / (2 pi f^2), see `from_level`.
    """

    delay = 0

    def __init__(self, linewidth_hz: float, rate: float, seed: int = 0):
        """`linewidth_hz` >= 0: full width at half maximum; `rate`: samples per second."""
        self.linewidth_hz = number("linewidth_hz", linewidth_hz, 0.0)
        self.rate = sample_rate(rate)
        self._rng = generator(seed, "phase noise")
        self._phase = 0.0

    @classmethod
    def from_level(cls, dbc_hz: float, offset_hz: float, rate: float, seed: int = 0) -> PhaseNoise:
        """Build from a data-sheet figure: `dbc_hz` (such as -90) at `offset_hz` (such as 10e3) from the carrier."""
        level = 10.0 ** (number("dbc_hz", dbc_hz, -300.0, 0.0) / 10)
        return cls(2 * np.pi * level * number("offset_hz", offset_hz, 0.0) ** 2, rate, seed)

    def process(self, x: np.ndarray) -> np.ndarray:
        """Return the samples turned by the wandering phase, complex64 [n]."""
        from ._kernels import rotate

        x = as_samples(x)
        steps = self._rng.standard_normal(x.size) * np.sqrt(2 * np.pi * self.linewidth_hz / self.rate)
        phase = np.cumsum(np.concatenate([[self._phase], steps]))
        self._phase = phase[-1]
        return rotate(x, phase[1:])

    def skip(self, n: int) -> int:
        """The phase wanders on for n samples, in one step."""
        self._phase += self._rng.standard_normal() * np.sqrt(2 * np.pi * self.linewidth_hz / self.rate * n)
        return n


class Chain:
    """Channels one behind the other; an empty chain passes the samples through."""

    def __init__(self, channels: Sequence[SampleChannel] = ()):
        """`channels` in the order in which the signal meets them; ValueError for something that is no channel."""
        self.channels = list(channels)
        for c in self.channels:
            if not isinstance(c, SampleChannel):
                raise ValueError(f"channels must hold objects with process() and delay, not {type(c).__name__}")
        self.delay = sum(c.delay for c in self.channels)

    def process(self, x: np.ndarray) -> np.ndarray:
        """Return the samples after the last channel, complex64."""
        x = as_samples(x)
        for c in self.channels:
            x = c.process(x)
        return x

    def skip(self, n: int) -> int:
        """n samples of silence pass all channels; returns how many come out of the last."""
        for c in self.channels:
            n = c.skip(n)
        return n
