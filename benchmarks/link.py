#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole radio link: packet loss and quality against SNR, over AWGN and flat Rayleigh fading of 10 Hz Doppler.

Reference profile, the chain as plain functions. The speech is encoded and modulated once; only the channel varies, with
the same seed at every SNR. SNR is the mean Es/N0 per active carrier during the burst. --image draws the figure of the
README.
"""

from pathlib import Path

import numpy as np
from common import RATE, about, arguments, means, progress, score, show, speech, write
from soundspring.channel.factory import make_channel
from soundspring.link import Counts, Frame, Link, Models, decode, demodulate, encode, in_order, modulate
from soundspring.profile import load

CHANNELS = {"awgn": range(-2, 15, 2), "rayleigh": range(0, 21, 4)}
DOPPLER_HZ = 10.0
CHUNK = 1 << 20  # samples that pass the channel at once, to bound memory


def through(link: Link, samples: np.ndarray, name: str, snr_db: float, seed: int) -> list[Frame]:
    """Samples over the channel and through the receiver."""
    channel = make_channel(name, rate=link.sample_rate, snr_db=snr_db, doppler_hz=DOPPLER_HZ,
                           oversampling=link.profile.phy.oversampling, seed=seed)
    received = np.empty_like(samples)
    for at in range(0, len(samples), CHUNK):
        received[at : at + CHUNK] = channel.process(samples[at : at + CHUNK])
    return demodulate(link, received)


def point(link: Link, utterances, sent: list, samples: np.ndarray, name: str, snr_db: float, seed: int) -> dict:
    """One channel at one SNR. The utterances lie back to back in what was sent."""
    counts, groups = Counts(), len(link.profile.groups)
    found = through(link, samples, name, snr_db, seed)
    audio = decode(link, in_order(found, len(sent), groups), sum(len(x) for _, x in utterances), counts)
    scores, at = [], 0
    for _, x in utterances:
        scores.append(score(x, audio[at : at + len(x)]))
        at += len(x)
    packets = np.array(counts.status)
    return {
        "snr_db": snr_db,
        "snr_measured_db": round(float(np.mean([f.burst.snr_db for f in found])), 2) if found else None,
        "bursts_sent": len(sent), "bursts_detected": len(found),
        "packets_sent": packets.size,
        "packet_loss": round(float((packets == "lost").mean()), 4),
        "packet_loss_by_group": np.round((packets == "lost").mean(0), 4).tolist(),
        "packets_undecodable": counts.packets_undecodable, "packets_desync": counts.packets_desync,
        "frames_concealed": counts.frames_concealed,
        **means(scores),
    }


def draw(figures: dict, path: Path) -> None:
    """Packet loss above, PESQ below, over SNR; wide lines and large letters."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (loss, quality) = plt.subplots(2, 1, figsize=(7, 6.4), sharex=True, layout="constrained")
    for (name, points), colour, label in zip(figures["channels"].items(), ("#1b6ca8", "#c8553d"),
                                             ("AWGN", "Rayleigh, 10 Hz Doppler"), strict=True):
        snr = [p["snr_db"] for p in points]
        loss.plot(snr, [100 * p["packet_loss"] for p in points], "o-", color=colour, lw=2.5, label=label)
        pesq = [(s, p["pesq_wb"]["mean"], p["pesq_wb"]["ci95"] or 0)
                for s, p in zip(snr, points, strict=True) if p["pesq_wb"]["mean"]]
        if pesq:
            quality.errorbar(*zip(*((s, m) for s, m, _ in pesq), strict=True), yerr=[c for *_, c in pesq], fmt="o-",
                             color=colour, lw=2.5, capsize=4)
    if top := figures["without_channel"]["pesq_wb"]["mean"]:
        quality.axhline(top, color="#555555", ls="--", lw=1.5, label="nothing lost")
        quality.legend(fontsize=12, loc="lower right")
    loss.set_ylabel("packets lost / %", fontsize=14)
    quality.set_ylabel("PESQ-WB", fontsize=14)
    quality.set_xlabel("SNR per carrier / dB", fontsize=14)
    loss.legend(fontsize=13)
    for axes in (loss, quality):
        axes.grid(alpha=0.3)
        axes.tick_params(labelsize=13)
        axes.spines[["top", "right"]].set_visible(False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=27, length=3, image=dict(type=Path, metavar="PNG", help="draw the curves"))
    link = Link(load("reference"), Models())
    utterances = [(v, x[: len(x) // link.profile.superframe_samples * link.profile.superframe_samples])
                  for v, x in speech(args)]
    whole = np.concatenate([x for _, x in utterances])
    sent = list(progress(encode(link, whole), "encode", len(whole) // link.profile.superframe_samples + 1))
    samples = modulate(link, sent)
    clean = decode(link, sent, len(whole))
    ends = np.cumsum([len(x) for _, x in utterances])
    figures = {
        "about": about(args, utterances) | {"profile": link.profile.name, "doppler_hz": DOPPLER_HZ,
                                            "seconds_sent": round(len(whole) / RATE, 2)},
        "without_channel": means([score(x, clean[end - len(x) : end])
                                  for (_, x), end in zip(utterances, ends, strict=True)]),
        "channels": {n: [] for n in CHANNELS},
    }
    for name, snrs in CHANNELS.items():
        for snr_db in progress(snrs, name):
            p = point(link, utterances, sent, samples, name, snr_db, args.seed)
            figures["channels"][name].append(p)
            print(f"{name:9} {snr_db:3} dB: bursts {p['bursts_detected']}/{p['bursts_sent']}, packets lost "
                  f"{100 * p['packet_loss']:5.1f} %  PESQ-WB {show(p['pesq_wb'])}  STOI {show(p['stoi'], 3)}  "
                  f"PLCMOS {show(p['plcmos'])}", flush=True)
    write(args, figures)
    if args.image:
        draw(figures, args.image)
    return figures


if __name__ == "__main__":
    main()
