# SPDX-License-Identifier: GPL-3.0-or-later
"""Payload bits to byte packets, for any network or modem that carries bytes."""

import numpy as np

from ..coding.packet import Packet, model_id, payload_bytes
from ..link import shared_models
from .pdu import PduBlock, PduError, integer, with_entry

SEQUENCES = 1 << 16


class packet_formatter(PduBlock):
    """u8 PDUs of payload bits in, from the entropy encoder; u8 PDUs of packets out: header, payload and CRC-16.

    The packet tells its version, model, superframe and layer group by itself (docs/wire-format.md), so nothing of the
    dictionary has to reach the other end.

    Args:
        packed: packets come as bytes, for networks; without it one bit a byte, most significant first, for modems.

    Raises:
        FileNotFoundError, ValueError: the models, whose id goes into the header, cannot be used.
    """

    def __init__(self, packed: bool = True):
        PduBlock.__init__(self, "SoundSpring packet formatter", np.uint8)
        self._packed = bool(packed)
        self._model = model_id(shared_models().sha256, 16)

    def on_clock(self, due: int) -> None:
        """Clocks stay here: to a network they would be empty packets."""

    def process(self, meta, data):
        if data.size and data.max() > 1:
            raise PduError("bits must be 0 or 1, one a byte")
        sequence, group = integer(meta, "sequence", 1 << 40), integer(meta, "group", 8)
        packet = Packet(self._model, sequence % SEQUENCES, group, payload_bytes(data))
        meta = with_entry(meta, "sequence", packet.sequence)
        out = np.frombuffer(packet.to_bytes(), np.uint8)
        return [(meta, out.copy() if self._packed else np.unpackbits(out))]
