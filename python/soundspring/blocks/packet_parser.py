# SPDX-License-Identifier: GPL-3.0-or-later
"""Byte packets back to payload bits; damaged and foreign ones are dropped."""

import numpy as np
import pmt

from ..coding.packet import model_id, parse
from ..link import shared_models
from .packet_formatter import SEQUENCES
from .pdu import PduBlock, with_entry


class packet_parser(PduBlock):
    """u8 PDUs of packets in, as the packet formatter made them; u8 PDUs of payload bits out, for the entropy decoder.

    Entries that it sets: `soundspring_sequence`, unwrapped from the packet's 16 bits, and `soundspring_group`. What
    fails its CRC, or was made by another version or with other weights, is logged once, counted and dropped.

    Args:
        packed: as of the formatter: packets come as bytes, or as one bit a byte.

    Raises:
        FileNotFoundError, ValueError: the models, whose id is insisted on, cannot be used.
    """

    def __init__(self, packed: bool = True):
        PduBlock.__init__(self, "SoundSpring packet parser", np.uint8)
        self._packed = bool(packed)
        self._model = model_id(shared_models().sha256, 16)
        self._last = None

    def process(self, meta, data):
        packet = parse((data if self._packed else np.packbits(data)).tobytes(), self._model)
        half = SEQUENCES // 2
        if self._last is None:
            self._last = packet.sequence
        self._last += (packet.sequence - self._last + half) % SEQUENCES - half
        out = with_entry(with_entry(pmt.make_dict(), "sequence", self._last), "group", packet.group)
        return [(out, packet.bits.copy())]
