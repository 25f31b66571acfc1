# SPDX-License-Identifier: GPL-3.0-or-later
"""LLRs to packets with the LDPC code of 5G NR."""

import numpy as np

from ..fec import crc as crc_of
from .ldpc_encoder import NO_CRC, block_codes
from .pdu import PduBlock, PduError, every, of_group, with_entry


class ldpc_decoder(PduBlock):
    """f32 PDUs of log-likelihood ratios in (positive means bit 1), u8 PDUs of bits out, a code block each.

    Bits come out as the encoder took them in, with the zeros that filled the block. Entries of the dictionary:
    `soundspring_ok` (bool: a codeword that passes its CRC) and `soundspring_iterations` (int, used by the decoder).
    Blocks that are not ok are sent on, unless `drop_bad`.

    Args:
        k, e, bits_per_symbol, crc, whiten: as of the encoder.
        iterations: most iterations of the decoder.
        drop_bad: send nothing for blocks that are not ok.

    Attributes:
        decoded, failed: blocks that were decoded, and those of them that were not ok.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(
        self,
        k=144,
        e=480,
        bits_per_symbol=2,
        crc: str = NO_CRC,
        whiten: bool = True,
        iterations: int = 20,
        drop_bad: bool = False,
    ):
        PduBlock.__init__(self, "SoundSpring LDPC decoder", np.float32)
        self._codes = block_codes(k, e, bits_per_symbol, crc, whiten)
        self._crc = crc
        self._drop_bad = bool(drop_bad)
        self.decoded = self.failed = 0
        self.set_iterations(iterations)

    def set_iterations(self, iterations: int) -> None:
        """Change the most iterations of the decoder, at least 1; ValueError otherwise."""
        for code in every(self._codes):  # checks the number, and compiles before the flowgraph runs
            code.ldpc.decode(np.zeros(code.ldpc.e, np.float32), iterations)
        self._iterations = iterations

    def process(self, meta, data):
        code = of_group(meta, self._codes)
        if data.size != code.ldpc.e:
            raise PduError(f"{data.size} LLRs where a block has {code.ldpc.e}")
        bits, ok, iterations = code.ldpc.decode(data, self._iterations)
        block = bits ^ code.mask
        ok = bool(ok) and (self._crc == NO_CRC or crc_of.check(block, self._crc))
        self.decoded += 1
        self.failed += not ok
        if self._drop_bad and not ok:
            return []
        meta = with_entry(with_entry(meta, "ok", ok), "iterations", int(iterations))
        return [(meta, block[: code.information].copy())]
