# SPDX-License-Identifier: GPL-3.0-or-later
"""Rows of results -> curves: means over files and seeds with intervals, envelopes over modes, cliffs and slopes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..evaluation.metrics import confidence95
from .measure import NOTHING

Rows = Sequence[dict]


@dataclass(frozen=True)
class Point:
    """A mean over files and seeds. x: SNR in dB, or percent of bursts lost; half: of the 95 % interval; mode: whose."""

    x: float
    mean: float
    half: float
    mode: str


@dataclass(frozen=True)
class Fall:
    """How a curve falls with SNR. top: its best mean. at: {share of the way from nothing to the top: SNR in dB}.

    An SNR is None where the curve stays above that share down to the lowest SNR measured.
    """

    top: float
    at: dict[float, float | None]

    @property
    def width_db(self) -> float | None:
        """From nine tenths of the quality to one: a cliff is narrow, a slope is wide. None: wider than measured."""
        high, low = self.at[0.9], self.at[0.1]
        return None if high is None or low is None else high - low


def values(rows: Rows, name: str) -> list:
    """The different values of a column, in order of appearance."""
    return list(dict.fromkeys(row[name] for row in rows))


def where(rows: Rows, **wanted) -> list[dict]:
    """The rows whose columns have these values."""
    return [row for row in rows if all(row[k] == v for k, v in wanted.items())]


def over_snr(rows: Rows, metric: str) -> list[Point]:
    """Of one scheme and channel: at each SNR, rising, the mode that is best there. Cells with losses are left out."""
    clean = where(rows, loss="none")
    return [_best(where(clean, snr_db=snr), snr, metric) for snr in sorted(values(clean, "snr_db"))
            if any(r[metric] is not None for r in where(clean, snr_db=snr))]


def over_loss(rows: Rows, metric: str) -> list[Point]:
    """Of one scheme: against the percentage of bursts that were dropped, at the highest SNR that has such losses."""
    snrs = [r["snr_db"] for r in rows if r["loss"] != "none"]
    rows = where(rows, snr_db=max(snrs)) if snrs else []
    points = []
    for loss in values(rows, "loss"):
        own = where(rows, loss=loss)
        share = 100 * sum(r["bursts_lost"] for r in own) / sum(r["bursts"] for r in own)
        if any(r[metric] is not None for r in own):
            points.append(_best(own, share, metric))
    return sorted(points, key=lambda p: p.x)


def _best(rows: Rows, x: float, metric: str) -> Point:
    found = []
    for mode in values(rows, "mode"):
        mean, half = confidence95(r[metric] for r in where(rows, mode=mode))
        found.append(Point(x, mean, half, mode))
    return max(found, key=lambda p: -np.inf if np.isnan(p.mean) else p.mean)


def fall(points: Sequence[Point], metric: str, shares: Iterable[float] = (0.9, 0.5, 0.1)) -> Fall:
    """Of a curve over SNR, between its points by straight lines. ValueError for no points."""
    if not points:
        raise ValueError("points: expected at least one")
    bottom, top = NOTHING[metric] or 0.0, max(p.mean for p in points)
    return Fall(top, {share: _crossing(points, bottom + share * (top - bottom)) for share in shares})


def _crossing(points: Sequence[Point], level: float) -> float | None:
    """The lowest x from which on the curve stays at `level` or above; None where it is never below."""
    for a, b in reversed(list(zip(points, points[1:], strict=False))):
        if a.mean < level <= b.mean:
            return a.x + (b.x - a.x) * (level - a.mean) / (b.mean - a.mean)
    return None


def threshold(rows: Rows) -> float | None:
    """Of one scheme, mode and channel: the SNR at which a tenth of the bursts is lost; None where that was not met."""
    clean, points = where(rows, loss="none"), []
    for snr in sorted(values(clean, "snr_db")):
        own = where(clean, snr_db=snr)
        points.append((snr, sum(r["bursts_lost"] for r in own) / sum(r["bursts"] for r in own)))
    for (x, lost), (y, fewer) in reversed(list(zip(points, points[1:], strict=False))):
        if lost > 0.1 >= fewer:
            return x + (y - x) * (lost - 0.1) / (lost - fewer)
    return None
