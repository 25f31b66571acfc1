#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hours of speech through both ends as functions: memory flat, cost per second constant, every packet counted.

The speech of a WAV over and over, superframe by superframe, through codec, coder, byte packets that are lost, decoder,
concealer and codec; nothing is kept. Time is that of the processor, so other load does not matter. `--models` names the
models to use: random ones of a few parameters show the same of memory and counts as the released ones, in a tenth of
the time. `soak.py --unpaced` does the like with the blocks in a flowgraph. Ends with 1 where a check fails.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from itertools import cycle
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python")]

import numpy as np  # noqa: E402
from soundspring.audio.io import read  # noqa: E402
from soundspring.channel.loss import parse_loss  # noqa: E402
from soundspring.coding.packet import Packet, model_id, parse, payload_bytes  # noqa: E402
from soundspring.coding.superframe import Repair  # noqa: E402
from soundspring.link import Counts, Link, speak  # noqa: E402
from soundspring.profile import load  # noqa: E402

WARM = 0.2  # of the run: buffers fill, caches grow
FLAT_MB = 8.0  # in an hour, beyond that part
DEARER = 1.25  # the last third may cost that much more than the first behind the warm part: processors are not steady
SEQUENCES = 1 << 16


class BothEnds:
    """A talk without an end: `push` takes a superframe of sound and plays the one that is due."""

    def __init__(self, link: Link, loss):
        self.link, self.loss = link, loss
        self.codec, self.coder = link.codec_encoder(), link.entropy_encoder()
        self.decoder, self.repair = link.entropy_decoder(), Repair(len(link.profile.copies))
        self.concealer, self.voice = link.concealer(), link.codec_decoder()
        self.model = model_id(link.models.sha256, 16)
        self.counts, self.dropped, self.bytes = Counts(keep=100), 0, 0
        self.samples_in = self.samples_out = 0
        self.peak = 0.0

    def push(self, sound: np.ndarray) -> None:
        self.samples_in += len(sound)
        sequence, groups = self.coder.push(latent=self.codec.analyse(sound))
        self.counts.add_sent(groups)
        packets = [Packet(self.model, sequence % SEQUENCES, g, payload_bytes(group.bits)).to_bytes()
                   for g, group in enumerate(groups)]
        gone = self.loss.step(len(packets))
        self.dropped += int(gone.sum())
        self.bytes += sum(map(len, packets))
        payloads = [None if lost else parse(raw, self.model).bits for raw, lost in zip(packets, gone, strict=True)]
        decoded = self.decoder.push(sequence, payloads)
        self.counts.add(decoded)
        if (ready := self.repair.push(decoded)) is not None:
            self._play(ready)

    def finish(self) -> None:
        for ready in self.repair.flush():
            self._play(ready)

    def _play(self, ready) -> None:
        estimate = self.concealer.push(ready.tokens, ready.received, ready.sent)
        if estimate is not None:
            self.counts.frames_concealed += int(estimate.concealed.sum())
            sound = speak(self.voice, estimate)
            self.samples_out, self.peak = self.samples_out + len(sound), max(self.peak, float(np.abs(sound).max()))


def memory_mb() -> float:
    """Resident memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def talk(ends: BothEnds, sound: np.ndarray, seconds: float, every_s: float) -> list[dict]:
    """Push so many seconds; a row for every `every_s` of them."""
    size, rows = ends.link.profile.superframe_samples, []
    blocks = cycle(sound[: len(sound) // size * size].reshape(-1, size))
    each, begin = round(every_s * 16000 / size), time.process_time()
    for _ in range(max(round(seconds / every_s), 1)):
        for _ in range(each):
            ends.push(next(blocks))
        now = time.process_time()
        rows.append({"seconds": ends.samples_in / 16000, "memory_mb": round(memory_mb(), 2),
                     "cost": round((now - begin) / (each * size / 16000), 4)})
        begin = now
        sys.stderr.write(f"{rows[-1]}\n")
    ends.finish()
    return rows


def checks(rows: list[dict], ends: BothEnds, short: bool) -> dict[str, bool]:
    """What must be true behind a talk; `short`: too short for slopes."""
    counts, sent = ends.counts, ends.coder.sequence * ends.link.profile.packets
    steady = rows[int(WARM * len(rows)) :]
    third = max(len(steady) // 3, 1)
    found = {
        "every packet has a fate": sum(counts.fates.values()) == counts.packets_sent == sent,
        "lost are those that were dropped": counts.packets_lost == ends.dropped,
        "none out of step": counts.packets_desync == 0,
        "as many samples out as in": ends.samples_out == ends.samples_in,
        "within full scale": ends.peak <= 1.0,
    }
    if not short:
        found["memory flat"] = growth(steady) < FLAT_MB
        first, last = (np.median([row["cost"] for row in part]) for part in (steady[:third], steady[-third:]))
        found["cost constant"] = bool(last < DEARER * first)
    return found


def growth(rows: list[dict]) -> float:
    """Megabytes an hour of speech, by a line through the rows."""
    hours = np.array([row["seconds"] for row in rows]) / 3600
    return float(np.polyfit(hours, [row["memory_mb"] for row in rows], 1)[0]) if len(rows) > 2 else 0.0


def main(argv: list[str] | None = None) -> dict:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--hours", type=float, default=2.0, help="of speech (default: %(default)g)")
    ap.add_argument("--loss", default="gilbert:0.1,3")
    ap.add_argument("--layers", type=int, default=12, help="of the profile `reference` (default: %(default)d)")
    ap.add_argument("--models", type=Path, metavar="DIR", help="default: the released ones")
    ap.add_argument("--speech", type=Path, default=ROOT / "examples" / "speech.wav", help="WAV to say")
    ap.add_argument("--quick", action="store_true", help="10 seconds: counts only")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = ap.parse_args(argv)
    if args.models:
        os.environ["SOUNDSPRING_MODELS"] = str(args.models)
    seconds = 10.0 if args.quick else 3600 * args.hours
    ends = BothEnds(Link(load("reference").with_layers(args.layers)), parse_loss(args.loss, 1))
    ends.link.models.load()
    rows = talk(ends, read(args.speech)[0], seconds, max(seconds / 60, 2.0))
    found = checks(rows, ends, seconds < 600)
    figures = {"checks": found, "good": all(found.values()), "seconds": rows[-1]["seconds"], "loss": args.loss,
               "growth_mb_per_hour": round(growth(rows[int(WARM * len(rows)) :]), 2), "rows": rows,
               "packets": dict(ends.counts.fates), "frames_concealed": ends.counts.frames_concealed}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    sys.stdout.writelines(f"{'ok  ' if good else 'FAIL'}  {name}\n" for name, good in found.items())
    cost = np.median([row["cost"] for row in rows])
    sys.stdout.write(f"{figures['seconds']:.0f} s of speech, {figures['packets']}; {rows[-1]['memory_mb']:.0f} MB, "
                     f"{figures['growth_mb_per_hour']} MB more an hour; {cost:.3f} s of the processor a second\n")
    return figures


if __name__ == "__main__":
    sys.exit(0 if main()["good"] else 1)
