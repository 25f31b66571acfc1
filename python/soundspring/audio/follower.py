# SPDX-License-Identifier: GPL-3.0-or-later
"""Playout that follows the far clock: sound comes by the sender's clock, is played by the sound card's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .framing import SAMPLE_RATE, SUPERFRAME
from .interpolate import BEFORE, BEHIND, interpolate

DEPTH = 960
"""Samples that still wait when the next piece comes: 60 ms, the jitter that is absorbed."""
LEAST_STEP, STEP, DEEPEST = 80, 320, 4800
"""Samples by which each gap deepens the buffer: as many as were missing, within these; and the most."""
CALM_S = 60.0  # without a gap: the buffer becomes a step shallower
SOON_S = 0.5  # sound that comes back within this was late: a gap; later: the sender paused
FADE = 80  # samples, 5 ms: where sound begins, ends or is cut, so that it does not click
FASTEST = 1e-3  # of the speed: 1.7 cents, nobody hears it
SMOOTH_S = 4.0  # the level is a saw tooth; its mean counts
LOOP_S = 40.0  # time constant of the critically damped loop
_KP, _KI = 2 / LOOP_S, 1 / LOOP_S**2


@dataclass
class FollowerCounts:
    """`gaps`: sound came too late, silence was played; `pauses`: the sender was silent for longer; `skips`: there was
    too much, and `skipped` samples were left out."""

    gaps: int = 0
    pauses: int = 0
    skips: int = 0
    skipped: int = 0


class Follower:
    """A playout buffer whose speed follows the difference of two clocks, up to 1000 ppm.

    `push` takes what arrives, `pull` gives what the sound card wants, silence where nothing is left. The speed is
    the answer of a proportional-integral loop to the smoothed level of the buffer; nothing is dropped or repeated while
    the level stays within its limits. Sound that begins, after a start or a pause, waits until `depth` samples will be
    left when the next piece comes. Each gap deepens the buffer by what was missing, 5 to 20 ms, up to 300 ms in all;
    each quiet minute takes 20 ms back. More than `depth` and two pieces of sound, after a stall for instance, is cut
    back, with a crossfade.

    depth: samples. piece: samples that come at a time. rate: of both clocks, nominally, in samples per second.

    Attributes:
        counts: see `FollowerCounts`. depth: as it is now, in samples.
    """

    def __init__(self, depth: int = DEPTH, piece: int = SUPERFRAME, rate: float = SAMPLE_RATE):
        if depth < 0:
            raise ValueError(f"depth must be 0 samples or more, not {depth}")
        if piece < 2 * FADE:
            raise ValueError(f"piece must be {2 * FADE} samples or more, not {piece}")
        if not rate > 0:
            raise ValueError(f"rate must be above 0, not {rate}")
        self.least, self.depth, self.piece, self.rate = int(depth), int(depth), int(piece), float(rate)
        self.counts = FollowerCounts()
        self._integral = 0.0  # what is known of the difference of the clocks
        self._silent: float | None = None  # samples until sound begins; None: nothing is there
        self._since = np.inf  # samples since the sound ended
        self._calm = 0
        self._rest()

    def _rest(self) -> None:
        self._x: np.ndarray = np.zeros(BEFORE, np.float32)
        self._at = float(BEFORE)
        self._mean, self._fading = 0.0, FADE

    @property
    def level(self) -> int:
        """Samples that wait."""
        return max(int(len(self._x) - self._at), 0)

    @property
    def drift_ppm(self) -> float:
        """How much faster the sender's clock is than the sound card's, as far as it is known."""
        return 1e6 * self._integral

    @property
    def _target(self) -> float:
        """The mean level, whose lowest is the depth."""
        return self.depth + self.piece / 2

    def _speed(self) -> float:
        return 1.0 + float(np.clip(_KP * self._error + self._integral, -FASTEST, FASTEST))

    @property
    def _error(self) -> float:
        """Seconds by which the smoothed level is too high; 0 while nothing is played."""
        return (self._mean - self._target) / self.rate if self._silent == 0 else 0.0

    def push(self, x: np.ndarray) -> None:
        """Take float32 [n]; ValueError for what is no row of samples."""
        x = np.asarray(x, np.float32)
        if x.ndim != 1:
            raise ValueError(f"x must be a one-dimensional array of samples, not of shape {x.shape}")
        self._x = np.concatenate([self._x, x])
        if self._silent is None:
            self._begin(len(x))
        self._limit()

    def _begin(self, count: int) -> None:
        """Sound is there again: how long to wait with it."""
        if self._since < SOON_S * self.rate:
            self.counts.gaps += 1
            step = min(max(int(self._since), LEAST_STEP), STEP)
            self.depth, self._calm = min(self.depth + step, max(DEEPEST, self.least)), 0
        elif np.isfinite(self._since):
            self.counts.pauses += 1
        self._silent = max(self.depth + self.piece - count, 0)
        self._mean = self._target

    def _limit(self) -> None:
        """Cut out of the middle what is too much."""
        excess = self.level - self.depth - 2 * self.piece
        if excess <= 0:
            return
        out = self.level - self.depth - self.piece
        first = int(self._at) + BEHIND
        ramp = np.linspace(0, 1, FADE, dtype=np.float32)
        old, new = self._x[first : first + FADE], self._x[first + out : first + out + FADE]
        self._x = np.concatenate([self._x[:first], old * (1 - ramp) + new * ramp, self._x[first + out + FADE :]])
        self._mean = self._target
        self.counts.skips, self.counts.skipped = self.counts.skips + 1, self.counts.skipped + out

    def pull(self, n: int) -> np.ndarray:
        """Give float32 [n]: sound where there is some, else silence."""
        out, quiet = np.zeros(n, np.float32), n
        if self._silent is not None:
            quiet = int(min(n, self._silent))
            self._silent -= quiet
        if quiet < n:
            self._play(out[quiet:])
        if self._silent is None:
            self._since += n
        return out

    def _play(self, out: np.ndarray) -> None:
        self._control(len(out))
        speed = self._speed()
        room = len(self._x) - BEHIND - self._at
        can = int(room / speed)
        last = can < len(out) + FADE  # nothing would be left to fade out
        count = max(min(can, len(out)), 0)
        out[:count] = interpolate(self._x, self._at + speed * np.arange(count))
        self._fade(out[:count], last)
        self._at += speed * count
        used = int(self._at) - BEFORE
        self._x, self._at = self._x[used:], self._at - used
        if last:
            self._silent, self._since = None, -float(count)
            self._rest()

    def _fade(self, out: np.ndarray, last: bool) -> None:
        if self._fading:
            count = min(self._fading, len(out))
            begin = 1 - self._fading / FADE
            out[:count] *= begin + np.arange(count, dtype=np.float32) / FADE
            self._fading -= count
        if last:
            count = min(FADE, len(out))
            out[len(out) - count :] *= np.linspace(1, 0, count, dtype=np.float32)

    def _control(self, n: int) -> None:
        """One step of the loop, over n samples."""
        seconds = n / self.rate
        middle = self.level - n / 2  # half of what is wanted is gone by then
        self._mean += (middle - self._mean) * -np.expm1(-seconds / SMOOTH_S)
        if abs(_KP * self._error + self._integral) < FASTEST:  # else it would wind up
            self._integral += _KI * self._error * seconds
        self._calm += n
        if self._calm > CALM_S * self.rate:
            self.depth, self._calm = max(self.depth - STEP, self.least), 0
