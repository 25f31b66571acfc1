# SPDX-License-Identifier: GPL-3.0-or-later
"""Pieces of the HTML pages: plain strings, everything from outside escaped, no reference to anything on a network."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from html import escape
from numbers import Integral, Real

STYLE = """
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
SCRIPT = """
document.addEventListener("play", event => {
  for (const player of document.querySelectorAll("audio")) if (player !== event.target) player.pause();
}, true);
"""


def document(title: str, summary: str, sections: str, style: str = "") -> str:
    """A whole page; `sections` is HTML, `style` more of the style sheet, `summary` a sentence under the title."""
    summary = f"<p>{escape(summary)}</p>" if summary else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}{style}</style>\n</head>\n'
        f"<body>\n<header><h1>{escape(title)}</h1>{summary}</header>\n"
        f"<main>\n{sections}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n"
    )


def section(title: str, body: str) -> str:
    """A part of the page; `body` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>\n"


def show(value: object) -> str:
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


def data(kind: str, content: bytes) -> str:
    """A file of media type `kind` as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def image(png: bytes, alternative: str) -> str:
    """A picture, and the words for those who do not see it."""
    return f'<img src="{data("image/png", png)}" alt="{escape(alternative)}">'


def note(text: str) -> str:
    """A small paragraph; nothing for no text."""
    return f'<p class="note">{escape(text)}</p>' if text else ""


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """Columns by the keys of all rows, in order of appearance."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    head = "".join(f"<th>{escape(str(c))}</th>" for c in columns)
    body = "".join("<tr>" + "".join(f"<td>{show(row.get(c))}</td>" for c in columns) + "</tr>" for row in rows)
    return f'<div class="card scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
