# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens to packets."""

import numpy as np
import pmt

from ..link import Counts, Link
from ..profile import load
from .pdu import PORT, PduBlock, PduError, clock, entry, with_entry


def _place(sequence: int, group: int) -> pmt.pmt_base:
    """A dictionary that says which packet it is."""
    return with_entry(with_entry(pmt.make_dict(), "sequence", sequence), "group", group)


class entropy_encoder(PduBlock):
    """s16 PDUs of a superframe's tokens in, one u8 PDU of payload bits (one a byte) out for each of its packets.

    Where a PDU brings the entry `soundspring_latent`, the tokens to send are chosen by their error and their bits, as
    the profile's rate_weight weighs them. Entries of the dictionary that comes out: `soundspring_sequence` (the
    superframe's number) and `soundspring_group` (0 = base).
    Copies of earlier base packets, where the profile asks for them, come behind the packets of a superframe, with the
    original's entries and `soundspring_copy` (how many superframes earlier that was).
    A clock PDU (`soundspring_due`) follows each superframe.

    Args:
        profile: name of a link profile, or a YAML file.

    Attributes:
        counts: packets and bits so far, see `link.Counts`.

    Raises:
        ValueError, FileNotFoundError: the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference"):
        PduBlock.__init__(self, "SoundSpring entropy encoder", np.int16)
        self._profile = load(profile)
        link = Link(self._profile)
        silence = np.zeros((self._profile.superframe, link.models.lm.codebooks.shape[2]), np.float32)  # to warm up
        link.entropy_encoder().push(latent=silence)
        self._encoder = link.entropy_encoder()
        self._bases: list[tuple[int, np.ndarray]] = []  # sequence and bits, the latest first
        self.counts = Counts()

    def process(self, meta, data):
        shape = (self._profile.superframe, self._profile.layers)
        if data.size != shape[0] * shape[1]:
            raise PduError(f"{data.size} tokens where the profile has {shape[0]} frames of {shape[1]} layers")
        latent = entry(meta, "latent")
        if latent is not None:
            latent = np.asarray(latent, np.float32).reshape(shape[0], -1)
        sequence, groups = self._encoder.push(data.reshape(shape), latent)
        self.counts.add_sent(groups)
        for index, group in enumerate(groups):
            yield _place(sequence, index), group.bits
        for earlier, bits in self._bases:
            self.counts.add_copy(bits)
            yield with_entry(_place(earlier, 0), "copy", sequence - earlier), bits
        self._bases = [(sequence, groups[0].bits), *self._bases][: self._profile.copies]
        self.message_port_pub(PORT, clock(sequence + 1))
