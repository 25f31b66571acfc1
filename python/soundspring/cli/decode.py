# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring decode`: a .ssp file, or what is left of it, to sound."""

import argparse
from dataclasses import replace

from ._common import add_key, one_thread, progress, say, writable


def register(subparsers) -> None:
    parser = subparsers.add_parser("decode", help="turn a .ssp file back into sound, concealing what is lost")
    parser.add_argument("input", help="the .ssp file; truncated and damaged ones are read as far as they go")
    parser.add_argument("output", help="the WAV file to write")
    parser.add_argument("--loss", metavar="L", help="drop packets: bernoulli:0.1, gilbert:0.1,3, wlan or a trace file")
    parser.add_argument("--seed", type=int, default=0, help="of the loss (default: 0)")
    add_key(parser)


def run(args: argparse.Namespace) -> int:
    from ..audio.io import write
    from ..channel.loss import parse_loss
    from ..coding.seal import PIECES
    from ..coding.ssp import read_ssp
    from ..link import Counts, Link, Models, decode, drop_packets, from_packets, joined

    writable(args.output)
    one_thread()
    loss = parse_loss(args.loss, args.seed) if args.loss else None
    models, counts = Models(), Counts()
    meta, packets, stats = read_ssp(args.input, models.sha256)
    link = Link(sealed_as(args, meta), models)
    # One frame of the transform follows the last sample.
    total = -(-(meta.samples + models.codec.delay) // link.profile.superframe_samples)
    frames = from_packets(link, drop_packets(packets, loss), max(total, PIECES))  # short sealed files are filled up
    opener = joined(link, frames)
    audio = decode(link, progress(frames[:total], total, "decoding"), meta.samples, counts, opener=opener)
    write(args.output, audio)
    say(
        f"{args.output}: {meta.samples / 16000:.2f} s; {stats.packets} packets read, {counts.packets_lost} lost"
        f"{f' ({counts.packets_refused} refused)' if counts.packets_refused else ''}, "
        f"{counts.packets_undecodable} undecodable, {counts.packets_desync} damaged; "
        f"{counts.frames_concealed} frames concealed"
    )
    return 0


def sealed_as(args: argparse.Namespace, meta):
    """The file's profile with the key of --key. What a file says of keys is not followed: it may be anybody's."""
    from ..profile import from_dict, replace_profile

    profile = from_dict(meta.settings)
    if profile.security is None:
        if args.key:
            raise ValueError(f"--key: {args.input} is not authenticated; leave it out to hear it all the same")
        return profile
    if not args.key:
        raise ValueError(f"{args.input} is authenticated; name its key with --key, as file:PATH or env:NAME")
    return replace_profile(profile, security=replace(profile.security, key=args.key))
