# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens with gaps to latents without."""

import numpy as np
import pmt

from ..link import Link
from ..profile import load_ladder
from .pdu import PduBlock, PduError, entry, integer, numbers, with_entry


class concealer(PduBlock):
    """s16 PDUs of tokens in, f32 PDUs of latents out: what was lost is estimated by the language model.

    Entries that it reads: `soundspring_received`, a u8 vector that says which tokens are known (all, where it is
    missing), and `soundspring_sent`, how many layers the superframe has packets for (likewise). Entries that it sets:
    `soundspring_layers` (s16 vector, for each frame the layers its latent is worth), `soundspring_gain` (f32 vector,
    the level at the frames' boundaries: a fade for long gaps) and `soundspring_concealed` (u8 vector: which frames are
    estimates). With look-ahead in the profile the answers come that many superframes later.

    Args:
        profile: name of a link profile or a ladder, or a YAML file.

    Attributes:
        frames_concealed: how many so far.

    Raises:
        ValueError, FileNotFoundError: the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference"):
        PduBlock.__init__(self, "SoundSpring concealer", np.int16)
        link = Link(load_ladder(profile))
        self._profile, self._concealer = link.profile, link.concealer()
        empty = np.zeros((self._profile.superframe, self._profile.layers), bool)
        for _ in range(1 + self._profile.lookahead):  # warm up
            self._concealer.push(empty.astype(np.int16), empty)
        self._concealer.reset()
        self.frames_concealed = 0

    def process(self, meta, data):
        shape = (self._profile.superframe, self._profile.layers)
        received = numbers(meta, "received", bool)
        received = np.ones(data.size, bool) if received is None else received
        if data.size != shape[0] * shape[1] or received.shape != data.shape:
            raise PduError(f"{data.size} tokens where the profile has {shape[0]} frames of {shape[1]} layers")
        if data.min() < 0 or data.max() > 1023:
            raise PduError("tokens must be 0..1023")
        sent = None if entry(meta, "sent") is None else integer(meta, "sent", shape[1] + 1)
        estimate = self._concealer.push(data.reshape(shape), received.reshape(shape), sent)
        if estimate is None:
            return []
        self.frames_concealed += int(estimate.concealed.sum())
        out = with_entry(pmt.make_dict(), "layers", estimate.layers.astype(np.int16))
        out = with_entry(out, "gain", estimate.gain.astype(np.float32))
        out = with_entry(out, "concealed", estimate.concealed.astype(np.uint8))
        return [(out, estimate.latent.astype(np.float32).ravel())]
