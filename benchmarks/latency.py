#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Latency of the live link, speech in to speech out: a voice at the pace of a microphone through `tx`, ZeroMQ at the
pace of a radio, `rx` and its playout buffer to the stand-in of a loudspeaker, two processes (see `ends.py`).

What was heard is laid over what was said, by cross-correlation of every three seconds; both have the same clock.
The time is that of the first sample's way: until it leaves the sound card's buffer. Printed beside it: what the profile
itself makes of it (the superframe that must be full, look-ahead, copies that are waited for), and the CPU time of each
stage. `--slow 5` runs all clocks at a fifth, on a busy machine: latencies are then in the time of the speech.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from ends import RATE, ROOT, Ends
from scipy.signal import correlate

BAR_MS, GOAL_MS = 400, 250
WINDOW_S = 3.0
CLEAR = 0.2  # least correlation that counts: silence has none
LONGEST_S = 3.0
SPEECH = ROOT / "examples" / "speech.wav"


def timeline(path: str, begin: float, slow: float) -> np.ndarray:
    """What was heard, float32 [n], sample by sample from `begin` (of the monotonic clock) on."""
    with np.load(path) as heard:
        at, sizes, sound = heard["at"], heard["sizes"], heard["sound"]
    first = np.rint((at - begin) * RATE / slow).astype(int)
    out = np.zeros(max(first[-1] + sizes[-1], 0), np.float32)
    for start, piece in zip(first, np.split(sound, np.cumsum(sizes)[:-1]), strict=True):
        rest = piece[max(-start, 0) :]  # what was played before it was said is silence
        out[max(start, 0) : max(start, 0) + len(rest)] = rest
    return out


def delays(voice: np.ndarray, heard: np.ndarray) -> list[float]:
    """Milliseconds from `voice`, said in a circle from sample 0 on, to `heard`: of each window that is clear."""
    size, reach, found = int(WINDOW_S * RATE), int(LONGEST_S * RATE), []
    for start in range(0, len(heard) - size - reach, size):
        said = np.take(voice, np.arange(start, start + size), mode="wrap")
        part = heard[start : start + size + reach]
        both = correlate(part, said, "valid", "fft")
        energy = np.convolve(part.astype(float) ** 2, np.ones(size), "valid")
        match = both / np.sqrt(np.maximum(energy * np.sum(said.astype(float) ** 2), 1e-9))
        if match.max() > CLEAR:
            found.append(1000 * match.argmax() / RATE)
    return found


def profile_ms(name: str, copies: bool) -> dict[str, float]:
    """What no machine can take away: the superframe is full before it is coded; what the receiver waits for."""
    from soundspring.profile import load_ladder

    common = load_ladder(name).common
    one = 1000 * common.superframe_samples / RATE
    return {"superframe": one, "lookahead": one * common.lookahead, "copies": one * len(common.copies) * copies}


def measure(args: argparse.Namespace) -> dict:
    from soundspring.audio.io import read

    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/heard.npz"
        with Ends(args.speech, args.profile, args.slow, args.loss, save=file, copies=not args.no_copies) as ends:
            ends.run(args.seconds, args.slow)
            sent, got = ends.tx.stop(), ends.rx.stop()
        found = delays(read(args.speech)[0], timeline(file, sent["spoken_at"], args.slow))
    if not found:
        raise RuntimeError(f"nothing of what was said was heard; the receiver's last words: {got}")
    stages = {name: round(1000 * cpu / max(end["bursts"], 1), 2)
              for end in (sent, got) for name, cpu in end["stages_cpu_s"].items()}
    kept = ("bursts", "packets", "packets_lost", "frames_concealed", "gaps", "skips", "drift_ppm", "underruns")
    return {
        "latency_ms": {"median": round(float(np.median(found)), 1), "least": round(min(found), 1),
                       "most": round(max(found), 1), "windows": len(found)},
        "of_the_profile_ms": profile_ms(args.profile, not args.no_copies),
        "cpu_ms_per_superframe": stages,
        "receiver": {name: got[name] for name in kept},
        "slow": args.slow, "seconds": args.seconds, "profile": args.profile, "bar_ms": BAR_MS, "goal_ms": GOAL_MS,
    }


def main(argv: list[str] | None = None) -> dict:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seconds", type=float, default=60.0, help="of speech (default: %(default)g)")
    ap.add_argument("--slow", type=float, default=1.0, help="divides all clocks (default: %(default)g)")
    ap.add_argument("--profile", default="reference")
    ap.add_argument("--no-copies", action="store_true", help="the receiver does not wait for them")
    ap.add_argument("--loss", default="none", help="packets that the receiver drops, such as bernoulli:0.1")
    ap.add_argument("--speech", default=str(SPEECH), help="WAV to say (default: the example's)")
    ap.add_argument("--quick", action="store_true", help="15 seconds")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    args = ap.parse_args(argv)
    args.seconds = min(args.seconds, 15.0) if args.quick else args.seconds
    figures = measure(args)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    latency, own = figures["latency_ms"], figures["of_the_profile_ms"]
    sys.stdout.write(
        f"speech in to speech out: {latency['median']} ms ({latency['least']} to {latency['most']}, "
        f"{latency['windows']} windows of {WINDOW_S:g} s); bar {BAR_MS}, goal {GOAL_MS}\n"
        f"of these by the profile: {', '.join(f'{name} {ms:g} ms' for name, ms in own.items())}\n"
        f"CPU, ms a superframe: {', '.join(f'{k} {v}' for k, v in figures['cpu_ms_per_superframe'].items())}\n"
        f"receiver: {figures['receiver']}\n")
    return figures


if __name__ == "__main__":
    main()
