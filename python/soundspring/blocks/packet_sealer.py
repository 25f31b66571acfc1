# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload bits to sealed ones: authenticated, and encrypted if asked, with a pre-shared key."""

import numpy as np

from ..link import Link
from ..profile import MAX_RUNGS, load_ladder, with_security
from .pdu import PduBlock, PduError, entry, integer


class packet_sealer(PduBlock):
    """u8 PDUs of payload bits in, from the entropy encoder of the same profile; u8 PDUs of sealed bits out.

    Each flowgraph is a transmission of its own. The dictionary passes through; entries that it reads:
    `soundspring_sequence`, `soundspring_group` and, on a ladder, `soundspring_profile`. Without a key in `key` or in
    the profile PDUs pass unchanged.

    Args:
        profile: name of a link profile or a ladder, or a YAML file; its `security` says how to seal.
        key: file:PATH or env:NAME, where the key is; empty: the profile's. A profile without `security` is then sealed
            with tags of 4 bytes, in the clear; the entropy encoder must leave room for them, so it has to have a
            profile with `security` where packets are of fixed size.

    Raises:
        ValueError, OSError, ModuleNotFoundError: the profile or the key cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", key: str = ""):
        PduBlock.__init__(self, "SoundSpring packet sealer", np.uint8)
        self._link = Link(with_security(load_ladder(profile), key))
        self._sealer = self._link.sealer()

    def process(self, meta, data):
        if self._sealer is None:
            return [(meta, data)]
        if data.size and data.max() > 1:
            raise PduError("bits must be 0 or 1, one a byte")
        ladder = self._link.ladder
        given = entry(meta, "profile") is not None and len(ladder.rungs) > 1
        profile = ladder.find(integer(meta, "profile", MAX_RUNGS)) if given else ladder.common
        if profile is None:
            raise PduError(f"profile {entry(meta, 'profile')} is no rung of {ladder.name}")
        sequence, group = integer(meta, "sequence", 1 << 40), integer(meta, "group", profile.packets)
        return [(meta, self._sealer.seal(sequence, group, data, profile.room[group] if profile.room else None))]
