# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols of bursts to sound, by any scheme that makes the whole payload of a superframe."""

import time
from collections import deque

import numpy as np
from gnuradio import gr

from ..analog import SymbolLink
from ..link import Counts
from .entropy_decoder import JUMP, KEEP, LIMIT, far_from
from .pdu import PduDoor, PduError, entry, integer, numbers

IDLE_S = 0.002


class symbol_decoder(PduDoor, gr.sync_block):
    """c32 PDUs of equalised symbols in, as from the burst receiver, a float stream of speech out (16 kHz, within +-1).

    Entries that it reads: `soundspring_sequence`, `soundspring_noise_var` (f32 vector, one for each symbol) and
    `soundspring_group`, the place of a part of the payload where it comes in parts. What has not come when a later
    superframe does, or when a clock PDU says that it is due, is concealed. Sound is aligned with what went in.

    Args:
        link: makes the decoder.
        first_sequence: superframe to begin with, whose loss counts too; -1: begin with the first that comes.
        idle: play silence while nothing waits, as a sound card needs; without it the stream pauses.
        name: of the block.

    Attributes:
        counts: what became of the parts of superframes, see `link.Counts`.

    Raises:
        ValueError: a parameter is out of range.
    """

    def __init__(self, link: SymbolLink, first_sequence: int = -1, idle: bool = False,
                 name: str = "SoundSpring symbol decoder"):
        gr.sync_block.__init__(self, name=name, in_sig=None, out_sig=[np.float32])
        if first_sequence < -1:
            raise ValueError(f"first_sequence: expected -1 or more, got {first_sequence}")
        self._link = link
        self._parts, self._symbols = link.parts, link.profile.phy.payload_symbols
        self._decoder, self._skip = link.decoder(), link.delay
        self._decoder.lost()  # warm up
        self._decoder.reset()
        self._next, self._idle = first_sequence, bool(idle)
        self._open: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # symbols and noise of superframes not complete
        self._far: dict[int, tuple[np.ndarray, np.ndarray]] = {}  # perhaps of another transmission
        self._queue: deque[tuple[np.ndarray, np.ndarray] | None] = deque()  # None: another transmission begins
        self._pending = np.zeros(0, np.float32)
        self.counts = Counts(keep=KEEP if first_sequence < 0 else None)
        self.accept(np.complex64, self._collect)

    def _collect(self, meta, symbols) -> None:
        sequence = integer(meta, "sequence", LIMIT)
        part = slice(0, self._symbols)
        if entry(meta, "group") is not None:
            part = self._parts[integer(meta, "group", len(self._parts))]
        noise_var = numbers(meta, "noise_var")
        noise_var = np.zeros(0, np.float32) if noise_var is None else noise_var
        if symbols.size != part.stop - part.start or noise_var.shape != symbols.shape or not (noise_var >= 0).all():
            raise PduError(f"{symbols.size} symbols with {noise_var.size} variances where {part.stop - part.start} "
                           "of each are needed")
        if self._next < 0:
            self._restart(sequence)
        far = far_from(sequence, self._next, self._far)
        if sequence < self._next and not far:
            raise PduError(f"superframe {sequence} comes late or twice")
        own = (self._far if far else self._open).setdefault(sequence, self._nothing())
        own[0][part], own[1][part] = symbols, noise_var
        if far:
            if len(self._far) < 2:
                return
            self._restart(min(self._far))
            self._open, self._far = self._far, {}
        stop = sequence
        while stop in self._open and np.isfinite(self._open[stop][1]).all():
            stop += 1
        self._up_to(stop)

    def _nothing(self) -> tuple[np.ndarray, np.ndarray]:
        return np.zeros(self._symbols, np.complex64), np.full(self._symbols, np.inf, np.float32)

    def on_clock(self, due: int) -> None:
        if self._next >= 0 and due - self._next <= JUMP:
            self._up_to(due)

    def _restart(self, sequence: int) -> None:
        """Another transmission: nothing of the past helps."""
        self._open.clear()
        self._queue.append(None)
        self._next = sequence

    def _up_to(self, stop: int) -> None:
        """Queue the superframes before `stop`, in order, with what there is of them."""
        while self._next < stop:
            own = self._open.pop(self._next, None) or self._nothing()
            self.counts.note(fates := self._link.fates(*own))
            self.counts.frames_concealed += 0 if "ok" in fates else self._link.profile.superframe
            self._queue.append(own)
            self._next += 1

    def work(self, input_items, output_items) -> int:
        out, made = output_items[0], 0
        while made < len(out) and (self._pending.size or self._queue):
            if not self._pending.size:
                self._pending = self._play(self._queue.popleft())
            count = min(len(out) - made, self._pending.size)
            out[made : made + count] = self._pending[:count]
            self._pending = self._pending[count:]
            made += count
        if not made:
            if self._idle:
                made = min(len(out), 320)
                out[:made] = 0.0
            else:
                time.sleep(IDLE_S)  # the scheduler would call again at once
        self.cpu_s = time.thread_time()
        return made

    def _play(self, superframe: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
        """The sound of one superframe, without what belongs to the overlap before the first."""
        if superframe is None:
            self._decoder.reset()
            return np.zeros(0, np.float32)
        audio = self._decoder.push(*(x[None] for x in superframe))
        skip, self._skip = self._skip, max(self._skip - len(audio), 0)
        return audio[skip:]
