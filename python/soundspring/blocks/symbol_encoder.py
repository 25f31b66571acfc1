# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound to the symbols of bursts, by any scheme that makes the whole payload of a superframe."""

import time

import numpy as np
import pmt
from gnuradio import gr

from ..analog import SymbolLink
from .pdu import PORT, put_together, with_entry


class symbol_encoder(gr.sync_block):
    """A float stream of speech in (16 kHz, within +-1), one c32 PDU of symbols out for each superframe.

    The symbols have unit mean power and are all of a burst's payload: they go straight to the burst modulator. The
    entry `soundspring_sequence` is the superframe's number. Samples that do not fill the last superframe stay inside,
    so end a recording with one superframe of silence.

    Args:
        link: makes the encoder. name: of the block.
    """

    def __init__(self, link: SymbolLink, name: str = "SoundSpring symbol encoder"):
        gr.sync_block.__init__(self, name=name, in_sig=[np.float32], out_sig=None)
        self._size, self._encoder = link.profile.superframe_samples, link.encoder()
        self._encoder.push(np.zeros(self._size, np.float32))  # warm up before the flowgraph runs
        self._encoder.reset()
        self._waiting = np.zeros(0, np.float32)
        self.sent = 0
        self.cpu_s = 0.0
        self.message_port_register_out(PORT)

    def work(self, input_items, output_items) -> int:
        self._waiting = np.concatenate([self._waiting, input_items[0]])  # the encoder clips
        while len(self._waiting) >= self._size:
            symbols = self._encoder.push(self._waiting[: self._size])[0]
            self._waiting = self._waiting[self._size :]
            meta = with_entry(pmt.make_dict(), "sequence", self.sent % (1 << 16))
            self.message_port_pub(PORT, put_together(meta, symbols))
            self.sent += 1
        self.cpu_s = time.thread_time()
        return len(input_items[0])
