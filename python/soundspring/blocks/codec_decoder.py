# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents to sound."""

import time
from collections import deque

import numpy as np
from gnuradio import gr

from ..link import FRAME, Link, speak
from ..lm.conceal import Estimate
from ..profile import load_ladder
from .pdu import PduDoor, PduError, entry

IDLE_S = 0.002


class codec_decoder(PduDoor, gr.sync_block):
    """f32 PDUs of latents in, as the concealer makes them, a float stream of speech out (16 kHz, within +-1).

    Sound is aligned with what went into the codec encoder: the first 20 ms, which belong to the overlap before the
    first frame, are left out.

    Args:
        profile: name of a link profile or a ladder, or a YAML file.
        idle: play silence while nothing waits, as a sound card needs; without it the stream pauses.

    Raises:
        ValueError, FileNotFoundError: the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", idle: bool = False):
        gr.sync_block.__init__(self, name="SoundSpring codec decoder", in_sig=None, out_sig=[np.float32])
        link = Link(load_ladder(profile))
        self._decoder, self._width = link.codec_decoder(), link.models.codec.config.latent
        self._decoder.push(np.zeros((1, self._width), np.float32), np.zeros(1, int))  # warm up
        self._decoder.reset()
        self._skip, self._idle = link.models.codec.delay, bool(idle)
        self._queue: deque[Estimate] = deque()
        self._pending = np.zeros(0, np.float32)
        self.accept(np.float32, self._collect)

    def _collect(self, meta, data) -> None:
        layers, gain = entry(meta, "layers"), entry(meta, "gain")
        frames = data.size // self._width
        if data.size != frames * self._width or np.size(layers) != frames or not np.isfinite(data).all():
            raise PduError(f"{data.size} values with {np.size(layers)} layer counts are no latents of {self._width}")
        gain = np.ones(1, np.float32) if gain is None else np.asarray(gain, np.float32)
        concealed = np.zeros(frames, bool)
        self._queue.append(Estimate(data.reshape(frames, self._width), np.asarray(layers, int), gain, concealed))

    @property
    def waiting(self) -> int:
        """Samples that are received and not yet played."""
        return len(self._pending) + sum(len(estimate.layers) for estimate in tuple(self._queue)) * FRAME

    def work(self, input_items, output_items) -> int:
        out, made = output_items[0], 0
        while made < len(out) and (self._pending.size or self._queue):
            if not self._pending.size:
                audio = speak(self._decoder, self._queue.popleft())
                self._pending, self._skip = audio[self._skip :], max(self._skip - len(audio), 0)
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
