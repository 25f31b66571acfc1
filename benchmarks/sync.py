#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The burst modem: bursts missed and imagined, headers against payloads, distance to a receiver that knows the channel,
the price of lower peaks, CPU time; and GNU Radio's in-tree OFDM receiver at the same SNRs.

Each end has one oscillator for carrier and sample clock, up to 60 ppm apart (150 kHz at 2.5 GHz); bursts arrive at
random times and phases, through the receiver's channel filter, at 1.5 samples per critical sample. SNR is the mean
Es/N0 per active carrier; thresholds are where 10 % of the packets are lost. CPU times are of this process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402
from air import MAX_PPM, MEDIUM, RECEIVED, Air, Radio  # noqa: E402
from soundspring.coding.packet import BurstHeader  # noqa: E402
from soundspring.modem.burst import BurstModulator  # noqa: E402
from soundspring.modem.wide_search import make_receiver  # noqa: E402
from soundspring.profile import Phy, load, profiles  # noqa: E402

# The ends of the range of profiles: what the preamble and the header must outlast, and what asks most of the equaliser.
LOWEST, FASTEST = "BPSK 1/5", "64-QAM 5/6"
ENDS = {
    LOWEST: Phy(384, ({"payload_bits": 176, "code_bits": 880, "bits_per_symbol": 1},)),
    FASTEST: Phy(384, ({"payload_bits": 600, "code_bits": 720, "bits_per_symbol": 6},)),
}
TARGET = 0.1  # packet loss at a threshold
SEED = 1
PIECES = 40  # in which a signal comes when the time is taken


def say(*words) -> None:
    print(*words, file=sys.stderr, flush=True)


def layers() -> dict[str, Phy]:
    """The physical layers of the shipped profiles, each once, and both ends of the range."""
    found: dict[str, Phy] = {}
    for name in ("reference", *profiles()):
        phy = load(name).phy
        if phy is not None:
            # What a profile says of its thresholds makes no other layer of it.
            bare = replace(phy, packets=tuple(replace(p, threshold_db=None) for p in phy.packets))
            if bare not in found.values():
                found[name] = bare
    return found | ENDS


def channels_of(phy: Phy) -> tuple[str, ...]:
    """Where a physical layer is measured: over AWGN and in the fading of its width."""
    return ("awgn", "tdl-c 10 Hz", "tdl-c") if phy.rate < 1e5 else ("awgn", "tdl-a", "tdl-c")


def crossing(snrs: list[float], losses: list[float], target: float = TARGET) -> float | None:
    """SNR at which the loss falls below the target, by interpolating the logarithm of the loss."""
    for (a, high), (b, low) in zip(zip(snrs, losses), zip(snrs[1:], losses[1:])):  # noqa: B905
        if high >= target > low:
            part = np.log(high / target) / np.log(high / max(low, 1e-4))
            return round(float(a + part * (b - a)), 2)
    return None


def curve(phy: Phy, channel: str, bursts: int, papr_db: float | None = None, genie: bool = True, points=None) -> dict:
    """Loss of each packet against SNR, ours and the genie's, until it is below 5 %; and both thresholds."""
    points = points or (30 if channel == "awgn" else 14)
    air = Air(Radio(phy, papr_db=papr_db), SEED, channel, genie=genie)
    efficiency = min(p.payload_bits / p.symbols for p in phy.packets)
    snr_db = 10 * np.log10(2**efficiency - 1) + (0.5 if channel == "awgn" else 4.0)
    step = 0.5 if channel == "awgn" else 2.0
    rows = {"snr_db": [], "missed": [], "header": [], "loss": [], "genie": []}
    while True:
        out = air.send(bursts, snr_db)
        loss = 1 - np.mean([o.packets for o in out], axis=0)
        ideal = 1 - np.mean([o.genie for o in out], axis=0) if genie else loss
        rows["snr_db"].append(round(float(snr_db), 2))
        rows["missed"].append(float(np.mean([not o.found for o in out])))
        rows["header"].append(float(np.mean([not o.header for o in out])))
        rows["loss"].append(loss.round(4).tolist())
        rows["genie"].append(ideal.round(4).tolist())
        say(f"  {channel} {snr_db:.1f} dB: lost {loss.round(3)}, genie {ideal.round(3)}")
        snr_db += step
        if max(loss) < TARGET / 2 or len(rows["loss"]) >= points:
            break
    per_packet = [(crossing(rows["snr_db"], [r[i] for r in rows["loss"]]),
                   crossing(rows["snr_db"], [r[i] for r in rows["genie"]])) for i in range(len(phy.packets))]
    gaps = [round(a - b, 2) for a, b in per_packet if a is not None and b is not None]
    return rows | {"threshold_db": [a for a, _ in per_packet], "genie_threshold_db": [b for _, b in per_packet],
                   "gap_db": gaps, "bursts": bursts}


