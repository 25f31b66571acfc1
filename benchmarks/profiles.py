#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ladders of profiles: the SNR at which a tenth of the packets is lost, over white noise.

Bursts of random bits at random distances, with random carrier offsets and phases, pass LDPC, modem and noise and are
received as in a link: search, synchronisation, header and demapper included. A packet of a burst that was not found, or
whose header failed, is lost. The same bursts and the same noise are used at every SNR (mean Es/N0 per active carrier);
a threshold is read between two steps of half a decibel, on the logarithm of the loss. No speech and no weights are
needed. --docs writes the table into docs/profiles.md, --set the thresholds into the profiles' files.
"""

import argparse
import json
import math
import platform
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "python"))
from soundspring.link import FrameCoder, numerology_of  # noqa: E402
from soundspring.modem.burst import BurstModulator  # noqa: E402
from soundspring.modem.receiver import BurstReceiver  # noqa: E402
from soundspring.profile import Ladder, LinkProfile, ladders, load_ladder  # noqa: E402

LOSS = 0.1
OVERSAMPLING = 2  # whatever the profile's is: it makes no difference to what arrives
STEP_DB = 0.5
MODEL = "5" * 64  # stands for the hash of weights, which random bits do not need
QAM = {1: "BPSK", 2: "QPSK", 4: "16-QAM", 6: "64-QAM", 8: "256-QAM"}
PAGE = ROOT / "docs" / "profiles.md"
MARKS = ("<!-- ladders: made by benchmarks/profiles.py -->", "<!-- end of ladders -->")


class Air:
    """`count` bursts of one rung, sent once, to be received in noise of any level by a receiver of the whole ladder."""

    def __init__(self, ladder: Ladder, rung: LinkProfile, count: int, seed: int):
        self.coder, self.rung, self.ratio = FrameCoder(ladder, MODEL), rung, OVERSAMPLING
        self.numerology = numerology_of(rung)
        rng = np.random.default_rng(seed)
        modulator = BurstModulator(self.numerology, rung.phy.header_code_bits, self.ratio)
        symbol = int(self.numerology.symbol_length * self.ratio)
        parts, self.payloads = [np.zeros(20 * symbol, np.complex64)], []
        for n in range(count):
            bits = [rng.integers(0, 2, p.payload_bits, np.uint8) for p in rung.phy.packets]
            burst = modulator.modulate(*self.coder.encode(n, bits, rung))
            cfo = 0.1 * rng.uniform(-1, 1) / self.ratio
            turn = np.exp(2j * np.pi * (cfo * np.arange(len(burst)) + rng.uniform()))
            parts += [burst * turn.astype(np.complex64), np.zeros(rng.integers(10, 20) * symbol, np.complex64)]
            self.payloads.append(bits)
        self.samples = np.concatenate([*parts, np.zeros(140 * symbol, np.complex64)])
        draws = rng.standard_normal(2 * len(self.samples), np.float32)
        self.noise = draws.view(np.complex64) * np.float32(math.sqrt(self.ratio / 2))
        self.at = cache(self._at)

    def _at(self, snr_db: float) -> dict:
        """Losses of each packet, and of what comes before them, at one SNR."""
        receiver = BurstReceiver(self.numerology, self.rung.phy.header_code_bits, self.coder.decode_header,
                                 self.coder.payload_symbols, self.ratio,
                                 encode_header=self.coder.header_code.encode)
        received = self.samples + self.noise * np.float32(10 ** (-snr_db / 20))
        got = np.zeros((len(self.payloads), len(self.rung.phy.packets)), bool)
        bursts = [b for b in [*receiver.push(received), *receiver.flush()] if b.header is not None]
        headers = {b.header.sequence for b in bursts if b.header.profile == self.rung.id}
        for burst in bursts:
            n = burst.header.sequence
            if n < len(got) and burst.header.profile == self.rung.id:
                found = self.coder.decode(burst.symbols, burst.noise_var, self.rung)
                got[n] = [x is not None and np.array_equal(x, y) for x, y in zip(found, self.payloads[n], strict=True)]
        return {"loss": 1 - got.mean(0), "all": 1 - got.all(1).mean(), "header": 1 - len(headers) / len(got),
                "snr_db": float(np.mean([b.snr_db for b in bursts])) if bursts else None}


def threshold(loss_at: Callable[[float], float], start_db: float) -> float:
    """Where `loss_at` falls through LOSS, walking in steps from `start_db`; between two of them by its logarithm."""
    def value(x: float) -> float:
        return math.log(max(loss_at(x), 1e-3) / LOSS)

    high = math.ceil(start_db / STEP_DB) * STEP_DB
    while value(high) > 0:
        high += STEP_DB
    while value(high - STEP_DB) <= 0:
        high -= STEP_DB
    above, below = value(high - STEP_DB), value(high)
    return high - STEP_DB * -below / (above - below)


def measure(ladder: Ladder, rung: LinkProfile, bursts: int, seed: int) -> dict:
    """The figures of one rung."""
    phy, numerology = rung.phy, numerology_of(rung)
    air = Air(ladder, rung, bursts, seed)
    guess = [10 * math.log10(2 ** (p.payload_bits / p.symbols) - 1) + 1 for p in phy.packets]
    thresholds = [threshold(lambda x, g=g: air.at(x)["loss"][g], start) for g, start in enumerate(guess)]
    whole = threshold(lambda x: air.at(x)["all"], max(thresholds))
    low = round((thresholds[0] - 1) / STEP_DB) * STEP_DB
    modulator = BurstModulator(numerology, phy.header_code_bits)
    burst_ms = 1000 * modulator.samples_per_burst(phy.payload_symbols) / phy.rate
    frame_ms = rung.superframe_samples / 16
    return {
        "packets": [{"modulation": QAM[p.bits_per_symbol], "code_rate": round(p.payload_bits / p.code_bits, 3),
                     "threshold_db": round(t, 2)} for p, t in zip(phy.packets, thresholds, strict=True)],
        "threshold_db": round(whole, 2),
        "source_bps": round(sum(rung.room) * rung.superframes_per_second),
        "bandwidth_hz": round(numerology.occupied_bandwidth),
        "burst_ms": round(burst_ms, 2),
        "channel_uses_per_s": round(burst_ms * phy.rate / frame_ms),
        "latency_ms": round(frame_ms * (1 + rung.wait) + 20 + burst_ms, 1),
        "headers_lost_1_db_below_base": round(air.at(low)["header"], 4),
        "snr_measured_db_at_all": air.at(math.ceil(whole / STEP_DB) * STEP_DB)["snr_db"],
    }


def table(figures: dict[str, dict]) -> str:
    """Markdown, for people."""
    rows = ["| profile | base packet | enhancement packet | source, kbit/s | bandwidth, kHz | burst, ms | latency, ms "
            "| threshold base / all packets, dB |", "|" + "---|" * 8]
    for name, f in figures.items():
        cells = [f"{p['modulation']}, {p['code_rate']:.2f}" for p in f["packets"]] + ["none"]
        rows.append(f"| `{name}` | {cells[0]} | {cells[1]} | {f['source_bps'] / 1000:.1f} | "
                    f"{f['bandwidth_hz'] / 1000:.0f} | {f['burst_ms']:.2f} | {f['latency_ms']:.0f} | "
                    f"{f['packets'][0]['threshold_db']:.1f} / {f['threshold_db']:.1f} |")
    return "\n".join(rows)


def write_table(page: str, text: str) -> str:
    """`page` with `text` between the marks. Raises ValueError where they are missing."""
    head, mark, rest = page.partition(MARKS[0])
    _, end, tail = rest.partition(MARKS[1])
    if not mark or not end:
        raise ValueError(f"page: the marks {MARKS[0]!r} and {MARKS[1]!r} are needed, each once")
    return f"{head}{mark}\n{text}\n{end}{tail}"


def with_thresholds(text: str, thresholds: Sequence[float]) -> str:
    """A profile's YAML with these thresholds, one for each line of a packet. ValueError if their numbers differ."""
    packet = re.compile(r"\{payload_bits: [^}]*\}")
    if (count := len(packet.findall(text))) != len(thresholds):
        raise ValueError(f"thresholds: {len(thresholds)} for {count} packets")
    values = iter(thresholds)

    def told(line: re.Match) -> str:
        bare = re.sub(r", threshold_db: [-+.\d]+", "", line[0])
        return f"{bare[:-1]}, threshold_db: {next(values):.1f}}}"

    return packet.sub(told, text)


