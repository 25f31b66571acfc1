# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring report`: the results of a sweep as one page, and as the figure of a README."""

import argparse
from pathlib import Path

from ._common import say, writable


def register(subparsers) -> None:
    text = "make one self-contained HTML page of the results of a sweep"
    parser = subparsers.add_parser("report", help=text, description=f"{text.capitalize()}: DIR/index.html.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="of `soundspring sweep`; it may still be running")
    parser.add_argument("--image", type=Path, metavar="PNG", help="draw PESQ-WB against SNR as one figure, too")


def run(args: argparse.Namespace) -> int:
    from ..comparison.page import write_page

    writable(args.image)
    say(f"report: {write_page(args.folder)}")
    if args.image:
        from ..comparison.drawing import headline
        from ..comparison.results import read

        plan, _, rows = read(args.folder)
        headline(rows, args.image, plan.captions)
        say(f"figure: {args.image}")
    return 0
