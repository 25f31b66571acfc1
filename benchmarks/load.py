#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""CPU load of the live link, each end by itself: what its process takes of one core, GNU Radio and PHY included.

Both ends run as in `latency.py`; the CPU time of each of their threads comes from /proc. A flowgraph has a thread for
each block, named after it, and `python` is what imports, status lines and clean-up take. CPU time is divided by the
seconds of speech that passed, so that a busy machine hardly changes the figure; `--slow` as there.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from ends import ROOT, Ends

BAR = 0.8  # of a core, transmit and receive together
SHOWN = 0.002  # threads that take less are summed up


def share(threads: dict[str, float], seconds: float) -> dict[str, float]:
    """Cores of each thread, the largest first, small ones as "others"."""
    cores = {name: cpu / seconds for name, cpu in threads.items()}
    large = {name: x for name, x in sorted(cores.items(), key=lambda item: -item[1]) if x >= SHOWN}
    return {name: round(x, 4) for name, x in (large | {"others": sum(cores.values()) - sum(large.values())}).items()}


def main(argv: list[str] | None = None) -> dict:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seconds", type=float, default=60.0, help="of speech (default: %(default)g)")
    ap.add_argument("--slow", type=float, default=1.0, help="divides all clocks (default: %(default)g)")
    ap.add_argument("--profile", default="reference")
    ap.add_argument("--loss", default="none", help="packets that the receiver drops, such as bernoulli:0.1")
    ap.add_argument("--speech", default=str(ROOT / "examples" / "speech.wav"), help="WAV to say")
    ap.add_argument("--quick", action="store_true", help="15 seconds")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = ap.parse_args(argv)
    seconds = min(args.seconds, 15.0) if args.quick else args.seconds
    with Ends(args.speech, args.profile, args.slow, args.loss) as ends:
        tx, rx, spoken = ends.run(seconds, args.slow)
        ends.tx.stop()
        ends.rx.stop()
    totals = {name: round(sum(threads.values()) / spoken, 3) for name, threads in (("tx", tx), ("rx", rx))}
    figures = {"cores": totals | {"both": round(sum(totals.values()), 3)}, "bar": BAR, "tx": share(tx, spoken),
               "rx": share(rx, spoken), "seconds": spoken, "slow": args.slow, "profile": args.profile}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    both = figures["cores"]["both"]
    sys.stdout.write(f"one core: tx {totals['tx']:.3f}, rx {totals['rx']:.3f}, both {both:.3f}; bar {BAR}\n")
    for name in ("tx", "rx"):
        sys.stdout.writelines(f"  {name}  {thread:<18} {x:.3f}\n" for thread, x in figures[name].items())
    return figures


if __name__ == "__main__":
    main()