def main(argv: Sequence[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profile", nargs="*", help="ladders or profiles (default: the ladders, and reference)")
    parser.add_argument("--bursts", type=int, help="at each SNR, at most 256 (default: 200; --quick: 40)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="fewer bursts")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--docs", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    parser.add_argument("--set", action="store_true", help="write the thresholds into the files of the ladders")
    args = parser.parse_args(argv)
    bursts, rungs = args.bursts or (40 if args.quick else 200), {}
    if not 1 <= bursts <= 256:
        parser.error("--bursts: 1 to 256, the numbers that a header can tell apart")
    for name in args.profile or [*ladders(), "reference"]:
        ladder, measured = load_ladder(name), []
        for rung in ladder.rungs:
            rungs[rung.name] = f = measure(ladder, rung, bursts, args.seed)
            print(f"{rung.name:10} base {f['packets'][0]['threshold_db']:6.2f} dB, all {f['threshold_db']:6.2f} dB, "
                  f"{f['source_bps']:5} bit/s in {f['burst_ms']:.2f} ms; headers lost 1 dB below the base's threshold: "
                  f"{100 * f['headers_lost_1_db_below_base']:.1f} %", flush=True)
            measured += [p["threshold_db"] for p in f["packets"]]
        if args.set and name in ladders():
            file = ROOT / "python" / "soundspring" / "profiles" / f"{name}.yaml"
            file.write_text(with_thresholds(file.read_text(), measured))
    if args.docs:
        PAGE.write_text(write_table(PAGE.read_text(), table(rungs)))
    figures = {"about": {"machine": platform.processor() or platform.machine(), "bursts": bursts, "seed": args.seed,
                         "quick": args.quick}, "profiles": rungs}
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    main()