def detection(phy: Phy, snrs: dict[float, float], bursts: int) -> dict:
    """Bursts missed, and found but with a wrong header; snrs: share of `bursts` that is sent at each."""
    air = Air(Radio(phy, payload=False), SEED + 1)
    figures = {}
    for snr_db, share in snrs.items():
        n = max(int(share * bursts), 50)
        out = air.send(n, snr_db)
        found, good = sum(o.found for o in out), sum(o.header for o in out)
        figures[f"{snr_db:.1f}"] = {"bursts": n, "missed": n - found, "header_failures": found - good}
        say(f"  {snr_db:.1f} dB: {figures[f'{snr_db:.1f}']}")
    return figures


def detections(lowest: dict[str, float], bursts: int) -> dict:
    """`detection` of both widths, 1 dB below the lowest profile's threshold and around it."""
    around = {-6.0: 0.3, -8.0: 0.1, -9.0: 0.1, -10.0: 0.1, -11.0: 0.1}
    phys = {"wide": ENDS[LOWEST], "narrow": load("narrow-0").phy}
    return {width: detection(phys[width], {round(db - 1, 1): 1.0} | around, bursts) for width, db in lowest.items()}


def false_bursts(seconds: float) -> dict:
    """Noise alone: places taken for a preamble, and those whose header then passed."""
    radio = Radio(ENDS[LOWEST])
    receiver, rng, accepted = radio.receiver(), np.random.default_rng(SEED + 2), 0
    rate = RECEIVED * radio.numerology.rate
    piece = 300_000
    for _ in range(int(seconds * rate / piece)):
        # White over all of the receiver's band, which holds more noise than a channel filter would leave.
        samples = rng.standard_normal(2 * piece, np.float32).view(np.complex64)
        accepted += sum(b.header is not None for b in receiver.push(samples))
    return {"seconds": seconds, "detections": receiver.detections, "bursts": accepted}


