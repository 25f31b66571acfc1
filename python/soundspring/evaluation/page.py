# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML of the report of a link."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from math import ceil

from ..audio.io import wav_bytes
from .figures import constellation, spectrograms
from .html import data, document, image, note, section, show, table
from .report import STATES, LinkReport, LossRow, Picture

# Told apart by lightness as well as by hue, for print and for the colour-blind.
_COLOURS = {"ok": "#9fd3c7", "lost": "#c8324b", "undecodable": "#f2a541", "desync": "#5a2a6b", "concealed": "#3f6fd1"}


def render(report: LinkReport) -> str:
    """Return the whole page."""
    sections = [
        _tiles(report.highlights), _players(report), _loss_map(report.losses, report.duration_s),
        section("Figures", table(report.metrics)) if report.metrics else "",
        _constellation_and_settings(report), _pictures(report.pictures),
        section("How to reproduce", f"<pre>{escape(report.command)}</pre>") if report.command else "",
    ]
    return document(report.title, report.summary, "".join(s for s in sections if s))


def _tiles(highlights: Sequence[tuple[str, object]]) -> str:
    tiles = "".join(f'<div class="tile"><b>{show(v)}</b><span>{escape(k)}</span></div>' for k, v in highlights)
    return f'<section class="tiles">{tiles}</section>\n' if tiles else ""


def _players(report: LinkReport) -> str:
    if not report.tracks:
        return ""
    pictures = spectrograms([(t.samples, t.rate) for t in report.tracks])
    cards = "".join(
        f'<div class="card"><h3>{escape(t.label)}</h3>'
        f'<audio controls preload="metadata" src="{data("audio/wav", wav_bytes(t.samples, t.rate))}"></audio>'
        f"{image(png, 'spectrogram: ' + t.label)}{note(t.caption)}</div>"
        for t, png in zip(report.tracks, pictures, strict=True)
    )
    return section("Listen", f'<div class="grid">{cards}</div>' + note(
        "All spectrograms share one scale: 0 dB is the loudest point of all of them."))


def _loss_map(rows: Sequence[LossRow], duration_s: float) -> str:
    """Strips of a few seconds, one bar a row, so that a single packet stays visible on a narrow screen."""
    rows = [row for row in rows if len(row.states)]
    if not rows:
        return ""
    finest = min(duration_s / len(row.states) for row in rows)
    span = next((s for s in (4.0, 8.0, 12.0, 16.0) if s >= 150 * finest), 20.0)
    span = span if duration_s > span else duration_s
    strips = "".join(_strip(rows, duration_s, k * span, (k + 1) * span) for k in range(ceil(duration_s / span)))
    return section("What was lost", f'<div class="card">{_legend(rows)}{strips}</div>')


def _legend(rows: Iterable[LossRow]) -> str:
    states = {state for row in rows for state in row.states}
    return '<div class="legend">' + "".join(
        f'<span><i style="background:{_COLOURS[s]}"></i>{escape(STATES[s])}</span>' for s in STATES if s in states
    ) + "</div>"


def _strip(rows: Sequence[LossRow], duration_s: float, begin: float, end: float) -> str:
    bars = []
    for row in rows:
        bad = sum(state != "ok" for state in row.states)
        label = escape(f"{row.label}: {bad} of {len(row.states)} not received")
        bars.append(f'<span>{escape(row.label)}</span><svg viewBox="{begin:.6g} 0 {end - begin:.6g} 1" role="img" '
                    f'preserveAspectRatio="none" shape-rendering="crispEdges" aria-label="{label}">'
                    f"{_bars(row, duration_s, begin, end)}</svg>")
    ticks = "".join(f"<span>{begin + (end - begin) * k / 4:.3g}{' s' if k == 4 else ''}</span>" for k in range(5))
    return f'<div class="strip">{"".join(bars)}<span></span><div class="axis">{ticks}</div></div>'


def _bars(row: LossRow, duration_s: float, begin: float, end: float) -> str:
    """Equal neighbours as one rectangle, in seconds; only what touches begin..end."""
    each, at, out = duration_s / len(row.states), 0, []
    for state, run in groupby(row.states):
        length = len(list(run))
        start, stop = at * each, (at + length) * each
        at += length
        if stop > begin and start < end:
            out.append(f'<rect x="{start:.6g}" width="{stop - start:.6g}" height="1" fill="{_COLOURS[state]}">'
                       f"<title>{escape(STATES[state])}, {start:.2f} to {stop:.2f} s</title></rect>")
    return "".join(out)


def _constellation_and_settings(report: LinkReport) -> str:
    cards = []
    if len(report.symbols):
        cards.append(f'<div class="card small"><h3>Received symbols</h3>'
                     f"{image(constellation(report.symbols), 'constellation of the equalised symbols')}</div>")
    if report.settings:
        body = "".join(f"<tr><th>{escape(str(k))}</th><td>{show(v)}</td></tr>" for k, v in report.settings.items())
        cards.append(f'<div class="card"><h3>Settings</h3><table class="settings"><tbody>{body}</tbody></table></div>')
    grid = f'<div class="grid" style="align-items:start">{"".join(cards)}</div>'
    return section("The radio link", grid) if cards else ""


def _pictures(pictures: Sequence[Picture]) -> str:
    cards = "".join(f'<div class="card"><h3>{escape(p.title)}</h3>{image(p.png, p.title)}{note(p.caption)}</div>'
                    for p in pictures)
    return section("Curves", f'<div class="grid">{cards}</div>') if cards else ""
