# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound to tokens."""

import time
from collections.abc import Callable

import numpy as np
import pmt
from gnuradio import gr

from ..link import Link
from ..profile import load_ladder
from .pdu import PORT, put_together, with_entry

IDLE_S = 0.004


class codec_encoder(gr.sync_block):
    """A float stream of speech in (16 kHz, within +-1), one s16 PDU of tokens out for each superframe.

    The vector holds [frames, layers] row by row; entries `soundspring_frames` and `soundspring_layers` tell the shape.
    The entry `soundspring_latent`, f32 [frames, latent], is what the tokens stand for.
    Samples that do not fill the last superframe stay inside, so end a recording with one superframe of silence.

    Args:
        profile: name of a link profile or a ladder, or a YAML file.
        quantise: False leaves the vector empty and saves the time, where an `entropy_encoder` follows: it chooses the
            tokens itself.

    Attributes:
        superframes: how many so far.
        hold: to be set to a function that says when those behind have enough to do: no sound is taken then.

    Raises:
        ValueError, FileNotFoundError: the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", quantise: bool = True):
        gr.sync_block.__init__(self, name="SoundSpring codec encoder", in_sig=[np.float32], out_sig=None)
        link = Link(load_ladder(profile))
        self._profile, self._encoder, self._quantise = link.profile, link.codec_encoder(), quantise
        self._encoder.push(np.zeros(self._profile.superframe_samples, np.float32))  # warm up before the flowgraph runs
        self._encoder.reset()
        self._waiting = np.zeros(0, np.float32)
        self.superframes = 0
        self.hold: Callable[[], bool] = lambda: False
        self.cpu_s = 0.0
        self.message_port_register_out(PORT)

    def work(self, input_items, output_items) -> int:
        if self.hold():
            time.sleep(IDLE_S)  # the scheduler would call again at once
            return 0
        self._waiting = np.concatenate([self._waiting, input_items[0]])  # the encoder clips
        size = self._profile.superframe_samples
        while len(self._waiting) >= size:
            latent = self._encoder.analyse(self._waiting[:size])
            tokens = self._encoder.quantise(latent) if self._quantise else np.zeros(0, np.int16)
            self._waiting = self._waiting[size:]
            self.superframes += 1
            meta = with_entry(pmt.make_dict(), "frames", self._profile.superframe)
            meta = with_entry(with_entry(meta, "layers", self._profile.layers), "latent", latent.ravel())
            self.message_port_pub(PORT, put_together(meta, tokens.ravel()))
        self.cpu_s = time.thread_time()
        return len(input_items[0])
