# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML of a report: plain strings, everything from outside escaped, no reference to anything on a network."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from itertools import groupby
from math import ceil
from numbers import Integral, Real

from ..audio.io import wav_bytes
from .figures import constellation, spectrograms
from .report import STATES, LinkReport, LossRow, Picture

# Told apart by lightness as well as by hue, for print and for the colour-blind.
_COLOURS = {"ok": "#9fd3c7", "lost": "#c8324b", "undecodable": "#f2a541", "desync": "#5a2a6b", "concealed": "#3f6fd1"}

_STYLE = """
:root { --ink: #24303c; --soft: #5b6875; --line: #dfe4e9; --paper: #f4f6f8; --accent: #1f6f8b; color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
header { background: #17324a; color: #fff; padding: 2rem max(1rem, calc((100% - 1120px) / 2)); }
header h1 { margin: 0; font-size: clamp(1.4rem, 4vw, 2.1rem); line-height: 1.2; }
header p { margin: .5rem 0 0; color: #c9d8e4; max-width: 60rem; }
main { max-width: 1152px; margin: 0 auto; padding: 1rem; }
section { margin: 1.5rem 0; }
h2 { font-size: 1.15rem; margin: 0 0 .6rem; }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
.card { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: 1rem; min-width: 0; }
.grid { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 330px), 1fr)); }
.tiles { display: grid; gap: .7rem; grid-template-columns: repeat(auto-fit, minmax(132px, 1fr)); }
.tile { background: #fff; border: 1px solid var(--line); border-radius: 10px; padding: .7rem .9rem; }
.tile b { display: block; font-size: 1.45rem; line-height: 1.25; font-variant-numeric: tabular-nums; }
.tile span, .note { color: var(--soft); font-size: .87rem; }
.note { margin: .5rem 0 0; }
audio { width: 100%; display: block; margin: .3rem 0 .6rem; }
img { display: block; width: 100%; height: auto; }
.small img { max-width: 440px; margin: 0 auto; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .7rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; white-space: normal; }
.settings td { white-space: normal; overflow-wrap: anywhere; }
.settings th { font-weight: 400; color: var(--soft); }
.strip { display: grid; grid-template-columns: max-content 1fr; gap: 3px .7rem; align-items: center;
  margin-top: .7rem; }
.strip span { font-size: .82rem; color: var(--soft); }
.strip svg { display: block; width: 100%; height: 20px; border-radius: 3px; background: #eef1f4; }
.axis { display: flex; justify-content: space-between; font-variant-numeric: tabular-nums; }
.legend { display: flex; flex-wrap: wrap; gap: .3rem 1.2rem; font-size: .87rem; }
.legend i { display: inline-block; width: .9em; height: .9em; border-radius: 3px; margin-right: .4em;
  vertical-align: -.1em; }
pre { background: #17324a; color: #e8f0f6; padding: .9rem 1rem; border-radius: 8px; margin: 0; white-space: pre-wrap;
  overflow-wrap: anywhere; font: .9rem/1.5 ui-monospace, monospace; }
@media (max-width: 600px) {
  main { padding: .8rem; } .card { padding: .8rem; }
  th, td { padding: .4rem .3rem; font-size: .87rem; } thead th { white-space: normal; font-size: .8rem; }
}
thead th { font-size: .87rem; color: var(--soft); font-weight: 600; }
tbody tr:last-child > * { border-bottom: 0; }
"""

# Starting one player stops the others, so that they can be compared without hunting for the pause button.
_SCRIPT = """
document.addEventListener("play", event => {
  for (const player of document.querySelectorAll("audio")) if (player !== event.target) player.pause();
}, true);
"""


def render(report: LinkReport) -> str:
    """Return the whole page."""
    sections = [
        _tiles(report.highlights), _players(report), _loss_map(report.losses, report.duration_s),
        _table(report.metrics), _constellation_and_settings(report), _pictures(report.pictures),
        _section("How to reproduce", f"<pre>{escape(report.command)}</pre>") if report.command else "",
    ]
    summary = f"<p>{escape(report.summary)}</p>" if report.summary else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(report.title)}</title>\n<link rel="icon" href="data:,">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<header><h1>{escape(report.title)}</h1>{summary}</header>\n"
        f"<main>\n{''.join(s for s in sections if s)}</main>\n<script>{_SCRIPT}</script>\n</body>\n</html>\n"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>\n"


def _show(value: object) -> str:
    """A value for people: a dash for None and NaN, whole numbers in full, others to two or three digits."""
    if value is None or value != value:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, Real):
        return escape(str(value))
    if not isinstance(value, Integral):
        value = f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}" if abs(value) < 1000 else f"{value:.0f}"
    return str(value).replace("-", "−")


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _image(png: bytes, alternative: str) -> str:
    return f'<img src="{_data("image/png", png)}" alt="{escape(alternative)}">'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>' if text else ""


def _tiles(highlights: Sequence[tuple[str, object]]) -> str:
    tiles = "".join(f'<div class="tile"><b>{_show(v)}</b><span>{escape(k)}</span></div>' for k, v in highlights)
    return f'<section class="tiles">{tiles}</section>\n' if tiles else ""


def _players(report: LinkReport) -> str:
    if not report.tracks:
        return ""
    pictures = spectrograms([(t.samples, t.rate) for t in report.tracks])
    cards = "".join(
        f'<div class="card"><h3>{escape(t.label)}</h3>'
        f'<audio controls preload="metadata" src="{_data("audio/wav", wav_bytes(t.samples, t.rate))}"></audio>'
        f"{_image(png, 'spectrogram: ' + t.label)}{_note(t.caption)}</div>"
        for t, png in zip(report.tracks, pictures, strict=True)
    )
    return _section("Listen", f'<div class="grid">{cards}</div>' + _note(
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
    return _section("What was lost", f'<div class="card">{_legend(rows)}{strips}</div>')


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


def _table(rows: Sequence[Mapping[str, object]]) -> str:
    if not rows:
        return ""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f"<th>{escape(str(c))}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{_show(row.get(c))}</td>" for c in columns) + "</tr>" for row in rows)
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return _section("Figures", f'<div class="card scroll">{table}</div>')


def _constellation_and_settings(report: LinkReport) -> str:
    cards = []
    if len(report.symbols):
        cards.append(f'<div class="card small"><h3>Received symbols</h3>'
                     f"{_image(constellation(report.symbols), 'constellation of the equalised symbols')}</div>")
    if report.settings:
        body = "".join(f"<tr><th>{escape(str(k))}</th><td>{_show(v)}</td></tr>" for k, v in report.settings.items())
        cards.append(f'<div class="card"><h3>Settings</h3><table class="settings"><tbody>{body}</tbody></table></div>')
    grid = f'<div class="grid" style="align-items:start">{"".join(cards)}</div>'
    return _section("The radio link", grid) if cards else ""


def _pictures(pictures: Sequence[Picture]) -> str:
    cards = "".join(f'<div class="card"><h3>{escape(p.title)}</h3>{_image(p.png, p.title)}{_note(p.caption)}</div>'
                    for p in pictures)
    return _section("Curves", f'<div class="grid">{cards}</div>') if cards else ""
