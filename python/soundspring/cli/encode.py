# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring encode`: a sound file to a .ssp file."""

import argparse

from .. import profile as profiles
from ._common import add_profile, chosen_profile, one_thread, progress, read_speech, say, writable


def register(subparsers) -> None:
    parser = subparsers.add_parser("encode", help="compress a sound file to packets in a .ssp file")
    parser.add_argument("input", help="any sound file; mixed to mono and resampled to 16 kHz")
    parser.add_argument("output", help="the .ssp file to write")
    add_profile(parser)
    parser.add_argument("--rate", choices=profiles.RATES, help="raw rate in bit/s; packets then vary in size")


def run(args: argparse.Namespace) -> int:
    import numpy as np

    from ..coding.seal import PIECES
    from ..coding.ssp import SspMeta, write_ssp
    from ..link import Counts, Link, encode, superframes, to_packets

    writable(args.output)
    one_thread()
    link, counts = Link(chosen_profile(args)), Counts()
    audio = read_speech(args.input)
    least = PIECES * link.profile.superframe_samples if link.profile.security else 0  # to tell where numbers start
    padded = np.pad(audio, (0, max(least - len(audio), 0)))
    total = len(superframes(padded, link.profile))
    frames = list(progress(encode(link, padded, counts), total, "encoding"))
    packets = to_packets(link, frames)
    meta = SspMeta(link.models.sha256, link.profile.name, len(audio), settings=link.profile.to_dict())
    write_ssp(args.output, meta, packets)
    seconds, security = len(audio) / 16000, link.profile.security
    cost = f" and {security.cost_bits * len(packets) / seconds:.0f} bit/s of authentication" if security else ""
    copies = f" + {counts.copy_bits / seconds:.0f} of copies" if counts.copy_bits else ""
    say(
        f"{args.output}: {seconds:.2f} s in {len(packets)} packets, {counts.model_bits / seconds:.0f} bit/s of tokens"
        f"{copies}, {8 * sum(len(p.to_bytes()) for p in packets) / seconds:.0f} bit/s with packet headers{cost}"
    )
    return 0
