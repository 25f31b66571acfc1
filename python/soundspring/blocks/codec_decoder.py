# SPDX-License-Identifier: GPL-3.0-or-later
"""Latents to sound."""

import time
from collections import deque

import numpy as np
from gnuradio import gr

from ..audio.follower import Follower
from ..link import FRAME, Link, speak
from ..lm.conceal import Estimate
from ..profile import MAX_LAYERS, SAMPLE_RATE, load_ladder
from .pdu import PduDoor, PduError, numbers

IDLE_S = 0.004
ROOM_S = 0.1  # the longest wait for a sound card to take something
LOUDEST = 1e6  # of a latent's values; those of speech stay below a hundred
BUFFER = 1024  # samples behind a playout buffer, all of them delay: a page of memory, GNU Radio cannot do with less


class codec_decoder(PduDoor, gr.sync_block):
    """f32 PDUs of latents in, as the concealer makes them, a float stream of speech out (16 kHz, within +-1).

    Sound is aligned with what went into the codec encoder: the first 20 ms, which belong to the overlap before the
    first frame, are left out.

    Args:
        profile: name of a link profile or a ladder, or a YAML file.
        idle: play silence while nothing waits, as a sound card needs; without it the stream pauses.
        playout_ms: keep so much sound back for superframes that come late, and let the speed of playing follow the
            sender's clock (see `audio.Follower`), in place of both; 0: none.

    Attributes:
        follower: the playout buffer, None without one. due: number in the last clock PDU.
        samples: of speech in all the latents that came before.

    Raises:
        ValueError, FileNotFoundError: the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", idle: bool = False, playout_ms: float = 0.0):
        gr.sync_block.__init__(self, name="SoundSpring codec decoder", in_sig=None, out_sig=[np.float32])
        link = Link(load_ladder(profile))
        self._decoder, self._width = link.codec_decoder(), link.models.codec.config.latent
        self._decoder.push(np.zeros((1, self._width), np.float32), np.zeros(1, int))  # warm up
        self._decoder.reset()
        self._skip, self._idle = link.models.codec.delay, bool(idle)
        if not 0 <= playout_ms <= 1000:
            raise ValueError(f"playout_ms: expected 0 to 1000, got {playout_ms}")
        depth = round(playout_ms * SAMPLE_RATE / 1000)
        self.follower = Follower(depth, link.profile.superframe_samples) if depth else None
        if self.follower is not None:
            self.set_max_output_buffer(BUFFER)
        self._card, self._lead = None, 0
        self.due, self.samples = 0, -self._skip
        self._queue: deque[Estimate] = deque()
        self._pending = np.zeros(0, np.float32)
        self.accept(np.float32, self._collect)

    def _collect(self, meta, data) -> None:
        layers, gain = numbers(meta, "layers", int), numbers(meta, "gain")
        frames = data.size // self._width
        if not frames or data.size != frames * self._width or np.shape(layers) != (frames,):
            raise PduError(f"{data.size} values with {np.size(layers)} layer counts are no latents of {self._width}")
        if layers.min() < 0 or layers.max() > MAX_LAYERS:
            raise PduError(f"the entry soundspring_layers must have numbers from 0 to {MAX_LAYERS}")
        gain = np.ones(frames + 1, np.float32) if gain is None else gain
        if gain.shape != (frames + 1,) or not (0 <= gain.min() and gain.max() <= 1):
            raise PduError(f"the entry soundspring_gain must have {frames + 1} numbers from 0 to 1")
        if not np.abs(data).max() <= LOUDEST:
            raise PduError("latents that are not finite, or beyond all speech")
        self.samples += frames * FRAME
        estimate = Estimate(data.reshape(frames, self._width), layers, gain, np.zeros(frames, bool))
        if self.follower is None:
            self._queue.append(estimate)
        else:
            self.follower.push(self._speech(estimate))

    def on_clock(self, due: int) -> None:
        self.due = due

    def _speech(self, estimate: Estimate) -> np.ndarray:
        audio = speak(self._decoder, estimate)
        skipped, self._skip = audio[self._skip :], max(self._skip - len(audio), 0)
        return skipped

    def stay_near(self, card, samples: int) -> None:
        """Let at most `samples` wait on their way to a sink: with a playout buffer the rest had better wait in it."""
        self._card, self._lead = card, samples

    @property
    def waiting(self) -> int:
        """Samples that are received and not yet played."""
        if self.follower is not None:
            return self.follower.level
        return len(self._pending) + sum(len(estimate.layers) for estimate in tuple(self._queue)) * FRAME

    def work(self, input_items, output_items) -> int:
        made = self._queued(output_items[0]) if self.follower is None else self._followed(output_items[0])
        if not made:
            time.sleep(IDLE_S)  # some schedulers call again at once, others when a message comes
        self.cpu_s = time.thread_time()
        return made

    def _followed(self, out: np.ndarray) -> int:
        """From the playout buffer, which always has something."""
        count = min(len(out), FRAME)
        if self._card is not None:
            count = min(count, self._room())
        out[:count] = self.follower.pull(count)
        return count

    def _room(self) -> int:
        """Samples that the card may be given, 1 or more: GNU Radio leaves a source that gives none alone for 250 ms."""
        end = time.monotonic() + ROOM_S
        while (room := self._lead - self.nitems_written(0) + self._card.nitems_read(0)) <= 0:
            if time.monotonic() > end:
                return FRAME  # it stands still; the stream's own buffer is full next
            time.sleep(IDLE_S)
        return room

    def _queued(self, out: np.ndarray) -> int:
        """As it came."""
        made = 0
        while made < len(out) and (self._pending.size or self._queue):
            if not self._pending.size:
                self._pending = self._speech(self._queue.popleft())
            count = min(len(out) - made, self._pending.size)
            out[made : made + count] = self._pending[:count]
            self._pending = self._pending[count:]
            made += count
        if not made and self._idle:
            made = min(len(out), FRAME)
            out[:made] = 0.0
        return made
