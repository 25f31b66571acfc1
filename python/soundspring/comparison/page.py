# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a comparison: curves, cliffs and slopes, players side by side, tables, how to reproduce."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from pathlib import Path

import numpy as np

from ..evaluation.figures import spectrograms
from ..evaluation.html import data, document, image, note, section, show, table
from ..evaluation.metrics import confidence95
from .curves import Rows, fall, over_loss, over_snr, threshold, values, where
from .drawing import LABELS, NAMES, by_scheme, picture, title
from .measure import file_name
from .plan import Plan
from .results import METRICS
from .results import read as read_results
from .scheme import LOST, OK, PARTLY

_FATES = {OK: ("#9fd3c7", "received"), PARTLY: ("#f2a541", "fine layers lost"), LOST: ("#c8324b", "lost")}
_STYLE = """
.tabs > input { position: absolute; opacity: 0; }
.tabs > label { display: inline-block; padding: .35rem .8rem; margin: 0 .25rem .5rem 0; border-radius: 999px;
  border: 1px solid var(--line); background: #fff; cursor: pointer; font-size: .93rem; }
.tabs > input:checked + label { background: var(--accent); color: #fff; border-color: var(--accent); }
.tabs > input:focus-visible + label { outline: 2px solid var(--ink); }
.tabs > .panel { display: none; }
.map { display: block; width: 100%; height: 14px; border-radius: 3px; margin-top: .5rem; background: #eef1f4; }
.wide { max-width: 560px; }
.curves .card { max-width: 560px; width: 100%; justify-self: center; }
.nothing { background: #eef1f4; border-radius: 8px; padding: 2.2rem 1rem; text-align: center; color: var(--soft); }
details > summary { cursor: pointer; color: var(--accent); margin: .4rem 0; }
"""


def write_page(folder: str | Path) -> Path:
    """Write `folder`/index.html from the results in it and return its path. Raises ValueError where there are none."""
    folder = Path(folder)
    plan, about, rows = read_results(folder)
    if not rows:
        raise ValueError(f"{folder}/rows.csv has no rows yet; let `soundspring sweep` measure something first")
    path = folder / "index.html"
    path.write_text(render(plan, about, rows, folder / "sound"), encoding="utf-8")
    return path


def render(plan: Plan, about: dict, rows: Rows, sound: Path) -> str:
    """The whole page. sound: the folder of the MP3s that the rows name."""
    contests = [c for c in plan.contests if where(rows, terms=c.name)]
    sections = []
    for number, contest in enumerate(contests):
        own = where(rows, terms=contest.name)
        head = f"{contest.name}: " if len(contests) > 1 else ""
        sections += [
            _curves(own, f"{head}quality against SNR", ["pesq_wb"], opened=True,
                    words=f"{_capital(plan.captions[contest.name])}."),
            _falls(own, f"{head}cliff or slope"),
            _listen(own, f"{head}listen", sound) if any(r["sound"] for r in own) else "",
            _losses(own, f"{head}quality against loss"),
            _curves(own, f"{head}the other measures", ["stoi", "plcmos", "visqol"], opened=number == 0),
            _best_modes(own, f"{head}which setting is best where"),
        ]
    sections += [_rule(contests, rows), _figures(rows), _reproduce(plan, about)]
    return document(plan.name, _summary(rows), "".join(sections), _STYLE)


def _summary(rows: Rows) -> str:
    schemes = [NAMES.get(s, s) for s in values(rows, "scheme")]
    files, seeds = len(values(rows, "file")), len(values(rows, "seed"))
    return (f"{', '.join(schemes)} with the same channel uses, mean power and peak limit, over "
            f"{', '.join(map(title, values(rows, 'channel')))}. Each point is a mean over {files} recording"
            f"{'s' * (files != 1)} and {seeds} channel seed{'s' * (seeds != 1)}; bands are 95 % intervals.")


def _curves(rows: Rows, heading: str, metrics: Sequence[str], opened: bool, words: str = "") -> str:
    """A card for each metric and channel that was measured at several SNRs, and words below."""
    cards = ""
    for metric in metrics:
        for channel in values(rows, "channel"):
            curves = by_scheme(where(rows, channel=channel), metric)
            if any(len(points) > 1 for points in curves.values()):
                text = f"{LABELS[metric]} over {title(channel)}"
                cards += f'<div class="card"><h3>{escape(text)}</h3>{image(picture(curves, metric), text)}</div>'
    if not cards:
        return ""
    grid = f'<div class="grid curves">{cards}</div>' + (note(words) if words else "")
    return section(_capital(heading), grid if opened else f"<details><summary>show</summary>{grid}</details>")


