# SPDX-License-Identifier: GPL-3.0-or-later
"""The burst header on its way through the FEC: a code block of its own at a very low rate."""

import numpy as np

from .coding.packet import BURST_BITS, BurstHeader, PacketError, pack_burst_header, parse_burst_header
from .fec.ldpc import LdpcCode


class HeaderCode:
    """Burst header <-> code bits: the 25 bits of `coding.packet`, CRC included, in one LDPC code block.

    Args:
        code_bits: length of the coded header, as `phy.header_code_bits` of a profile.

    Raises:
        ValueError: `code_bits` is too small for the header.
    """

    def __init__(self, code_bits: int):
        self._code = LdpcCode(BURST_BITS, code_bits)

    def encode(self, header: BurstHeader) -> np.ndarray:
        """The header's code bits, uint8 [code_bits]. Raises ValueError naming a field that does not fit."""
        return self._code.encode(pack_burst_header(header))

    def decode(self, llr: np.ndarray, model: int | None = None) -> BurstHeader:
        """The header in float32 LLRs [code_bits], positive meaning bit 1.

        Args:
            llr: of the code bits.
            model: the 6-bit id of the weights to insist on; None takes any.

        Raises:
            PacketError: no header that can be used; the message says why.
        """
        result = self._code.decode(llr)
        if not result.ok:
            raise PacketError("the burst header is not decodable: too much noise or a fade")
        return parse_burst_header(result.bits, model)
