#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a second process brings to a sweep: the same cells with one and with two, by turns.

Counted are the last three quarters of the results: in the first, processes start and load what they need. CPU time a
cell tells what two processes cost one another in caches and memory; `load` is that of the machine before each run, and
where it is not near zero the speed-up says more about the machine's other work than about the sweep.
"""

import os
import tempfile
from pathlib import Path
from time import perf_counter

from common import ROOT, about, arguments, progress, write
from soundspring.comparison.plan import from_dict
from soundspring.comparison.registry import SCHEMES
from soundspring.comparison.results import Results, read
from soundspring.comparison.sweep import sweep

PLAN = {"name": "scaling", "files": [str(ROOT / "examples/speech.wav")], "seconds": 2.5,
        "terms": {"fixed": {"profile": "reference", "schemes": list(SCHEMES)}},
        "channels": [{"name": "awgn", "snr_db": [-4, 0, 4, 8]}, {"name": "rayleigh", "snr_db": [4, 12]}]}
WORKERS = (1, 2)


def timed(plan, workers: int) -> dict:
    """One sweep from nothing: seconds for the last three quarters of its results, and their CPU seconds."""
    load, times = os.getloadavg()[0], []
    with tempfile.TemporaryDirectory() as folder:
        with Results(Path(folder), plan) as results:
            sweep(results, workers, progress=lambda done, total: times.append(perf_counter()))
        rows = read(folder)[2]
    first = len(rows) // 4  # times[n] is when n results were there
    return {"workers": workers, "load": round(load, 2), "processes": len({r["worker"] for r in rows}),
            "seconds": times[-1] - times[first], "cells": len(rows) - first,
            "cpu_s": sum(r["cpu_s"] for r in rows[first:])}


def best(runs: list[dict], workers: int, key: str) -> float:
    """The least time for a cell among the runs with so many processes."""
    return min(r[key] / r["cells"] for r in runs if r["workers"] == workers)


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=2.5, length=2.5,
                     seeds={"type": int, "default": 6, "help": "of the channels"},
                     repeats={"type": int, "default": 2, "help": "runs with each number of processes"})
    seeds, repeats = (1, 1) if args.quick else (args.seeds, args.repeats)
    plan = from_dict(PLAN | {"seconds": args.seconds, "seeds": list(range(seeds))})
    runs = [timed(plan, workers) for workers in progress(WORKERS * repeats, "sweeps")]
    one, two = (best(runs, n, "seconds") for n in WORKERS)
    figures = {"about": about(args, []), "runs": runs, "speed_up": round(one / two, 3),
               "cpu_ratio": round(best(runs, 2, "cpu_s") / best(runs, 1, "cpu_s"), 3)}
    for r in runs:
        print(f"{r['workers']} processes: {r['cells']} cells in {r['seconds']:.1f} s, {r['cpu_s']:.1f} CPU s, "
              f"load before {r['load']}")
    print(f"speed-up from 1 to 2 processes {figures['speed_up']}; a cell's CPU time with 2 is "
          f"{figures['cpu_ratio']} of that with 1")
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
