# SPDX-License-Identifier: GPL-3.0-or-later
"""The playout buffer: from superframes as they arrive to superframes in order, one at each tick of a clock."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Playout(NamedTuple, Generic[T]):
    """What is due at a tick: its sequence number and the payload, None when it did not arrive in time."""

    sequence: int
    payload: T | None


@dataclass
class PlayoutCounts:
    """What became of the superframes; `late` came after their tick, `jumps` are restarts of the sequence."""

    played: int = 0
    missing: int = 0
    duplicates: int = 0
    late: int = 0
    jumps: int = 0


class PlayoutBuffer(Generic[T]):
    """Orders superframes by their wrapped sequence numbers and releases one a tick.

    The first arrival starts the clock; it is played `depth` ticks later, which is the jitter that the buffer absorbs
    and the delay that it costs. A number is taken as the nearest to the one due next (half the modulus either way). One
    more than `reach` away is a sender that started anew: the buffer jumps to it. After `patience` ticks with nothing
    to play the buffer goes to sleep until the next arrival, so that numbers cannot alias over a long silence.
    """

    def __init__(self, depth: int = 2, modulus: int = 256, reach: int | None = None, patience: int | None = None):
        """`depth` >= 0 ticks; `modulus`: how many sequence numbers there are (256 for 8 bits).

        `reach` (default modulus / 4) and `patience` (default the same) must be below half the modulus, and `depth` must
        not exceed `reach`; ValueError otherwise.
        """
        self.depth, self.modulus = int(depth), int(modulus)
        self.reach = self.modulus // 4 if reach is None else int(reach)
        self.patience = self.modulus // 4 if patience is None else int(patience)
        if self.modulus < 4:
            raise ValueError(f"modulus must be at least 4, not {modulus}")
        for name in ("reach", "patience"):
            if not 1 <= getattr(self, name) < self.modulus // 2:
                raise ValueError(f"{name} must be from 1 to {self.modulus // 2 - 1}, not {getattr(self, name)}")
        if not 0 <= self.depth <= self.reach:
            raise ValueError(f"depth must be from 0 to reach = {self.reach} ticks, not {depth}")
        self.counts = PlayoutCounts()
        self._waiting: dict[int, T] = {}
        self._due: int | None = None  # None while asleep
        self._hold = 0  # ticks until the first superframe is due
        self._idle = 0  # ticks in a row with nothing to play

    def __len__(self) -> int:
        return len(self._waiting)

    def push(self, sequence: int, payload: T) -> bool:
        """Take a superframe; False when it is late or a duplicate and therefore dropped.

        ValueError when `sequence` is outside 0 .. modulus - 1 or `payload` is None, which stands for a missing one.
        """
        if not 0 <= sequence < self.modulus:
            raise ValueError(f"sequence must be from 0 to {self.modulus - 1}, not {sequence}")
        if payload is None:
            raise ValueError("payload must not be None")
        if self._due is None:
            self._start(sequence)
        ahead = self._ahead(sequence)
        if abs(ahead) > self.reach:
            _log.warning("sequence number %d is far from the %d that is due: starting anew there", sequence, self._due)
            self.counts.jumps += 1
            self._start(sequence)
            ahead = 0
        if ahead < 0 and self._hold >= -ahead:
            # Nothing has been played yet and there is time left: this one came after a later one, and goes first.
            self._due, self._hold, ahead = sequence, self._hold + ahead, 0
        if ahead < 0:
            self.counts.late += 1
            return False
        if sequence in self._waiting:
            self.counts.duplicates += 1
            return False
        self._waiting[sequence] = payload
        return True

    def pop(self) -> Playout[T] | None:
        """Tick: return what is due now, or None while asleep or holding back the first superframe."""
        if self._due is None:
            return None
        if self._hold > 0:
            self._hold -= 1
            return None
        sequence, payload = self._due, self._waiting.pop(self._due, None)
        self._due = (sequence + 1) % self.modulus
        if payload is None:
            self.counts.missing += 1
            self._idle = 0 if self._waiting else self._idle + 1
            if self._idle >= self.patience:
                self._due = None
        else:
            self.counts.played += 1
            self._idle = 0
        return Playout(sequence, payload)

    def drain(self) -> list[Playout[T]]:
        """Return all that is left, in order, with the gaps between; for the end of a recording."""
        self._hold = 0
        rest = []
        while self._waiting and (due := self.pop()) is not None:
            rest.append(due)
        return rest

    def _start(self, sequence: int) -> None:
        self._waiting.clear()
        self._due, self._hold, self._idle = sequence, self.depth, 0

    def _ahead(self, sequence: int) -> int:
        """Signed distance from the number due to `sequence`, the nearest way round."""
        half = self.modulus // 2
        assert self._due is not None  # it is not asked while asleep
        return (sequence - self._due + half) % self.modulus - half
