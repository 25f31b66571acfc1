# SPDX-License-Identifier: GPL-3.0-or-later
"""Which rung of a ladder to send on, by what the receiver measured."""

import math
from collections import deque

from .profile import Ladder


def pick(ladder: Ladder, snr_db: float, margin_db: float = 0.0) -> int:
    """The highest rung whose threshold (a tenth of its packets lost in white noise) lies `margin_db` below `snr_db`.

    Args:
        snr_db: mean Es/N0 per active carrier, as the burst receiver reports it.

    Returns:
        the rung's place, 0 (the most robust) where none has the margin

    Raises:
        ValueError: the ladder does not say its thresholds.
    """
    thresholds = [db for p in ladder.rungs if p.phy is not None and (db := p.phy.threshold_db) is not None]
    if len(thresholds) < len(ladder.rungs):
        raise ValueError(f"ladder {ladder.name}: rate control needs threshold_db of every packet")
    return max([0, *(place for place, db in enumerate(thresholds) if db + margin_db <= snr_db)])


class RateControl:
    """Falls at once, climbs with patience: one burst that was too weak costs a packet, one rung too low only a layer.

    A burst below the threshold and margin of its rung sends it down to the rung that has them. It climbs to the highest
    rung that each of the last `patience` bursts would have carried with the hysteresis on top. A burst that did not
    come, which the receiver notices by the time, costs a rung.

    Args:
        ladder: profiles with thresholds.
        margin_db: kept above a rung's threshold, for what SNR in white noise does not tell: fading, a moving channel.
        hysteresis_db: more than that before it climbs, so that measured SNRs that scatter do not make it rock.
        patience: bursts, at least 1.
        rung: to begin with.

    Attributes:
        rung: place of the one to send on.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(
        self, ladder: Ladder, margin_db: float = 2.0, hysteresis_db: float = 1.0, patience: int = 5, rung: int = 0
    ):
        for name, value, low in (("margin_db", margin_db, -10), ("hysteresis_db", hysteresis_db, 0)):
            if not low <= value <= 40:
                raise ValueError(f"{name}: expected a number from {low} to 40, got {value}")
        if not 1 <= patience <= 1000:
            raise ValueError(f"patience: expected 1 to 1000 bursts, got {patience}")
        ladder.rung(rung)
        pick(ladder, 0.0)  # the thresholds are there
        self.ladder, self.rung = ladder, rung
        self._margin, self._hysteresis = margin_db, hysteresis_db
        self._recent: deque[float] = deque(maxlen=patience)

    def push(self, snr_db: float | None) -> int:
        """The SNR of one more burst, None for one that did not come -> the rung to send on from now on."""
        if snr_db is None or math.isnan(snr_db):
            self._recent.clear()
            self.rung = max(self.rung - 1, 0)
            return self.rung
        self._recent.append(snr_db)
        self.rung = min(self.rung, pick(self.ladder, snr_db, self._margin))
        if len(self._recent) == self._recent.maxlen:
            self.rung = max(self.rung, pick(self.ladder, min(self._recent), self._margin + self._hysteresis))
        return self.rung