def cpu_share(samples: np.ndarray, make: Callable[[], Any], rate_hz: float, repeats: int = 6) -> tuple[float, Any]:
    """(CPU seconds per second of signal, the last receiver). The signal comes in pieces, several times to a receiver of
    its own, and the least time of each piece counts, so that other programs on the machine disturb less."""
    size = len(samples) // PIECES
    times = np.zeros((repeats, PIECES))
    for row in times:
        receiver = make()
        for i in range(PIECES):
            begin = time.process_time()
            receiver.push(samples[i * size : (i + 1) * size])
            row[i] = time.process_time() - begin
    settled = times[:, PIECES // 4 :]
    return round(float(settled.min(axis=0).sum()) * rate_hz / (settled.shape[1] * size), 4), receiver


def traffic(radio: Radio, seconds: float, period_s: float | None) -> np.ndarray:
    """Samples as the receiver gets them: a burst every `period_s` seconds, or without pause, at 10 dB."""
    rng = np.random.default_rng(SEED + 3)
    n = int(seconds * RECEIVED * radio.numerology.rate)
    quiet = 0.3 * rng.standard_normal(2 * n, np.float32).view(np.complex64)
    burst = radio.front_end(radio.make(rng, 0)[1])
    if period_s:
        burst = np.pad(burst, (0, int(period_s * RECEIVED * radio.numerology.rate) - len(burst)))
    return np.resize(burst, n) + quiet


def narrow_speed(seconds: float) -> dict:
    """The narrow receiver at 1 MS/s: looking for a carrier everywhere, and following one that sends all the time."""
    phy, rng = load("narrow-0").phy, np.random.default_rng(SEED + 3)
    radio, rate = Radio(phy), phy.rate * phy.oversampling
    modulator = BurstModulator(radio.numerology, phy.header_code_bits, phy.oversampling)
    header = radio.header_code.encode(BurstHeader(0, 0, 0))
    burst = modulator.modulate(header, radio.make(rng, 0)[0].data)
    n = int(max(seconds, 1.0) * rate)
    quiet = 0.3 * phy.oversampling**0.5 * rng.standard_normal(2 * n, np.float32).view(np.complex64)
    carrier = np.exp(2j * np.pi * 0.6 * phy.max_cfo_hz / rate * np.arange(n)).astype(np.complex64)
    signals = {"narrow_searching": quiet, "narrow_receiving": np.resize(burst, n) * carrier + quiet}
    figures = {}
    for name, x in signals.items():
        figures[name], receiver = cpu_share(x, lambda: make_receiver(
            radio.numerology, phy.header_code_bits, radio.decode_header, lambda _: phy.payload_symbols,
            phy.oversampling, max_cfo_hz=phy.max_cfo_hz, encode_header=radio.header_code.encode), rate)
        assert receiver.tracking == (name == "narrow_receiving")
    return figures


def speed(seconds: float) -> dict:
    """Share of one core at 1 MS/s: searching; the reference profile's bursts, one in 100 ms; bursts without pause; and
    the second of these at 5 MS/s."""
    phy = load("reference").phy
    radio, fast = Radio(phy), Radio(replace(phy, rate=5e6))
    sparse, rate = traffic(radio, seconds, 0.1), RECEIVED * radio.numerology.rate
    quiet = 0.3 * np.random.default_rng(SEED + 3).standard_normal(2 * len(sparse), np.float32).view(np.complex64)
    signals = {"searching": quiet, "receiving": sparse, "receiving_without_pause": traffic(radio, seconds, None)}
    figures = {name: cpu_share(x, radio.receiver, rate)[0] for name, x in signals.items()}
    once, four_times = (cpu_share(np.tile(quiet, k), radio.receiver, rate)[0] for k in (1, 4))
    figures["receiving_at_5_ms_per_s"] = cpu_share(traffic(fast, seconds / 2, 0.1), fast.receiver, 5 * rate)[0]
    return figures | narrow_speed(seconds) | {"four_times_the_samples": round(four_times / once, 2)}


def peaks(bursts: int) -> dict:
    """For each limit: peak to average of the bursts, their error, and how far the limit moves two thresholds."""
    figures = {}
    base = {}
    for limit in (None, 8.0, 7.0, 6.0, 4.0):
        radio = Radio(load("reference").phy, papr_db=limit)
        rng = np.random.default_rng(SEED + 4)
        mean = radio.numerology.active / radio.numerology.fft
        papr = [10 * np.log10(np.max(np.abs(radio.make(rng, i)[1]) ** 2) / mean) for i in range(200)]
        row = {"papr_db": {"median": round(float(np.median(papr)), 2), "max": round(float(np.max(papr)), 2)}}
        for name in ("reference", FASTEST):
            phy = load(name).phy if name == "reference" else ENDS[name]
            found = curve(phy, "awgn", bursts, limit, False, 9)["threshold_db"][-1]
            base.setdefault(name, found)
            row[f"cost_db {name}"] = None if found is None else round(found - base[name], 2)
        figures["none" if limit is None else f"{limit:g}"] = row
        say(f"  limit {limit}: {row}")
    return figures


def peer(snrs: list[float], packets: int) -> dict | None:
    """Packets of 96 bytes, uncoded QPSK, through digital.ofdm_tx and ofdm_rx; the share received of those sent."""
    try:
        from gnuradio import blocks, channels, digital, gr
    except ImportError:
        return None
    shares = {}
    for snr_db in snrs:
        top = gr.top_block()
        data = np.random.default_rng(SEED).integers(0, 256, 96 * packets).tolist()
        options = {"packet_length_tag_key": "length", "bps_payload": 2}
        send, receive = digital.ofdm_tx(**options), digital.ofdm_rx(**options)
        # 52 of 64 carriers of the same power, whatever the block's scale: measured on its own samples.
        probe, sink = blocks.vector_sink_c(), blocks.vector_sink_b()
        bytes_in = blocks.vector_source_b(data)
        tagged = blocks.stream_to_tagged_stream(gr.sizeof_char, 1, 96, "length")
        top.connect(bytes_in, tagged, send, probe)
        top.run()
        samples = np.array(probe.data())
        samples = np.concatenate([samples, np.zeros(20_000)]) / np.sqrt(np.mean(np.abs(samples) ** 2) * 64 / 52)
        top = gr.top_block()
        noise = channels.channel_model(noise_voltage=10 ** (-snr_db / 20), noise_seed=SEED)
        top.connect(blocks.vector_source_c(samples.tolist()), noise, receive, sink)
        top.run()
        got = np.array(sink.data(), np.uint8)
        sent = {bytes(data[96 * i : 96 * i + 96]) for i in range(packets)}
        found = [bytes(got[i : i + 96]) in sent for i in range(0, len(got) - 95, 96)]
        shares[f"{snr_db:g}"] = round(float(sum(found)) / packets, 3)
        say(f"  in-tree OFDM receiver, {snr_db} dB: {shares[f'{snr_db:g}']}")
    return shares


def curves(phy: Phy, bursts: int) -> dict:
    """`curve` over each channel: with so many bursts over AWGN. A fade hits a whole burst, so that fading wants more of
    them; those of `narrow` last, and fade, for longer."""
    more = 2 if phy.rate < 1e5 else 5
    return {c: curve(phy, c, bursts * (1 if c == "awgn" else more)) for c in channels_of(phy)}


def closest(bursts: int, seeds: tuple[int, ...], resamplings: int = 300) -> dict:
    """The packet nearest to its bar: by how much the SNR at which the enhancement of narrow-0 falls below 10 % lies
    above the genie's, in fading at 10 Hz; `bursts` by each seed, and the interval of 95 % by the bootstrap."""
    radio, snrs, rng = Radio(load("narrow-0").phy), (2.0, 3.5, 5.0, 6.5), np.random.default_rng(SEED)
    air = [Air(radio, seed, "tdl-c 10 Hz", genie=True) for seed in seeds]
    lost = np.array([[(not o.packets[1], not o.genie[1]) for one in air for o in one.send(bursts, snr)]
                     for snr in snrs])  # [snr, burst, 2]

    def gap(which) -> float:
        ours, genie = (crossing(snrs, lost[:, which, i].mean(axis=1).tolist()) for i in (0, 1))
        return np.nan if ours is None or genie is None else ours - genie

    n = lost.shape[1]
    whole, drawn = gap(np.arange(n)), [gap(rng.integers(n, size=n)) for _ in range(resamplings)]
    if np.isnan([whole, *drawn]).mean() > 0.01:
        return {"bursts": n, "seeds": list(seeds), "gap_db": None, "ci95_db": None}  # too few bursts
    return {"bursts": n, "seeds": list(seeds), "gap_db": round(whole, 2),
            "ci95_db": np.nanpercentile(drawn, [2.5, 97.5]).round(2).tolist()}


def lowest_threshold(figures: dict) -> dict[str, float]:
    """Over AWGN, of all packets of the profiles of each width."""
    found: dict[str, list[float]] = {"wide": [], "narrow": []}
    for name, rows in ({"reference": figures["genie"]} | figures["profiles"]).items():
        found["narrow" if name.startswith("narrow") else "wide"] += rows["awgn"]["threshold_db"]
    return {width: min(t for t in values if t is not None) for width, values in found.items() if values}


PARTS = {
    "speed": lambda quick, _: speed(0.5 if quick else 2.0),
    "genie": lambda quick, _: curves(load("reference").phy, 20 if quick else 300),
    "profiles": lambda quick, _: {
        name: curves(phy, 20 if quick else 200) for name, phy in layers().items() if name != "reference"},
    "closest": lambda quick, _: closest(200, (12,)) if quick else closest(800, (12, 13)),
    "detection": lambda quick, figures: detections(lowest_threshold(figures), 100 if quick else 5000),
    "peaks": lambda quick, _: peaks(20 if quick else 150),
    "in_tree_ofdm": lambda quick, _: peer([10.0, 20.0] if quick else [5.0, 10.0, 12.5, 15.0, 17.5, 20.0, 25.0], 100),
    "noise": lambda quick, _: false_bursts(10.0 if quick else 600.0),
}


def measure(quick: bool, parts: list[str], figures: dict) -> dict:
    """`figures` with these parts measured anew."""
    figures |= {"ppm": MAX_PPM, "oversampling": RECEIVED, "medium": MEDIUM, "seed": SEED,
                "machine": {"system": platform.platform(), "cores": os.cpu_count(), "cpu": _cpu()}}
    for name in parts:
        say(name)
        figures[name] = PARTS[name](quick, figures)
        if {"genie", "profiles"} <= figures.keys():
            figures["lowest_threshold_db"] = lowest_threshold(figures)
        say(f"  {json.dumps(figures[name])[:600]}")
    return figures


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def draw(figures: dict, path: Path) -> None:
    """Loss against SNR beside the genie's, and bursts missed beside the in-tree receiver's packets."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    for colour, (channel, rows) in zip(("C0", "C1", "C2"), figures["genie"].items(), strict=True):
        for i, (mark, name) in enumerate((("o", "base"), ("s", "enhancement"))):
            ours, genie = ([max(r[i], 1e-3) for r in rows[key]] for key in ("loss", "genie"))
            left.semilogy(rows["snr_db"], ours, colour + mark + "-", ms=4, label=f"{channel}, {name}")
            left.semilogy(rows["snr_db"], genie, colour + mark + ":", ms=3, mfc="none")
    left.axhline(TARGET, color="0.7", lw=0.8)
    left.set(xlabel="Es/N0 in dB", ylabel="packets lost", ylim=(2e-3, 1), title="Received (dotted: channel known)")
    left.legend(fontsize=7)
    for colour, (width, rows) in zip(("C0", "C1"), figures["detection"].items(), strict=False):
        snrs = sorted(rows, key=float)
        for field, line in (("missed", "o-"), ("header_failures", "s:")):
            share = [max(rows[snr][field] / rows[snr]["bursts"], 1e-4) for snr in snrs]
            label = f"{width}: " + ("burst missed" if field == "missed" else "header failed")
            right.semilogy([float(snr) for snr in snrs], share, colour + line, ms=4, label=label)
    if figures.get("in_tree_ofdm"):
        points = sorted((float(k), 1 - v) for k, v in figures["in_tree_ofdm"].items())
        right.semilogy([x for x, _ in points], [max(y, 1e-4) for _, y in points], "k^--", ms=4,
                       label="digital.ofdm_rx: packet lost")
    right.set(xlabel="Es/N0 in dB", ylabel="share", ylim=(5e-5, 1.5), title="Synchronisation, oscillators 60 ppm apart")
    right.legend(fontsize=7)
    for axis in (left, right):
        axis.grid(True, which="both", lw=0.3)
    fig.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few bursts of each kind, for a look")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--image", type=Path, metavar="FILE", help="draw the curves here")
    parser.add_argument("--part", action="append", choices=PARTS, help="only this; the rest stays as --json has it")
    arguments = parser.parse_args(argv)
    known = arguments.json if arguments.part and arguments.json and arguments.json.exists() else None
    figures = json.loads(known.read_text()) if known else {}
    figures = measure(arguments.quick, arguments.part or list(PARTS), figures)
    print(json.dumps(figures, indent=1))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")
    if arguments.image:
        draw(figures, arguments.image)
    return figures


if __name__ == "__main__":
    main()
