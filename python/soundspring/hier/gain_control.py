# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive gain by what is measured: slower than a radio's own control, and not led astray by bursts and pauses."""

TARGET_DB = -26.0  # of full scale, mean of the stream: bursts fill a fifth of the time, their peaks are near -9
NEAR_DB = 4.0  # so far off is good enough; each change costs the burst on which it falls
TOO_STRONG_DB = -14.0
FAINT_DB = -50.0  # noise that is well above the converter's steps; more gain would find nothing
UP_DB, DOWN_DB = 6.0, 12.0  # the most at a time


class GainControl:
    """Decides once a second. With a signal its level is brought near the target; without one the gain rises until noise
    fills a few bits of the converter, and falls where anything comes close to clipping.

    least, most: gain of the radio in dB. gain: to begin with; the middle, if not given.

    Attributes:
        gain: the one to be set, in dB.
    """

    def __init__(self, least: float, most: float, gain: float | None = None):
        if not least <= most:
            raise ValueError(f"least: expected at most {most}, got {least}")
        self.least, self.most = float(least), float(most)
        self.gain = self._within((least + most) / 2 if gain is None else gain)

    def push(self, level_db: float | None, present: bool) -> float:
        """Take the mean level in dB of full scale (None: nothing comes) and whether bursts were received; the gain."""
        if level_db is None:
            return self.gain
        off = TARGET_DB - level_db
        wanted = abs(off) > NEAR_DB if present else not FAINT_DB <= level_db <= TOO_STRONG_DB
        if level_db > TOO_STRONG_DB or wanted:
            self.gain = self._within(self.gain + min(max(off, -DOWN_DB), UP_DB))
        return self.gain

    def _within(self, gain: float) -> float:
        return min(max(float(gain), self.least), self.most)
