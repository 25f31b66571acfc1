# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens to packets."""

import numpy as np
import pmt

from ..link import Counts, Link
from ..profile import LinkProfile, load_ladder
from .pdu import PORT, PduBlock, PduError, clock, numbers, rung_of, with_entry

RUNG = pmt.intern("rung")
SWITCHES = 1000  # changes of the rung that may be asked for beforehand


def _place(profile: int, sequence: int, group: int) -> pmt.pmt_base:
    """A dictionary that says which packet it is."""
    meta = with_entry(with_entry(pmt.make_dict(), "sequence", sequence), "group", group)
    return with_entry(meta, "profile", profile)


class entropy_encoder(PduBlock):
    """s16 PDUs of a superframe's tokens in, one u8 PDU of payload bits (one a byte) out for each of its packets.

    Where a PDU brings the entry `soundspring_latent`, the tokens to send are chosen by their error and their bits, as
    the profile's rate_weight weighs them; its vector may then be empty. Entries of the dictionary that comes out:
    `soundspring_sequence` (the superframe's number), `soundspring_group` (0 = base) and `soundspring_profile` (the id
    of the profile or rung).
    A clock PDU (`soundspring_due`) follows each superframe.

    Message port `rung`: the rung of the ladder to send on from the next superframe, an integer or a pair with an
    integer behind; or a dictionary with `soundspring_rung` and `soundspring_sequence`, the superframe to begin with.

    Args:
        profile: name of a link profile or a ladder, or a YAML file.
        rung: place on the ladder to begin with, 0 is the most robust.

    Attributes:
        counts: packets and bits so far, see `link.Counts`.

    Raises:
        ValueError, FileNotFoundError: the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", rung: int = 0):
        PduBlock.__init__(self, "SoundSpring entropy encoder", np.int16)
        link = Link(load_ladder(profile))
        self._profile, self._ladder, self._switches = link.profile, link.ladder, {}
        self.set_rung(rung)
        self._width = link.models.lm.codebooks.shape[2]
        silence = np.zeros((self._profile.superframe, self._width), np.float32)  # to warm up
        link.entropy_encoder().push(latent=silence)
        self._encoder = link.entropy_encoder()
        self.counts = Counts()
        self.message_port_register_in(RUNG)
        self.set_msg_handler(RUNG, self._switch)

    @property
    def superframes(self) -> int:
        """How many were encoded so far."""
        return self._encoder.sequence

    def set_rung(self, rung: int) -> None:
        """Send on another rung of the ladder from the next superframe on; ValueError if there is none such."""
        self._ladder.rung(rung)
        self._asked = rung

    def switch(self, rung: int, first: int) -> None:
        """The same from superframe number `first` on; ValueError too where `SWITCHES` wait already."""
        self._ladder.rung(rung)
        if first not in self._switches and len(self._switches) >= SWITCHES:
            raise ValueError(f"rung: {SWITCHES} changes wait already")
        self._switches[first] = rung

    def _switch(self, message: pmt.pmt_base) -> None:
        """Handler of the port: a rung, at once or from a superframe on."""
        try:
            rung, first = rung_of(message)
            if first is None:
                self.set_rung(rung)
            else:
                self.switch(rung, first)
        except ValueError as error:
            self.drop(str(error))

    def _profile_at(self, sequence: int) -> LinkProfile:
        """The rung to send superframe `sequence` on: of all that was asked, the last whose time has come."""
        for first in sorted(s for s in self._switches if s <= sequence):
            self._asked = self._switches.pop(first)
        return self._ladder.rung(self._asked)

    def process(self, meta, data):
        shape, latent = (self._profile.superframe, self._profile.layers), numbers(meta, "latent")
        if latent is not None:
            if latent.size != shape[0] * self._width or not np.isfinite(latent).all():
                raise PduError(f"{latent.size} values are no latents of {shape[0]} frames of {self._width}")
            latent = latent.reshape(shape[0], self._width)
        if data.size != shape[0] * shape[1] and (data.size or latent is None):
            raise PduError(f"{data.size} tokens where the profile has {shape[0]} frames of {shape[1]} layers")
        tokens = data.reshape(shape) if data.size else None
        profile = self._profile_at(self._encoder.sequence)
        sequence, groups = self._encoder.push(tokens, latent, profile.room)
        self.counts.add_sent(groups)
        for index, group in enumerate(groups):
            yield _place(profile.id, sequence, index), group.bits
        complete = sequence + 1 - len(self._profile.copies)  # its copies included
        self.message_port_pub(PORT, clock(max(complete, 0)))