def _losses(rows: Rows, heading: str) -> str:
    cards = ""
    for metric in METRICS[:3]:
        for channel in values([r for r in rows if r["loss"] != "none"], "channel"):
            curves = by_scheme(where(rows, channel=channel), metric, over_loss)
            if any(len(points) > 1 for points in curves.values()):
                png = picture(curves, metric, "bursts of 100 ms lost / %")
                text = f"{LABELS[metric]}, {title(channel)}"
                cards += f'<div class="card"><h3>{escape(text)}</h3>{image(png, text)}</div>'
    words = "Whole bursts dropped at an SNR where nothing else is lost."
    return section(_capital(heading), f'<div class="grid curves">{cards}</div>' + note(words)) if cards else ""


def _falls(rows: Rows, heading: str) -> str:
    """Where each scheme's PESQ goes, in numbers: a table for each channel."""
    out = ""
    for channel in values(rows, "channel"):
        own = where(rows, channel=channel)
        lines = [_fall(where(own, scheme=scheme)) for scheme in values(own, "scheme")
                 if len(over_snr(where(own, scheme=scheme), "pesq_wb")) > 2]
        out += f"<h3>{escape(title(channel))}</h3>{table(lines)}<p></p>" if lines else ""
    words = ("SNRs at which a tenth of the bursts is lost and at which half of the quality is left, and the dB within "
             "which it falls from nine tenths to one; quality counts from what silence scores, 1.04. A digital scheme "
             "falls within a few dB, a cliff; an analog one over many, a slope. \"Wider\": than what was measured.")
    return section(_capital(heading), out + note(words)) if out else ""


def _fall(rows: Rows) -> dict[str, object]:
    """A line of such a table: one scheme over one channel."""
    points = over_snr(rows, "pesq_wb")
    f, one_mode = fall(points, "pesq_wb"), len(values(rows, "mode")) == 1
    return {
        "scheme": NAMES.get(rows[0]["scheme"], rows[0]["scheme"]), "best PESQ-WB": f.top,
        "tenth lost / dB": _db(threshold(rows), "–") if one_mode else None,
        "half left / dB": _db(f.at[0.5], f"below {points[0].x:g}"), "fall / dB": _db(f.width_db, "wider"),
    }


def _db(x: float | None, otherwise: str) -> str:
    return (otherwise if x is None else f"{x:.1f}").replace("-", "−")


def _best_modes(rows: Rows, heading: str) -> str:
    """For schemes with several modes: the one behind each point of the envelope."""
    out = []
    for channel in values(rows, "channel"):
        curves = by_scheme(where(rows, channel=channel), "pesq_wb")
        several = {s: p for s, p in curves.items() if len(values(where(rows, scheme=s), "mode")) > 1}
        for snr in sorted({p.x for points in several.values() for p in points}):
            at = {s: next((p for p in points if p.x == snr), None) for s, points in several.items()}
            out.append({"channel": title(channel), "SNR / dB": snr} | {
                NAMES.get(s, s): None if p is None else f"{p.mode} ({p.mean:.2f})" for s, p in at.items()})
    words = "The mode with the best mean PESQ-WB, which is in brackets."
    return section(_capital(heading), f"<details><summary>show</summary>{table(out)}</details>" + note(words)
                   ) if out else ""


def _listen(rows: Rows, heading: str, sound: Path) -> str:
    """Tabs, one for each channel and SNR, with a player, a spectrogram and a loss map for each scheme."""
    kept = [r for r in rows if r["sound"] and (sound / r["sound"]).is_file()]
    if not kept:
        return ""
    original = (sound / file_name(kept[0]["file"]))
    tracks = [original, *(sound / r["sound"] for r in kept)]
    pngs = dict(zip(tracks, spectrograms([_decoded(t) for t in tracks]), strict=True))
    first = (f'<div class="card wide"><h3>What was said</h3>{_player(original)}'
             f'{image(pngs[original], "spectrogram of the original")}</div>')
    tabs, panels, style, group = "", "", "", f"tab-{kept[0]['terms']}"
    places = sorted({(values(kept, "channel").index(r["channel"]), r["snr_db"]) for r in kept})
    for n, (channel, snr) in enumerate((values(kept, "channel")[c], snr) for c, snr in places):
        own = where(kept, channel=channel, snr_db=snr)
        cards = "".join(_card(r, sound / r["sound"], pngs[sound / r["sound"]]) for r in own)
        name, text = escape(f"{group}-{n}"), f"{title(channel)}, {snr:g} dB".replace("-", "−")
        # All labels come before the panels, so that they form one row; a rule for each tab shows its panel.
        tabs += (f'<input type="radio" name="{escape(group)}" id="{name}"{" checked" * (n == 0)}>'
                 f'<label for="{name}">{escape(text)}</label>')
        style += f"#{name}:checked ~ #{name}-panel {{ display: grid; }}\n"
        panels += f'<div class="panel grid" id="{name}-panel">{cards}</div>'
    legend = '<div class="legend">' + "".join(
        f'<span><i style="background:{c}"></i>{escape(t)}</span>' for c, t in _FATES.values()) + "</div>"
    body = f'{first}<p></p><style>{style}</style><div class="tabs">{tabs}{panels}</div>{legend}'
    return section(_capital(heading), body)


