# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the air within one process: what one flowgraph sends to `loopback:NAME`, another receives there."""

import threading
from collections import deque

import numpy as np
import pmt
from gnuradio import gr

from .radio_address import Address
from .radio_end import End, pace

LIMIT = 1 << 20  # samples in the air
WAIT_S = 0.05
WAKE = pmt.intern("wake")


class Air:
    """Samples on their way from one block to another; both may wait for a while, so that neither is busy."""

    def __init__(self):
        self._pieces: deque[np.ndarray] = deque()
        self._size = 0
        self._changed = threading.Condition()
        self._idle: gr.basic_block | None = None  # a block that got nothing, to be told when something comes

    def put(self, samples: np.ndarray) -> int:
        """Take samples, 0 if there is no room."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._size < LIMIT, WAIT_S):
                return 0
            self._pieces.append(samples.copy())
            self._size += len(samples)
            self._changed.notify_all()
            idle, self._idle = self._idle, None
        if idle is not None:
            idle.to_basic_block()._post(WAKE, pmt.PMT_NIL)
        return len(samples)

    def get(self, limit: int, block: gr.basic_block | None = None) -> np.ndarray:
        """At most `limit` samples, none if none come; `block` gets a message at its port `wake` when they do."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._pieces, WAIT_S):
                self._idle = block
                return np.zeros(0, np.complex64)
            first = self._pieces.popleft()
            if len(first) > limit:
                self._pieces.appendleft(first[limit:])
            self._size -= min(len(first), limit)
            self._changed.notify_all()
            return first[:limit]


_airs: dict[str, Air] = {}


class _Sender(gr.sync_block):
    def __init__(self, air: Air):
        gr.sync_block.__init__(self, name="SoundSpring loopback sink", in_sig=[np.complex64], out_sig=None)
        self._air = air

    def work(self, input_items, output_items) -> int:
        return self._air.put(input_items[0])


class _Receiver(gr.sync_block):
    """GNU Radio leaves a source that gave nothing alone for 250 ms, unless a message comes."""

    def __init__(self, air: Air):
        gr.sync_block.__init__(self, name="SoundSpring loopback source", in_sig=None, out_sig=[np.complex64])
        self._air = air
        self.message_port_register_in(WAKE)
        self.set_msg_handler(WAKE, self.wake)

    def wake(self, message: pmt.pmt_base) -> None:
        """Handler of the port: that a message came is all it says."""

    def work(self, input_items, output_items) -> int:
        samples = self._air.get(len(output_items[0]), self)
        output_items[0][: len(samples)] = samples
        return len(samples)


def source(address: Address, rate: float) -> End:
    """Receive what is sent to the same name; the radio gives it the simulated channel."""
    return End([_Receiver(_airs.setdefault(address.target, Air()))], rate, bounded=False)


def sink(address: Address, rate: float) -> End:
    """Send, at the pace of a radio."""
    return End([pace(rate), _Sender(_airs.setdefault(address.target, Air()))], rate)
