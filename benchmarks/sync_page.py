# SPDX-License-Identifier: GPL-3.0-or-later
"""The sections of docs/performance.md on the burst modem, from the figures of sync.py."""

from __future__ import annotations

from pages import table


def _db(values: list) -> str:
    return " / ".join("-" if v is None else f"{v:.1f}" for v in values)


def receiver(f: dict) -> str:
    """Thresholds beside those of a receiver that knows the channel, and headers beside payloads."""
    curves = {"reference": f["genie"]} | f["profiles"]
    rows = []
    for name, channels in curves.items():
        for channel, c in channels.items():
            below = [i for i, loss in enumerate(c["loss"]) if min(loss) >= 0.05] or [0]
            at = below[-1]
            rows.append([name, channel, _db(c["threshold_db"]), _db(c["genie_threshold_db"]),
                         " / ".join(f"{g:.2f}" for g in c["gap_db"]) or "-",
                         f"{c['snr_db'][at]:.1f}: {c['header'][at]:.1%} / {min(c['loss'][at]):.1%}"])
    fewest = min(c["bursts"] for channels in curves.values() for c in channels.values())
    fading = min(c["bursts"] for name, channels in curves.items() if not name.startswith("narrow")
                 for channel, c in channels.items() if channel != "awgn")
    head = ["physical layer", "channel", "threshold, dB", "channel known, dB", "distance, dB",
            "at dB: headers failed / packets lost"]
    return f"""## The receiver against one that knows the channel

Threshold: mean Es/N0 at which 10 % of the packets are lost, whatever the reason; base / enhancement packet. The other
receiver knows the channel at every carrier and symbol, the noise and where the burst begins; it decodes the same bursts
over the same channels. TDL-A with 100 ns, TDL-C with 300 ns of delay spread; 50 Hz of Doppler where nothing else is
said, which is for the wide profiles (bursts of 3 ms; those of `narrow` last 99 ms). One oscillator at each end for
carrier and sample clock, within {f["ppm"]:g} ppm of one another (150 kHz at 2.5 GHz and 1 MS/s; as large a part of
other rates); a channel filter, then {f["oversampling"]:g} samples per critical sample; random arrival and phase.
At least {fewest} bursts a point, {fading} where the wide profiles fade: distances are good to about 0.1 dB over AWGN,
0.3 dB in fading. `-`: never below 10 %. The last column has the highest SNR at which each packet is still lost once
in twenty bursts or more often: headers fail less often.

{table(head, rows)}

![Synchronisation](images/sync.png)
"""


def synchronisation(f: dict) -> str:
    """Bursts missed and imagined."""
    rows = []
    for width, points in f["detection"].items():
        rows += [[width, snr, d["bursts"], d["missed"], d["header_failures"]]
                 for snr, d in sorted(points.items(), key=lambda item: -float(item[0]))]
    noise, peer, lowest = f["noise"], f.get("in_tree_ofdm"), f["lowest_threshold_db"]
    thresholds = ", ".join(f"{db:.1f} dB ({width})" for width, db in lowest.items())
    text = f"""## Bursts missed and imagined

The lowest profile loses 10 % of its packets over AWGN at {thresholds}. Headers of 384 bits; those of the ladder `wide`
have 480.

{table(["width", "Es/N0, dB", "bursts", "not found", "found, header failed"], rows)}

{noise["seconds"] / 60:g} minutes of noise at 1 MS/s: {noise["detections"]} places taken for a preamble,
{noise["bursts"]} with a good header.
"""
    if peer:
        shares = ", ".join(f"{share:.0%} at {snr} dB" for snr, share in peer.items())
        text += f"""
The peer is GNU Radio's `digital.ofdm_tx` and `ofdm_rx`, uncoded QPSK in packets of 96 bytes, without any offset, filter
or fading: received were {shares}.
Its packets fail by their payload too, so what compares is the SNR from which on all goes well.
"""
    return text


def peaks(f: dict) -> str:
    """What a limit of the peaks costs."""
    rows = []
    for limit, p in f["peaks"].items():
        costs = [v for k, v in p.items() if k.startswith("cost")]
        rows.append([limit, f"{p['papr_db']['median']:.1f}", f"{p['papr_db']['max']:.1f}",
                     *("more than 3" if c is None else f"{c:.1f}" for c in costs)])
    names = [k.removeprefix("cost_db ") for k in next(iter(f["peaks"].values())) if k.startswith("cost")]
    return f"""## Peaks

Peak power of a burst over the mean of its OFDM symbols, and how far `papr_db` moves thresholds (AWGN).

{table(["limit, dB", "median burst, dB", "highest, dB", *(f"cost, {n}, dB" for n in names)], rows)}
"""


def speed(f: dict) -> str:
    """CPU time."""
    s = f["speed"]
    rows = [[what, f"{s[name]:.2f}"] for name, what in (
        ("searching", "searching noise"), ("receiving", "a burst of the reference profile every 100 ms"),
        ("receiving_without_pause", "bursts back to back"),
        ("receiving_at_5_ms_per_s", "5 MS/s critical, 7.5 MS/s in: a burst every 100 ms"),
        ("narrow_searching", "`narrow`, 1 MS/s in: looking for a carrier within 100 kHz"),
        ("narrow_receiving", "`narrow`, 1 MS/s in: following one, bursts back to back")) if name in s]
    return f"""## Speed of the receiver

CPU seconds per second of signal at 1 MS/s critical rate ({f["oversampling"]:g} MS/s in) where nothing else is said, one
core of {f["machine"]["cpu"]}.

{table(["what", "share of a core"], rows)}

The cost is linear: per sample, four times as many take {s["four_times_the_samples"]:.2f} times as long.

`benchmarks/sync.py --json benchmarks/results/sync.json --image docs/images/sync.png`
"""


def sections(figures: dict) -> str:
    """All of them, Markdown."""
    return "\n".join(part(figures) for part in (receiver, synchronisation, peaks, speed))
