# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealed payload bits back to payload bits; what was not sealed with the key, or came before, is dropped."""

from collections import Counter

import numpy as np

from ..link import Link
from ..profile import MAX_GROUPS, load_ladder, with_security
from .pdu import PduBlock, PduError, entry, integer


class packet_opener(PduBlock):
    """u8 PDUs of sealed bits in, from the LDPC decoder or the packet parser; u8 PDUs of payload bits out.

    The dictionary passes through; entries that it reads: `soundspring_sequence`, `soundspring_group` and
    `soundspring_ok` (false: lost on the air, there is nothing to open). Those that are lost are counted and not passed
    on: nothing vouches for the number that they come with, and the entropy decoder counts as lost what has not come
    when a later superframe does, or the clock. A transmission opens from the superframe on by which its number
    has been told, within 8 superframes. Refused packets are logged once, counted and dropped. Without a key in `key` or
    in the profile PDUs pass unchanged.

    Args:
        profile: name of a link profile or a ladder, or a YAML file; its `security` says how packets are sealed.
        key: file:PATH or env:NAME, where the key is, or `none` to take plain packets unchecked; empty: the profile's.

    Attributes:
        refused: a Counter of refused packets: "joining", "unverified", "replayed".
        lost: packets that were not ok.

    Raises:
        ValueError, OSError, ModuleNotFoundError: the profile or the key cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", key: str = ""):
        PduBlock.__init__(self, "SoundSpring packet opener", np.uint8)
        self._opener = Link(with_security(load_ladder(profile), key)).opener()
        self.refused = self._opener.refused if self._opener else Counter()
        self.lost = 0

    def process(self, meta, data):
        if self._opener is None:
            return [(meta, data)]
        if not entry(meta, "ok", True):
            self.lost += 1
            return []
        if data.size and data.max() > 1:
            raise PduError("bits must be 0 or 1, one a byte")
        sequence, group = integer(meta, "sequence", 1 << 40), integer(meta, "group", MAX_GROUPS)
        return [(meta, self._opener.open(sequence, group, data))]
