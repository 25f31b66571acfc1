# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets to tokens, and to the knowledge of what is missing."""

import numpy as np
import pmt

from ..coding.superframe import DecodedSuperframe, Repair
from ..link import Counts, Link
from ..profile import MAX_RUNGS, LinkProfile, load_ladder
from .pdu import PORT, PduBlock, PduError, clock, entry, integer, put_together, with_entry

LIMIT = 1 << 40
KEEP = 1000  # superframes whose fates are remembered one by one, on the air
JUMP = 600  # superframes; a longer gap is a new start, not a loss, if a second superframe follows there


def far_from(sequence: int, following: int, far: dict) -> bool:
    """Whether a superframe is so far from the one that should follow that it belongs to what is held in `far`.

    far: superframes by number that came from far away; those that did not come with this one are taken out.
    """
    if abs(sequence - following) <= JUMP or any(abs(sequence - s) > JUMP for s in far):
        far.clear()
    return abs(sequence - following) > JUMP


class entropy_decoder(PduBlock):
    """u8 PDUs of payload bits in, one s16 PDU of tokens out for every superframe, received or not, in order.

    Entries that it reads: `soundspring_sequence`, `soundspring_group`, `soundspring_ok` (false: the packet is lost)
    and, on a ladder, `soundspring_profile` (of which rung its superframe is). Entries that it sets:
    `soundspring_sequence`, `soundspring_received` (u8 vector: which tokens are known), `soundspring_frames`,
    `soundspring_layers`, `soundspring_sent` (layers that the superframe has packets for) and `soundspring_status` (one
    word for each packet: ok, lost, undecodable or desync). A superframe is decoded when its packets are there, good or
    not, when a later one comes, or when a clock PDU says that it is due. Where the profile has copies it goes out when
    the superframes with copies of it are decoded, and has those too, or when it is due.

    Args:
        profile: name of a link profile or a ladder, or a YAML file.
        first_sequence: superframe to begin with, whose loss counts too; -1: begin with the first that comes.
        copies: wait for them; without, what was lost is not repaired, and sound comes so much sooner.

    Attributes:
        counts: what became of the packets, see `link.Counts`; on the air (`first_sequence` -1) `counts.status` has the
            last thousand superframes only.
        end: superframes in all, where that is known: nothing waits for copies that are never sent.

    Raises:
        ValueError, FileNotFoundError: a parameter, the profile or the models cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", first_sequence: int = -1, copies: bool = True):
        PduBlock.__init__(self, "SoundSpring entropy decoder", np.uint8)
        if first_sequence < -1:
            raise ValueError(f"first_sequence: expected -1 or more, got {first_sequence}")
        self._link = Link(load_ladder(profile))
        self._profile = self._link.profile  # of the superframe before
        self._decoder = self._link.entropy_decoder()  # loads the models, before the flowgraph runs
        self._repair = Repair(len(self._profile.copies) if copies else 0)
        self._next, self.end = first_sequence, LIMIT
        self._open: dict[int, tuple[LinkProfile, dict[int, np.ndarray | None]]] = {}
        self._far: dict[int, tuple[LinkProfile, dict[int, np.ndarray | None]]] = {}  # perhaps another transmission
        self.counts = Counts(keep=KEEP if first_sequence < 0 else None)

    def process(self, meta, data):
        sequence = integer(meta, "sequence", LIMIT)
        profile = self._profile_of(meta)
        group = integer(meta, "group", profile.packets)
        if data.size and data.max() > 1:
            raise PduError("bits must be 0 or 1, one a byte")
        out = []
        if self._next < 0:
            self._restart(sequence)
        far = far_from(sequence, self._next, self._far)
        if sequence < self._next and not far:
            raise PduError(f"superframe {sequence} comes late or twice")
        packets = (self._far if far else self._open).setdefault(sequence, (profile, {}))[1]
        packets[group] = data if entry(meta, "ok", True) else None
        if far:
            if len(self._far) < 2:
                return []
            out = self._restart(min(self._far))
            self._open, self._far = self._far, {}
        stop = sequence
        while stop in self._open and len(self._open[stop][1]) == self._open[stop][0].packets:
            stop += 1
        return out + self._up_to(stop)

    def _profile_of(self, meta) -> LinkProfile:
        """The rung that a packet's superframe is of; packets need not say it where there is but one."""
        rungs = self._link.ladder.rungs
        if len(rungs) == 1:
            return rungs[0]
        profile = self._link.ladder.find(integer(meta, "profile", MAX_RUNGS))
        if profile is None:
            raise PduError(f"profile {entry(meta, 'profile')} is no rung of {self._link.ladder.name}")
        return profile

    def on_clock(self, due: int) -> None:
        if self._next >= 0 and due - self._next <= JUMP:
            until = due if due + self._repair.room < self.end else self.end
            for meta, tokens in self._up_to(until) + [_pdu(d) for d in self._repair.release(until)]:
                self.message_port_pub(PORT, put_together(meta, tokens))
        self.message_port_pub(PORT, clock(due))

    def _restart(self, sequence: int) -> list:
        """Another transmission: nothing of the past helps. Returns what waited."""
        self._open.clear()
        self._decoder, self._next = self._link.entropy_decoder(), sequence
        return [_pdu(d) for d in self._repair.flush()]

    def _up_to(self, stop: int) -> list:
        """Decode the superframes before `stop`, in order, with what there is of them."""
        out = []
        while self._next < stop:
            # A superframe of which nothing came is taken to be of the same rung as the one before.
            self._profile, got = self._open.pop(self._next, (self._profile, {}))
            decoded = self._decoder.push(self._next, [got.get(g) for g in range(self._profile.packets)])
            self.counts.add(decoded)
            if (ready := self._repair.push(decoded)) is not None:
                out.append(_pdu(ready))
            self._next += 1
        return out


def _pdu(decoded: DecodedSuperframe) -> tuple:
    """The dictionary and the vector of a superframe's PDU."""
    meta = with_entry(pmt.make_dict(), "sequence", decoded.sequence)
    meta = with_entry(meta, "received", decoded.received.astype(np.uint8).ravel())
    meta = with_entry(with_entry(meta, "status", " ".join(decoded.status)), "sent", decoded.sent)
    meta = with_entry(with_entry(meta, "frames", decoded.tokens.shape[0]), "layers", decoded.tokens.shape[1])
    return meta, decoded.tokens.ravel()
