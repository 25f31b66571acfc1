#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole radio link: packet loss and quality against SNR, over AWGN and flat Rayleigh fading of 10 Hz Doppler.

Reference profile, the chain as plain functions. The speech is encoded and modulated once; only the channel varies, with
the same seed at every SNR. SNR is the mean Es/N0 per active carrier during the burst. --image draws the figure of the
README.
"""

from pathlib import Path

import numpy as np
from common import RATE, MemoDecoder, about, arguments, means, progress, score, show, speech, write
from soundspring.channel.factory import make_channel
from soundspring.link import Counts, Frame, Link, Models, demodulate, encode, in_order, modulate, render
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


class Listener:
    """Decodes and scores what arrived of one transmission; what arrives twice is scored once."""

    def __init__(self, link: Link, utterances):
        self.link, self.decoder, self.memo = link, MemoDecoder(link), {}
        self.utterances, self.samples = utterances, sum(len(x) for _, x in utterances)

    def __call__(self, frames) -> tuple[Counts, dict]:
        """(sequence, payloads) of every superframe -> (counts, means of the metrics over the utterances)."""
        known = self.decoder.decode(frames)
        key = tuple(map(id, known))  # the decoder keeps them, so an id stays with its superframe
        if key not in self.memo:
            counts = Counts()
            audio, scores, at = render(self.link, known, self.samples, counts), [], 0
            for _, x in self.utterances:
                scores.append(score(x, audio[at : at + len(x)]))
                at += len(x)
            self.memo[key] = counts, means(scores)
        return self.memo[key]


def point(listener: Listener, sent: list, samples: np.ndarray, name: str, snr_db: float, seed: int) -> dict:
    """One channel at one SNR."""
    link = listener.link
    found = through(link, samples, name, snr_db, seed)
    counts, quality = listener(in_order(found, len(sent), len(link.profile.groups)))
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
        **quality,
    }


def draw(figures: dict, path: Path) -> None:
    """Packet loss above, PESQ below, over SNR; wide lines and large letters.

    PESQ of near silence says nothing of speech (it may be high): it is left out where nine packets of ten are lost.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (loss, quality) = plt.subplots(2, 1, figsize=(7, 6.4), sharex=True, layout="constrained")
    for points, colour, label in zip(figures["channels"].values(), ("#1b6ca8", "#c8553d"),
                                     ("AWGN", "Rayleigh, 10 Hz Doppler"), strict=True):
        snr = [p["snr_db"] for p in points]
        loss.plot(snr, [100 * p["packet_loss"] for p in points], "o-", color=colour, lw=2.5, label=label)
        pesq = [(s, p["pesq_wb"]["mean"], p["pesq_wb"]["ci95"] or 0)
                for s, p in zip(snr, points, strict=True)
                if p["pesq_wb"]["mean"] and p["packet_loss"] < 0.9]
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
    image = dict(type=Path, metavar="PNG", help="draw the curves")
    args = arguments(__doc__, argv, seconds=22.5, length=2.5, image=image)
    link = Link(load("reference"), Models())
    size = link.profile.superframe_samples
    utterances = [(v, x[: len(x) // size * size]) for v, x in speech(args)]
    whole = np.concatenate([x for _, x in utterances])
    sent = list(progress(encode(link, whole), "encode", len(whole) // size + 1))
    samples = modulate(link, sent)
    listener = Listener(link, utterances)
    figures = {
        "about": about(args, utterances) | {"profile": link.profile.name, "doppler_hz": DOPPLER_HZ,
                                            "seconds_sent": round(len(whole) / RATE, 2)},
        "without_channel": listener(sent)[1],
        "channels": {n: [] for n in CHANNELS},
    }
    for name, snrs in CHANNELS.items():
        for snr_db in progress(snrs, name):
            figures["channels"][name].append(point(listener, sent, samples, name, snr_db, args.seed))
        for p in figures["channels"][name]:
            print(f"{name:9} {p['snr_db']:3} dB: bursts {p['bursts_detected']}/{p['bursts_sent']}, packets lost "
                  f"{100 * p['packet_loss']:5.1f} %  PESQ-WB {show(p['pesq_wb'])}  STOI {show(p['stoi'], 3)}  "
                  f"PLCMOS {show(p['plcmos'])}")
    write(args, figures)
    if args.image:
        draw(figures, args.image)
    return figures


if __name__ == "__main__":
    main()
