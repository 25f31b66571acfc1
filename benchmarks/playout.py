#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hours of playout beside a clock that is 100 ppm off: no click, and the buffer stays as deep as it was.

A sender makes a superframe of a tone every 100 ms of its own clock; each arrives up to 30 ms late. `audio.Follower`
plays it by the clock of a sound card, in pieces of 10 to 20 ms at 16 kHz. Clocks only count, so hours take minutes.
Each sample that is played is held against the two before it, which a tone determines: CLICK is what a tenth of a sample
left out or played twice would give. Ends with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python")]

from soundspring.audio.follower import DEPTH, Follower  # noqa: E402

RATE, PIECE, PPM = 16_000, 1600, (-100.0, 100.0)
OMEGA = 2 * np.pi * 1000 / RATE
JITTER_S = 0.03
REQUESTS = (160, 320)  # samples that the sound card asks for at a time
SETTLED_S = 300.0  # the loop's time constant is 40 s
PART_S = 300.0  # of which the mean level is looked at
CLICK = 0.1 * OMEGA**2
DRIFT_MS = 3.0  # by which the mean level of one part may differ from another's


class Ear:
    """Listens to a tone: the worst step from a sample to what the two before it promise."""

    def __init__(self):
        self._last, self.worst, self.silent = np.zeros(0, np.float32), 0.0, 0

    def hear(self, x: np.ndarray) -> None:
        x = np.concatenate([self._last, x])  # the first piece has nothing before it
        self.worst = max(self.worst, float(np.abs(x[2:] - 2 * np.cos(OMEGA) * x[1:-1] + x[:-2]).max()))
        self.silent += not x.any()
        self._last = x[-2:]


def play(hours: float, ppm: float, seed: int = 0) -> dict:
    """Figures of so many hours of the sound card's clock; the sender's is `ppm` faster."""
    rng, follower, ear = np.random.default_rng(seed), Follower(DEPTH, PIECE), Ear()
    played, sent, due, seen = 0, 0, 0.0, []
    while played < hours * 3600 * RATE:
        while due <= played / RATE:
            follower.push(np.sin(OMEGA * np.arange(sent * PIECE, (sent + 1) * PIECE)).astype(np.float32))
            sent += 1
            due = sent * PIECE / RATE / (1 + 1e-6 * ppm) + rng.uniform(0, JITTER_S)
        sound = follower.pull(int(rng.integers(*REQUESTS, endpoint=True)))
        played += len(sound)
        if played > RATE:  # the fade at the beginning is over
            ear.hear(sound)
        seen.append((played / RATE, follower.level, follower.drift_ppm))
    return figures(np.array(seen), follower, ear) | {"ppm": ppm, "superframes": sent}


def figures(seen: np.ndarray, follower: Follower, ear: Ear) -> dict:
    """What is told of a run. seen: [n, 3], seconds, samples that wait, and the clocks' difference as it is known."""
    at, level, drift = seen[seen[:, 0] >= min(SETTLED_S, seen[-1, 0] / 2)].T
    part, level = at // PART_S, 1000 * level / RATE
    means = [level[part == p].mean() for p in np.unique(part)[:-1]] or [level.mean()]  # the last part is not whole
    counts = follower.counts

    def spread(values) -> dict[str, float]:
        return {"least": round(float(min(values)), 2), "most": round(float(max(values)), 2)}

    return {"hours": round(seen[-1, 0] / 3600, 3), "gaps": counts.gaps, "pauses": counts.pauses, "skips": counts.skips,
            "silent": ear.silent, "worst_step": round(ear.worst, 5), "depth_ms": 1000 * follower.depth / RATE,
            "level_ms": spread(level), "mean_level_ms": spread(means), "drift_ppm": spread(drift)}


def checks(f: dict) -> dict[str, bool]:
    """What must be true of the figures of a run."""
    return {
        "no gap, pause or skip": f["gaps"] == f["pauses"] == f["skips"] == f["silent"] == 0,
        "no click": f["worst_step"] < CLICK,
        "as deep as it was": f["depth_ms"] == 1000 * DEPTH / RATE,
        "no drift": f["mean_level_ms"]["most"] - f["mean_level_ms"]["least"] < DRIFT_MS,
        "the far clock is known": all(abs(x - f["ppm"]) < 40 for x in f["drift_ppm"].values()),
    }


def main(argv: list[str] | None = None) -> dict:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--hours", type=float, default=3.0, help="at each difference (default: %(default)g)")
    ap.add_argument("--quick", action="store_true", help="six minutes each")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = ap.parse_args(argv)
    runs = [play(0.1 if args.quick else args.hours, ppm) for ppm in PPM]
    for run in runs:
        run["checks"] = checks(run)
        sys.stdout.write(f"{run}\n")
    found = {"runs": runs, "click": CLICK, "good": all(all(run["checks"].values()) for run in runs)}
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")
    return found


if __name__ == "__main__":
    sys.exit(0 if main()["good"] else 1)