def _card(row: dict, path: Path, png: bytes) -> str:
    name = NAMES.get(row["scheme"], row["scheme"])
    name += "" if row["scheme"] == "jscc" else f" {row['mode']}"
    scores = ", ".join(f"{LABELS[m]} {show(row[m])}" for m in ("pesq_wb", "stoi", "plcmos") if row[m] is not None)
    heard = f"{_player(path)}{image(png, 'spectrogram: ' + name)}"
    if set(row["fates"]) == {LOST}:
        heard = '<div class="nothing">nothing arrived</div>'
    return f'<div class="card"><h3>{escape(name)}</h3>{heard}{_map(row["fates"])}{note(scores)}</div>'


def _player(path: Path) -> str:
    return f'<audio controls preload="metadata" src="{data("audio/mpeg", path.read_bytes())}"></audio>'


def _map(fates: str) -> str:
    """What became of each superframe, as a strip."""
    bars, at = "", 0
    for fate, run in groupby(fates):
        length = len(list(run))
        bars += f'<rect x="{at}" width="{length}" height="1" fill="{_FATES[fate][0]}"></rect>'
        at += length
    bad = len(fates) - fates.count(OK)
    return (f'<svg class="map" viewBox="0 0 {len(fates)} 1" preserveAspectRatio="none" shape-rendering="crispEdges" '
            f'role="img" aria-label="{bad} of {len(fates)} bursts not received whole">{bars}</svg>')


def _rule(contests: Iterable, rows: Rows) -> str:
    """What each scheme was given and what it took."""
    out = []
    for contest in contests:
        limits = {"profile": contest.terms.profile.name}
        out.append({"terms": contest.name, "scheme": "limit"} | limits | {
            "channel uses / s": contest.terms.uses_per_s, "mean power / dB": 0.0, "peak / dB": contest.terms.papr_db,
            "payload / kbit/s": None})
        for scheme in values(where(rows, terms=contest.name), "scheme"):
            own = where(rows, terms=contest.name, scheme=scheme)
            bits = [r["payload_bps"] for r in own if r["payload_bps"] is not None]
            span = " to ".join(f"{b / 1000:.2f}" for b in sorted({min(bits), max(bits)})) if bits else None
            out.append({"terms": contest.name, "scheme": NAMES.get(scheme, scheme)} | limits | {
                "channel uses / s": max(r["uses_per_s"] for r in own),
                "mean power / dB": round(max(r["power_db"] for r in own), 2),
                "peak / dB": max(r["peak_db"] for r in own),
                "payload / kbit/s": span})
    words = ("Preamble, header and pilots are counted. A scheme that takes more than the limit (of mean power 0.1 "
             "dB more) is an error, not a result. Peaks are over the mean power of OFDM symbols.")
    return section("Equal terms", table(out) + note(words))


def _figures(rows: Rows) -> str:
    """Everything, averaged over files and seeds."""
    out = []
    for key in dict.fromkeys((r["terms"], r["scheme"], r["mode"], r["channel"], r["snr_db"], r["loss"]) for r in rows):
        own = where(rows, **dict(zip(("terms", "scheme", "mode", "channel", "snr_db", "loss"), key, strict=True)))
        lost = 100 * sum(r["bursts_lost"] for r in own) / sum(r["bursts"] for r in own)
        out.append({"scheme": f"{NAMES.get(key[1], key[1])} {key[2]}", "terms": key[0], "channel": title(key[3]),
                    "SNR / dB": key[4], "loss": key[5], "bursts lost / %": lost} | {
            LABELS[m]: _interval(r[m] for r in own) for m in METRICS})
    return section("All figures", f"<details><summary>{len(out)} rows</summary>{table(out)}</details>")


def _interval(found: Iterable[float | None]) -> str | None:
    mean, half = confidence95(found)
    return None if np.isnan(mean) else f"{mean:.2f}" + ("" if np.isnan(half) else f" ± {half:.2f}")


def _reproduce(plan: Plan, about: dict) -> str:
    command = "soundspring sweep plan.yaml --out DIR\nsoundspring report DIR"
    facts = {"soundspring": about["soundspring"]} | {
        f"weights of {n}": h[:16] for n, h in about["weights_sha256"].items()} | about["versions"] | about["machine"]
    body = "".join(f"<tr><th>{escape(str(k))}</th><td>{escape(str(v))}</td></tr>" for k, v in facts.items())
    return section("How to reproduce", f"<pre>{command}</pre>" + note(
        "rows.csv beside this page holds every measurement.") +
        f"<details><summary>plan.yaml, with its seeds</summary><pre>{escape(_yaml(plan.source))}</pre></details>"
        f'<details><summary>versions</summary><div class="card"><table class="settings"><tbody>{body}</tbody></table>'
        "</div></details>")


def _yaml(data: dict) -> str:
    import yaml

    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)


def _decoded(path: Path) -> tuple[np.ndarray, int]:
    import soundfile

    return soundfile.read(io.BytesIO(path.read_bytes()))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
