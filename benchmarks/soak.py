#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""A long talk over the live link with lost packets: memory flat, nothing drifts, both ends count the same.

Both ends run as in `latency.py`, for an hour if nothing else is said; the receiver drops 10 % of the packets, and its
sound card runs 50 ppm fast. `--slow 0.3` compresses time where the machine can, `--slow 5` stretches it. `--unpaced`
goes from file to file as fast as both ends can, by the same blocks but without clocks, sound card and playout: no
machine is too slow for that. Every second (of the clock on the wall) both ends say their memory and their counts. Ends
with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
from ends import ROOT, Ends

LOSS, PPM = 0.1, 50.0
WARM = 0.2  # of the run: buffers fill, caches grow
FLAT_MB = 8.0  # in an hour, beyond that part
REST_S, LOST_S = 5.0, 30.0  # without news: of what was received, of what was sent
LAST = 4  # packets whose superframe may still be open when the sender stops
JOIN = 10  # bursts, one second, that a listener may miss before it is connected
MOST_MS = 500  # of sound that waits: the deepest buffer and two superframes
SUPERFRAME, OVERLAP = 1600, 320  # samples of speech; of the overlap before the first, which is not played
EACH_S = 60.0  # of speech, from one point of the memory's curve to the next


def growth(lines: list[dict]) -> float:
    """Megabytes of memory gained in an hour of speech, by a line through what was said behind the warm part."""
    steady = lines[int(WARM * len(lines)) :]
    hours = np.array([line["bursts"] for line in steady]) / 36_000
    memory = np.array([line["rss_mb"] for line in steady])
    if len(steady) < 3 or np.ptp(hours) == 0:
        return 0.0
    return float(np.polyfit(hours, memory, 1)[0])


def curve(lines: list[dict]) -> list[list[float]]:
    """Minutes of speech and megabytes of memory, about once a minute."""
    points, due = [], 0.0
    for line in lines:
        if line["bursts"] / 10 >= due:
            points.append([round(line["bursts"] / 600, 1), line["rss_mb"]])
            due += EACH_S
    return points


def checks(tx: list[dict], rx: list[dict], loss: float, short: bool, paced: bool = True) -> dict[str, bool]:
    """What must be true of the lines that both ends said; `short`: too short for a slope of memory or clocks."""
    sent, got = tx[-1], rx[-1]
    missed = sent["bursts"] - got["bursts"]
    lost, packets = got["packets_lost"], max(got["packets"], 1)
    sigma = np.sqrt(loss * (1 - loss) / packets)
    steady = [line["buffer_ms"] for line in rx[int(WARM * len(rx)) :]]
    found = {
        "one transmission": got["transmissions"] == 1,
        "bursts: sent are received": 0 <= missed <= JOIN,
        "packets: two for each burst": 0 <= 2 * got["bursts"] - packets <= LAST,
        "packets: lost as drawn": bool(abs(lost / packets - loss) <= 4 * sigma + 1 / packets),
        "packets: none out of step": got["packets_desync"] == 0,
        "nothing dropped by a block": sent["dropped"] == got["dropped"] == 0,
        "both end cleanly": bool(sent["clean"] and got["clean"]),
    }
    if not short:
        found["memory flat"] = max(growth(tx), growth(rx)) < FLAT_MB
    if not paced:
        missing = SUPERFRAME * packets // 2 - OVERLAP - got["sound"]
        found["sound: as long as what was received"] = abs(missing) <= SUPERFRAME * LAST // 2
    if paced:
        found["delay bounded"] = max(steady) <= MOST_MS
    if paced and not short:
        found["clock followed"] = abs(got["drift_ppm"] + PPM) < 40 and got["skips"] == 0
    return found


def settle(lines: list[dict], bursts: int) -> None:
    """Wait until a receiver has all that was sent, or nothing comes any more, and has made of it what it can."""
    seen, since = None, time.monotonic()
    while True:
        time.sleep(0.5)
        now = tuple(lines[-1][name] for name in ("bursts", "packets", "frames_concealed"))
        if now != seen:
            seen, since = now, time.monotonic()
        if time.monotonic() - since > (REST_S if now[0] >= bursts else LOST_S):
            return


def talk(args: argparse.Namespace) -> tuple[list[dict], list[dict]]:
    """Run both ends; what they said of themselves."""
    unpaced = args.seconds if args.unpaced else 0.0
    with Ends(args.speech, args.profile, args.slow, f"bernoulli:{LOSS}", PPM, unpaced_s=unpaced) as ends:
        told = time.monotonic()
        ends.tx.wait_for(lambda line: line["bursts"] > 0)
        while ends.tx.lines[-1]["bursts"] < 10 * args.seconds:
            time.sleep(0.5)
            if ends.tx.process.poll() is not None or ends.rx.process.poll() is not None:
                raise RuntimeError("an end has ended")
            if time.monotonic() - told > 60:
                told = time.monotonic()
                sys.stderr.write(f"{ends.tx.lines[-1]['bursts'] / 10:.0f} s of speech, {ends.rx.lines[-1]}\n")
        if args.unpaced:
            settle(ends.rx.lines, ends.tx.lines[-1]["bursts"])  # a sender that ends takes what it has not sent with it
        settle(ends.rx.lines, ends.tx.stop()["bursts"])
        ends.rx.stop()
        return ends.tx.lines, ends.rx.lines


def main(argv: list[str] | None = None) -> dict:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seconds", type=float, default=3600.0, help="of speech (default: %(default)g)")
    ap.add_argument("--slow", type=float, default=1.0, help="divides all clocks (default: %(default)g)")
    ap.add_argument("--unpaced", action="store_true", help="as fast as it goes, without clocks")
    ap.add_argument("--profile", default="reference")
    ap.add_argument("--speech", default=str(ROOT / "examples" / "speech.wav"), help="WAV to say")
    ap.add_argument("--quick", action="store_true", help="20 seconds: counts only")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = ap.parse_args(argv)
    args.seconds = min(args.seconds, 20.0) if args.quick else args.seconds
    tx, rx = talk(args)
    found = checks(tx, rx, LOSS, args.seconds < 600, not args.unpaced)
    memory = {name: curve(lines) for name, lines in (("tx", tx), ("rx", rx))}
    figures = {"checks": found, "good": all(found.values()), "seconds": tx[-1]["bursts"] / 10, "slow": args.slow,
               "growth_mb_per_hour": {"tx": round(growth(tx), 2), "rx": round(growth(rx), 2)},
               "memory_mb": memory, "tx": tx[-1], "rx": rx[-1]}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.stdout.writelines(f"{'ok  ' if good else 'FAIL'}  {name}\n" for name, good in found.items())
    sys.stdout.write(f"{figures['seconds']:.0f} s of speech; memory grows by {figures['growth_mb_per_hour']} MB an "
                     f"hour\n{rx[-1]}\n")
    return figures


if __name__ == "__main__":
    sys.exit(0 if main()["good"] else 1)
