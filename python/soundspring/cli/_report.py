# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTML page of one run of `soundspring link`."""

import argparse
import shlex
from pathlib import Path

import numpy as np

from .. import __version__
from ..evaluation.report import LinkReport, LossRow, Track, write_report

SYMBOLS = 4000  # shown in the constellation: more only make it black
HIGHLIGHTS = (
    ("pesq_wb", "PESQ-WB (1 to 4.6)"),
    ("stoi", "STOI (0 to 1)"),
    ("plcmos", "PLCMOS (1 to 5)"),
    ("bitrate_bps", "bit/s of the source"),
    ("frames_concealed", "frames concealed"),
    ("rtf_rx", "receiver, of real time"),
)
METRICS = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "si_sdr_db": "SI-SDR / dB", "plcmos": "PLCMOS"}


def write_link_report(args: argparse.Namespace, link, audio: np.ndarray, result, figures: dict) -> Path:
    """Write --report/index.html and return its path.

    audio float32 [n]: what was sent, result: a `link.LinkResult`, figures: those of --json.
    """
    import torch

    from ..evaluation.metrics import score

    c, tracks, rows = result.counts, [Track("original", audio)], []
    received = "what the receiver plays" + (", lost frames concealed by the model" if c.frames_concealed else "")
    tracks.append(Track("received", result.audio, received))
    rows.append({"sound": "received"} | {name: figures[key] for key, name in METRICS.items()})
    if args.scheme == "soundspring" and any(fate != "ok" for status in c.status for fate in status):
        plain = muted(link, audio, c.status)
        tracks.append(Track("received, without concealment", plain,
                            "lost enhancement packets left out, superframes without a base packet muted"))
        measured = score(audio, plain)
        rows.append({"sound": "without concealment"} | {name: measured[key] for key, name in METRICS.items()})
    step = -(-len(result.symbols) // SYMBOLS) or 1
    return write_report(args.report, LinkReport(
        title="A voice over the channel",
        command=command(args),
        summary=sentence(args, figures),
        highlights=[(label, figures[key]) for key, label in HIGHLIGHTS],
        tracks=tracks,
        losses=loss_map(link, c.status),
        duration_s=len(c.status) * link.profile.superframe_samples / 16000,
        metrics=rows,
        symbols=result.symbols[::step],
        settings={k: v for k, v in figures.items() if k not in METRICS} | {
            "soundspring": __version__, "torch": torch.__version__, "numpy": np.__version__},
    ))


def sentence(args: argparse.Namespace, f: dict) -> str:
    """What happened, in words."""
    names = {"none": "packets alone, without a radio", "awgn": "an AWGN channel", "rayleigh": "a Rayleigh channel",
             "rician": "a Rician channel"}
    where = names.get(f["channel"], f"a {f['channel'].upper()} channel")
    where += f" at {f['snr_db']:g} dB Es/N0" if f["snr_db"] is not None else ""
    where += f" with packet loss {f['loss']}" if f["loss"] else ""
    gone = f["packets_lost"] + f["packets_undecodable"] + f["packets_desync"]
    fate = f"all {f['packets_sent']} packets arrived" if not gone else (
        f"{gone} of {f['packets_sent']} packets were lost or useless, {f['frames_concealed']} frames were concealed")
    return f"{Path(args.input).name}, {f['duration_s']:.1f} s of speech, over {where}: {fate}."


def command(args: argparse.Namespace) -> str:
    """The command line that repeats the run: every option that is not at its default."""
    from .main import build_parser

    defaults = vars(build_parser(["link"]).parse_args(["link", args.input, args.output]))
    words = ["soundspring", "link", args.input, args.output]
    for name, value in vars(args).items():
        if value is not None and value is not False and defaults.get(name, value) != value:
            said = [] if value is True else [f"{value:g}" if isinstance(value, float) else str(value)]
            words += [f"--{name.replace('_', '-')}", *said]
    return shlex.join(words)


def loss_map(link, status: list[tuple[str, ...]]) -> list[LossRow]:
    """One row for each packet of a superframe or part of a burst, one for its frames."""
    from ..analog import SymbolLink

    fates = ["ok" if all(fate == "ok" for fate in s) else "concealed" for s in status]
    frames = LossRow("frames", [fate for fate in fates for _ in range(link.profile.superframe)])
    if isinstance(link, SymbolLink):
        names = [f"part {g + 1} of the burst" for g in range(len(link.parts))] if len(link.parts) > 1 else ["bursts"]
        return [*(LossRow(n, list(s)) for n, s in zip(names, zip(*status, strict=True), strict=True)), frames]
    layers = [link.profile.group_layers(g) for g in range(link.profile.packets)]
    names = ["base" if g == 0 else "enhancement" for g in range(len(layers))]
    rows = [LossRow(f"{name} (layers {a + 1}-{b})", [s[g] for s in status])
            for g, (name, (a, b)) in enumerate(zip(names, layers, strict=True))]
    return [*rows, frames]


def muted(link, audio: np.ndarray, status: list[tuple[str, ...]]) -> np.ndarray:
    """The same losses without concealment: what leading layers came, and silence where none did; float32 [n].

    Only usable packets are decoded again, and those are the ones that were sent.
    """
    from ..codec.api import latents
    from ..coding.superframe import repaired
    from ..link import Counts, encode, joined, opened, speak
    from ..lm.conceal import Estimate

    coder, codec, level, out = link.entropy_decoder(), link.codec_decoder(), 1.0, []
    sent = list(encode(link, audio))
    if opener := joined(link, sent):
        sent = opened(opener, sent, Counts())
    known = (
        coder.push(sequence, [bits if fate == "ok" else None for bits, fate in zip(payloads, fates, strict=True)])
        for (sequence, payloads), fates in zip(sent, status, strict=True)
    )
    for decoded in repaired(known, len(link.profile.copies)):
        depth = int(decoded.received.all(0).cumprod().sum())
        tokens = decoded.tokens[:, : max(depth, 1)]
        gain = np.full(len(tokens) + 1, float(depth > 0), np.float32)
        gain[0], level = level, gain[-1]
        layers = np.full(len(tokens), depth)
        out.append(speak(codec, Estimate(latents(codec.codec, tokens) * (depth > 0), layers, gain, layers < 0)))
    sound = np.concatenate(out)[link.models.codec.delay :]
    return np.pad(sound, (0, max(len(audio) - len(sound), 0)))[: len(audio)]
