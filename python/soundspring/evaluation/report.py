# SPDX-License-Identifier: GPL-3.0-or-later
"""The report of a link: one HTML page that carries its sound and pictures inside and needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

STATES = {
    "ok": "received",
    "lost": "lost",
    "undecodable": "undecodable: what it depends on was lost",
    "desync": "damaged: its check failed",
    "concealed": "concealed by the model",
}
"""What can become of a packet or frame, and the words for it in the page."""


@dataclass(frozen=True)
class Track:
    """Sound to listen to, float [n] mono within +-1, under a `label` such as "received"; `caption` explains it."""

    label: str
    samples: np.ndarray
    caption: str = ""
    rate: int = 16_000


@dataclass(frozen=True)
class LossRow:
    """One line of the loss map: the `STATES` of consecutive packets (or frames) that fill the recording evenly."""

    label: str
    states: Sequence[str]


@dataclass(frozen=True)
class Picture:
    """Any further figure, such as a curve: `png` holds the file."""

    title: str
    png: bytes
    caption: str = ""


@dataclass
class LinkReport:
    """All that the page shows; whatever is left empty leaves its section out."""

    title: str
    command: str
    """The command that reproduces the run."""
    summary: str = ""
    """A sentence or two under the title."""
    highlights: Sequence[tuple[str, object]] = ()
    """The few figures to see first, as (name, value)."""
    tracks: Sequence[Track] = ()
    losses: Sequence[LossRow] = ()
    duration_s: float = 0.0
    """Time that the loss map spans, in seconds."""
    metrics: Sequence[Mapping[str, object]] = ()
    """Rows of the table: column name to value; None prints as a dash."""
    symbols: np.ndarray = field(default_factory=lambda: np.zeros(0, np.complex64))
    """Equalised symbols complex [n] for the constellation, on the scale of unit mean power."""
    settings: Mapping[str, object] = field(default_factory=dict)
    """Parameters of the run and versions of what it ran on."""
    pictures: Sequence[Picture] = ()


def write_report(folder: str | Path, report: LinkReport) -> Path:
    """Write `folder`/index.html, making the folder where needed, and return its path.

    ValueError for a state that is not in `STATES` or a loss map without a duration.
    """
    from .page import render

    for row in report.losses:
        unknown = set(row.states) - set(STATES)
        if unknown:
            raise ValueError(f"states of the loss row {row.label!r} must be among {', '.join(STATES)}, "
                             f"not {', '.join(sorted(map(str, unknown)))}")
    if report.losses and not report.duration_s > 0:
        raise ValueError(f"duration_s must be the length of the loss map in seconds, not {report.duration_s!r}")
    path = Path(folder) / "index.html"
    html = render(report)  # before the folder is made: a failure leaves nothing behind
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(html, encoding="utf-8")
    return path
