# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits to constellation symbols."""

import numpy as np

from ..modem.qam import map_bits
from .pdu import PduBlock, every, of_group, per_group


class qam_mapper(PduBlock):
    """u8 PDUs of bits in, c32 PDUs of symbols of unit mean energy out (TS 38.211 clause 5.1); the dictionary passes.

    Args:
        bits_per_symbol: 1 (BPSK), 2 (QPSK), 4, 6 or 8 (16-, 64-, 256-QAM); or a list with one for each layer group,
            chosen by the entry `soundspring_group` of the dictionary; or a dictionary of such lists by profile id,
            chosen by the entry `soundspring_profile`.

    Raises:
        ValueError: `bits_per_symbol` is none of these.
    """

    def __init__(self, bits_per_symbol=2):
        PduBlock.__init__(self, "SoundSpring QAM mapper", np.uint8)
        self.set_bits_per_symbol(bits_per_symbol)

    def set_bits_per_symbol(self, bits_per_symbol) -> None:
        """Map what comes from now on otherwise, see above. Raises ValueError and changes nothing where it cannot."""
        orders = per_group(bits_per_symbol=bits_per_symbol)
        for order in every(orders):
            map_bits(np.zeros(0, np.uint8), **order)  # refuses what is no constellation
        self._orders = orders

    def process(self, meta, data):
        return [(meta, map_bits(data, **of_group(meta, self._orders)))]
