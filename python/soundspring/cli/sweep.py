# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring sweep`: schemes, channels, SNRs, files and seeds of a plan, measured once each."""

import argparse
import os
import sys
from importlib.util import find_spec
from pathlib import Path

from ._common import one_thread, say


def register(subparsers) -> None:
    text = "measure the schemes of a plan over its channels"
    parser = subparsers.add_parser(
        "sweep",
        help=text,
        description=f"{text.capitalize()}. Interrupted or killed, the same command goes on where it stopped.",
    )
    parser.add_argument("plan", type=Path, help="a YAML file, see docs/comparison.md")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    parser.add_argument(
        "--workers",
        type=int,
        default=default_workers(),
        metavar="N",
        help="processes on this machine; more than 1 need Dask (default here: %(default)s)",
    )
    parser.add_argument("--cluster", metavar="ADDRESS", help="instead: a Dask scheduler, such as tcp://10.0.0.5:8786")


def default_workers() -> int:
    """All cores where Dask is installed, else this process alone."""
    return (os.cpu_count() or 1) if find_spec("distributed") else 1


def run(args: argparse.Namespace) -> int:
    from ..comparison.plan import load_plan
    from ..comparison.results import Results
    from ..comparison.sweep import sweep

    if args.workers < 1:
        raise ValueError(f"--workers: expected at least 1, got {args.workers}")
    one_thread()
    with Results(args.out, load_plan(args.plan)) as results, Bar() as progress:
        try:
            count = sweep(results, args.workers, args.cluster, progress)
        except ImportError as error:
            raise ValueError(str(error)) from error
    say(f"{count} measured, {len(results.done)} in all: {args.out}/rows.csv. See them: soundspring report {args.out}")
    return 0


class Bar:
    """A progress bar with the time left on a terminal; elsewhere a line now and then."""

    def __enter__(self):
        from tqdm import tqdm

        seldom = 0.1 if sys.stderr.isatty() else 30.0
        self._bar = tqdm(unit="cell", file=sys.stderr, mininterval=seldom, disable=None if seldom < 1 else False)
        return self._tell

    def _tell(self, done: int, total: int) -> None:
        if self._bar.total is None:
            self._bar.total = total
            self._bar.initial = self._bar.n = done  # so that the time left counts what is measured now
            self._bar.refresh()
        self._bar.update(done - self._bar.n)

    def __exit__(self, *_) -> None:
        self._bar.close()
