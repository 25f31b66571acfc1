# SPDX-License-Identifier: GPL-3.0-or-later
"""What the sub-commands that handle sound share."""

import argparse
import os
import sys
from pathlib import Path

from .. import profile as profiles
from ..profile import LinkProfile


def add_profile(parser: argparse.ArgumentParser, default: str | None = "reference", ladders: bool = False) -> None:
    """--profile and --policy; with `ladders` the help names those too."""
    also = f"; a ladder of profiles: {', '.join(profiles.ladders())}" if ladders else ""
    parser.add_argument(
        "--profile",
        default=default,
        metavar="P",
        help=f"one of {', '.join(profiles.profiles())}, or a YAML file{also} (default: {default})",
    )
    parser.add_argument("--policy", choices=profiles.POLICIES, help="what packets may lean on (default: the profile's)")
    add_key(parser)
    parser.add_argument("--encrypt", action="store_true", default=None,
                        help="encrypt the packets too; both ends must say so, and it is not allowed on every band")
    parser.add_argument("--tag-bytes", type=int, metavar="N", help="of each packet's tag: 4 (default), 6, 8, .. 16")


def add_key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--key",
        metavar="K",
        help="authenticate packets with the key in file:PATH or env:NAME, 32 or 64 hexadecimal digits; `none` takes "
        "authenticated packets without a check (docs/authentication.md; default: the profile's)",
    )


def with_key(args: argparse.Namespace, ladder: LinkProfile | profiles.Ladder) -> profiles.Ladder:
    """--key, --encrypt and --tag-bytes laid over a profile's `security`."""
    ladder = profiles.load_ladder(ladder)
    if not (args.key or ladder.common.security) and (args.encrypt or args.tag_bytes is not None):
        raise ValueError("--encrypt, --tag-bytes: need a key; name one with --key")
    return profiles.with_security(ladder, args.key, args.encrypt, args.tag_bytes)


def chosen_profile(args: argparse.Namespace) -> LinkProfile:
    """The profile of --profile with --policy and --rate, where the command has them, laid over it."""
    chosen = profiles.load(args.profile)
    if getattr(args, "rate", None):
        chosen = chosen.with_layers(profiles.RATES[args.rate])
    if args.policy and args.policy != chosen.policy:
        changes = {"window": max(chosen.window, 4), "copies": ()} if args.policy == "chained" else {}
        chosen = profiles.replace_profile(chosen, policy=args.policy, **changes)
    return with_key(args, chosen).common


def one_thread() -> None:
    """Keep torch and the BLAS to one thread: on nets of this size more threads cost more than they bring."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch

    torch.set_num_threads(1)


def say(text: str) -> None:
    """A line for the person at the terminal; results for programs go to files."""
    sys.stderr.write(text + "\n")


def read_speech(path: str):
    """float32 [n] at 16 kHz; says what was changed on the way."""
    from ..audio.io import read

    audio, info = read(path)
    for note in info.notes:
        say(f"{path}: {note}")
    return audio


def writable(*paths: str | Path | None) -> None:
    """Refuse files that cannot be written before the work begins, not after. None and - are passed over."""
    for path in paths:
        if path is None or str(path) == "-":
            continue
        folder = Path(path).parent
        if not folder.is_dir():
            raise ValueError(f"{path}: there is no folder {folder}; make it first")
        if Path(path).is_dir():
            raise ValueError(f"{path}: is a folder; name a file in it")


def progress(items, total: int, label: str):
    """A progress bar on a terminal, nothing elsewhere."""
    from tqdm import tqdm

    return tqdm(items, total=total, desc=label, unit="superframe", disable=not sys.stderr.isatty(), leave=False)
