# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tx` and `rx` share: options, and the loop that watches a flowgraph, tells of it and ends it."""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from ..profile import load_ladder
from ._common import add_profile, chosen_profile, say, with_key
from ._guard import GONE, MARK, Guard, turn, wanted

TURN_S = 0.1
STATUS_S = 1.0
SENSORS_S = 10.0


def add_live(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--radio",
        required=True,
        metavar="R",
        help="pluto:URI, usrp:ARGUMENTS, zmq:ADDRESS, file:X.sigmf-meta or loopback, with options behind commas: "
        "frequency=433.9M (docs/radios.md)",
    )
    add_profile(parser, ladders=True)
    parser.add_argument("--device", default="", metavar="D", help="of the sound card (default: the usual one)")
    parser.add_argument("--duration", type=float, metavar="S", help="stop after S seconds")
    parser.add_argument("--json", metavar="FILE", help="write events to FILE as lines of JSON (-: standard output)")


def chosen_ladder(args: argparse.Namespace):
    """The ladder, or the profile as one, of --profile; --policy is laid over a profile, a key over both."""
    return load_ladder(chosen_profile(args)) if args.policy else with_key(args, args.profile)


class Events:
    """Tells what happens: to the person on standard error, to programs as JSON lines."""

    def __init__(self, path: str | None):
        if path and path != "-" and MARK not in os.environ:
            Path(path).write_text("")  # a guarded child adds to what was told before, as its parent does
        self._file = sys.stdout if path == "-" else open(path, "a", encoding="utf-8") if path else None
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


def guarded(args: argparse.Namespace, direction: str) -> int | None:
    """Run the command in child processes, where its radio may end the process; None where it need not."""
    if not wanted(args, direction):
        return None
    events = Events(args.json)
    try:
        return Guard(args, events.tell).run()
    finally:
        events.close()


def over(flow, code: int) -> int:
    """The exit code: `code`, unless the radio of a guarded child ended the flowgraph.

    Where a block did not stop, the process ends here: its thread would make an ordinary exit an abort.
    """
    code = GONE if MARK in os.environ and flow.broke else code
    if not flow.ended.is_set():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def sense(flow, events: Events) -> None:
    """Tell what the radio says of itself: all of it to programs, to the person what is wrong."""
    readings = flow.sensors()
    if readings:
        wrong = [name for name, value in readings.items()
                 if value is True or name.endswith("_locked") and value != "true"]
        text = f"the radio says: {', '.join(f'{name} {readings[name]}'.lower() for name in wrong)}" if wrong else ""
        events.tell("sensors", text, **readings)


def _interrupt(number, frame) -> None:
    raise KeyboardInterrupt


def watch(flow, events: Events, duration: float | None, look: Callable[[dict], bool]) -> None:
    """Run a flowgraph until `look(status)`, called every second, says that it is enough; or it ends; or Ctrl-C.

    duration: seconds from the start of the command, not of the flowgraph.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    duration = duration and max(duration - turn().spent, TURN_S)
    cpu, before, due, sensed = time.process_time(), time.monotonic(), 0.0, SENSORS_S / 2
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
            if flow.seconds >= sensed:
                sensed += SENSORS_S
                sense(flow, events)
            if look(status):
                break
    except KeyboardInterrupt:
        pass
    finally:
        if not flow.end():
            events.tell("stuck", "a block of the flowgraph does not stop and is left behind; does the radio answer?")
