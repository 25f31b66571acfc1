# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tx` and `rx` share: options, and the loop that watches a flowgraph, tells of it and ends it."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable

from ..profile import load_ladder
from ._common import add_profile, chosen_profile, say

TURN_S = 0.1
STATUS_S = 1.0


def add_live(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--radio",
        required=True,
        metavar="R",
        help="pluto:URI, usrp:ARGUMENTS, zmq:ADDRESS, file:X.sigmf-meta or loopback, with options behind commas: "
        "frequency=433.9M (docs/radios.md)",
    )
    add_profile(parser)
    parser.add_argument("--device", default="", metavar="D", help="of the sound card (default: the usual one)")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", metavar="FILE", help="write events to FILE as lines of JSON (-: standard output)")


def chosen_ladder(args: argparse.Namespace):
    """The ladder, or the profile as one, of --profile; --policy is laid over a profile."""
    return load_ladder(chosen_profile(args) if args.policy else args.profile)


class Events:
    """Tells what happens: to the person on standard error, to programs as JSON lines."""

    def __init__(self, path: str | None):
        self._file = sys.stdout if path == "-" else open(path, "w", encoding="utf-8") if path else None
        self._live = sys.stderr.isatty()

    def tell(self, event: str, text: str = "", **figures) -> None:
        """An event with its figures; `text` is for the person, none is shown where it is empty."""
        if self._file:
            self._file.write(json.dumps({"event": event, **({"text": text} if text else {}), **figures}) + "\n")
            self._file.flush()
        if text and event == "status" and self._live:
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()
        elif text and event != "status":
            say(f"\r\x1b[K{text}" if self._live else text)

    def close(self) -> None:
        if self._file and self._file is not sys.stdout:
            self._file.close()


def _interrupt(number, frame) -> None:
    raise KeyboardInterrupt


def watch(flow, events: Events, duration: float | None, turn: Callable[[dict], bool]) -> None:
    """Run a flowgraph until `turn(status)`, called every second, says that it is enough; or it ends; or Ctrl-C."""
    signal.signal(signal.SIGTERM, _interrupt)
    cpu, before, due = time.process_time(), time.monotonic(), 0.0
    flow.begin()
    try:
        while not flow.done and not (duration and flow.seconds >= duration):
            time.sleep(TURN_S)
            if flow.seconds < due:
                continue
            due += STATUS_S
            flow.tend()
            now, used = time.monotonic(), time.process_time()
            status = flow.status() | {"cpu": round((used - cpu) / (now - before), 2)}
            cpu, before = used, now
            if turn(status):
                break
    except KeyboardInterrupt:
        pass
    finally:
        if not flow.end():
            events.tell("stuck", "a block of the flowgraph does not stop: the radio may not answer any more")
