#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The README's headline: quality against SNR for all schemes on equal terms, by benchmarks/plans/headline.yaml.

    benchmarks/headline.py --corpus DIR --image docs/images/headline.png

Sweeps the plan over held-out speech of many voices, goes on where it was stopped, and writes the figure and the page.
"""

from pathlib import Path

from common import ROOT, about, arguments, progress, speech, write
from soundspring.audio.io import write as write_wav
from soundspring.cli.sweep import default_workers
from soundspring.comparison.curves import fall, over_snr, threshold, values, where
from soundspring.comparison.drawing import headline
from soundspring.comparison.page import write_page
from soundspring.comparison.plan import Plan, load_plan
from soundspring.comparison.results import METRICS, Results, read
from soundspring.comparison.sweep import sweep


def with_speech(plan: Plan, args) -> tuple[Plan, list]:
    """The plan over the utterances of the benchmarks, written as WAVs into --out."""
    utterances, folder = speech(args), args.out / "speech"
    folder.mkdir(parents=True, exist_ok=True)
    files = {f"{n:02}-{voice}": folder / f"{n:02}-{voice}.wav" for n, (voice, _) in enumerate(utterances)}
    for path, (_, audio) in zip(files.values(), utterances, strict=True):
        write_wav(path, audio)
    return plan.with_files(files), utterances


def run(plan: Plan, args) -> None:
    """The sweep, with a bar."""
    with Results(args.out, plan) as results, progress(None, "cells") as bar:
        def tell(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        sweep(results, args.workers, args.cluster, tell)


def summary(rows: list[dict]) -> dict:
    """{terms: {channel: {scheme: curve and what it tells}}}."""
    out = {}
    for terms in values(rows, "terms"):
        for channel in values(rows, "channel"):
            for scheme in values(rows, "scheme"):
                own = where(rows, terms=terms, channel=channel, scheme=scheme)
                points = over_snr(own, "pesq_wb")
                if len(points) > 1:
                    f, one_mode = fall(points, "pesq_wb"), len(values(own, "mode")) == 1
                    out.setdefault(terms, {}).setdefault(channel, {})[scheme] = {
                        "curve": [{"snr_db": p.x, "mode": p.mode} | {m: _at(own, p, m) for m in METRICS}
                                  for p in points],
                        "best_pesq_wb": round(f.top, 3), "half_of_it_left_at_db": _round(f.at[0.5]),
                        "width_90_to_10_db": _round(f.width_db),
                        "threshold_db": _round(threshold(own)) if one_mode else None}
    return out


def _at(rows: list[dict], point, metric: str) -> float | None:
    found = [r[metric] for r in where(rows, snr_db=point.x, mode=point.mode, loss="none") if r[metric] is not None]
    return round(sum(found) / len(found), 3) if found else None


def _round(x: float | None) -> float | None:
    return None if x is None else round(x, 2)


def main(argv=None) -> dict:
    args = arguments(
        __doc__, argv, seconds=22.5, length=2.5,
        plan={"type": Path, "default": ROOT / "benchmarks/plans/headline.yaml", "help": "another plan"},
        out={"type": Path, "default": ROOT / "out/headline", "help": "folder of the results (default: %(default)s)"},
        image={"type": Path, "metavar": "PNG", "help": "draw the figure"},
        workers={"type": int, "default": default_workers(), "help": "processes (default: %(default)s)"},
        cluster={"metavar": "ADDRESS", "help": "of a Dask scheduler, instead"},
    )
    plan, utterances = with_speech(load_plan(args.plan), args)
    run(plan, args)
    plan, _, rows = read(args.out)
    figures = {"about": about(args, utterances) | {"plan": plan.source}, "terms": summary(rows)}
    for terms, channels in figures["terms"].items():
        for channel, schemes in channels.items():
            for scheme, f in schemes.items():
                print(f"{terms:9} {channel:16} {scheme:12} best PESQ-WB {f['best_pesq_wb']:.2f}, half left at "
                      f"{f['half_of_it_left_at_db']} dB, from 90 % to 10 % in {f['width_90_to_10_db']} dB")
    print(f"page: {write_page(args.out)}")
    if args.image:
        headline(rows, args.image, plan.captions)
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
