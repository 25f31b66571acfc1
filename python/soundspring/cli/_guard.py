# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio whose driver ends the process when the radio is unplugged: it runs in a child, and comes back in another one.

gr-iio ends the process with an exception of its own thread when a Pluto does not answer any more. So `tx` and `rx` run
with one as a child process. When that dies, or its radio ends the stream, the parent says so and starts the next, which
waits until the radio is there again. Files of the first are complete; the second writes to X-2.wav, and so on.
"""

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..hier.radio_address import parse

GUARDED = frozenset({"pluto"})
MARK = "SOUNDSPRING_GUARDED"  # in the child's environment: its number, and the seconds since the first began
GONE = 75  # a child's exit code: the radio gives no samples any more (EX_TEMPFAIL)
AGAIN_S = 2.0
LEAST_S = 1.0  # of --duration that another child is worth
WAV_HEADER = 44
_DEATH = 1  # PR_SET_PDEATHSIG: a child must not outlive its parent, or the radio stays taken


@dataclass(frozen=True)
class Turn:
    """Which child this is (1: the first, or not guarded at all) and the seconds that the ones before took."""

    number: int = 1
    spent: float = 0.0

    @property
    def again(self) -> bool:
        return self.number > 1

    def file(self, path: str | None) -> str | None:
        """The file to write instead of `path`: X-2.wav for the second."""
        if path is None or not self.again:
            return path
        whole = Path(path)
        return str(whole.with_name(f"{whole.stem}-{self.number}{whole.suffix}"))


def turn() -> Turn:
    """Of this process."""
    number, _, spent = os.environ.get(MARK, "1,0").partition(",")
    return Turn(int(number), float(spent))


def wanted(args: argparse.Namespace, direction: str) -> bool:
    """Whether this process is to be the parent of one that has the radio."""
    if MARK in os.environ:
        return False
    radios = [(args.radio, direction), (getattr(args, "send_radio", None), "sink")]
    return any(parse(text, way).kind in GUARDED for text, way in radios if text)


def present(make: Callable, tell: Callable[[str], None]):
    """`make()`, in a child that came after another: as often as it takes until the radio answers."""
    told = not turn().again
    while True:
        try:
            return make()
        except OSError as error:
            if not turn().again:
                raise
            if not told:
                tell(f"waiting for the radio: {error}")
            told = True
            time.sleep(AGAIN_S)


class Guard:
    """The parent: runs one child after the other until one ends by itself, or is asked to end."""

    def __init__(self, args: argparse.Namespace, tell: Callable[..., None]):
        self._args, self._tell = args, tell
        self._child: subprocess.Popen | None = None
        self._asked = False

    def run(self) -> int:
        """The exit code of the last child."""
        begun = time.monotonic()
        before = {number: signal.signal(number, self._forward) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            number = 0
            while True:
                number += 1
                code = self._one(Turn(number, round(time.monotonic() - begun, 2)))
                self._mend(Turn(number))
                left = (self._args.duration or float("inf")) - (time.monotonic() - begun)
                if self._asked or code >= 0 and code != GONE or left < LEAST_S:
                    return max(code, 0)
                why = "it ended the stream" if code == GONE else f"its driver ended the process: {_name(-code)}"
                self._tell("radio", f"the radio is gone ({why}); it will be taken again when it answers", child=number)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _one(self, turn: Turn) -> int:
        environment = os.environ | {MARK: f"{turn.number},{turn.spent}",
                                    "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        command = [sys.executable, "-m", __package__, *self._args.words]
        # In a group of its own, so that Ctrl-C reaches it once, from here.
        self._child = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_mortal)
        if self._asked:
            self._child.send_signal(signal.SIGINT)
        return self._child.wait()

    def _forward(self, number: int, frame) -> None:
        self._asked = True
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(signal.SIGINT)

    def _mend(self, turn: Turn) -> None:
        out = getattr(self._args, "out", None)
        if out and Path(turn.file(out)).is_file():
            mend_wav(turn.file(out))


def mend_wav(path: str | Path) -> None:
    """Write the true lengths into the header of a WAV file whose writer died."""
    size = Path(path).stat().st_size
    if size < WAV_HEADER:
        return
    with open(path, "r+b") as file:
        header = file.read(WAV_HEADER)
        if header[:4] + header[8:16] + header[36:40] != b"RIFFWAVEfmt data":
            return
        for place, length in ((4, size - 8), (40, size - WAV_HEADER)):
            file.seek(place)
            file.write(length.to_bytes(4, "little"))


def _mortal() -> None:
    """In the child, before it becomes another program: end with the parent, and obey Ctrl-C whoever started it."""
    ctypes.CDLL(None).prctl(_DEATH, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
