# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets to code bits with the LDPC code of 5G NR."""

from typing import NamedTuple

import numpy as np

from ..fec import crc as crc_of
from ..fec.ldpc import LdpcCode
from ..fec.scramble import whitening
from .pdu import PduBlock, PduError, every, for_each, of_group, per_group

NO_CRC = "none"


class BlockCode(NamedTuple):
    """The code of one group: `information` bits of the k are not CRC; `mask` [k] is added to the block."""

    ldpc: LdpcCode
    information: int
    mask: np.ndarray


def block_codes(k, e, bits_per_symbol, crc: str, whiten: bool) -> "list[BlockCode] | dict[int, list[BlockCode]]":
    """The codes of all groups, as `of_group` takes them. Raises ValueError naming the parameter out of range."""
    check = 0 if crc == NO_CRC else crc_of.length(crc)

    def make(k, e, bits_per_symbol) -> BlockCode:
        code = LdpcCode(k, e, bits_per_symbol)
        if check >= code.k:
            raise ValueError(f"k: a block with {crc} needs more than {check} bits, not {code.k}")
        return BlockCode(code, code.k - check, whitening(code.k) if whiten else np.zeros(code.k, np.uint8))

    return for_each(lambda group: make(**group), per_group(k=k, e=e, bits_per_symbol=bits_per_symbol))


class ldpc_encoder(PduBlock):
    """u8 PDUs of bits in, u8 PDUs of code bits out, a code block each; the dictionary passes through.

    A packet shorter than its block is filled up with zeros. Where `k`, `e` or `bits_per_symbol` are lists, they have
    one number for each layer group, and the entry `soundspring_group` of the dictionary says which one to use. Where
    they are dictionaries of such lists, the entry `soundspring_profile` says which list.

    Args:
        k: bits of a block before the code, CRC included.
        e: code bits of a block.
        bits_per_symbol: modulation order of the bit interleaver (TS 38.212 clause 5.4.2.2); 1 for none.
        crc: "none" or a CRC of TS 38.212 ("CRC16", "CRC24A", ...) that is attached to each block.
        whiten: add the fixed pattern of `fec.scramble.whitening`, so that zeros do not make the all-zero codeword.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(self, k=144, e=480, bits_per_symbol=2, crc: str = NO_CRC, whiten: bool = True):
        PduBlock.__init__(self, "SoundSpring LDPC encoder", np.uint8)
        self._codes = block_codes(k, e, bits_per_symbol, crc, whiten)
        self._crc = crc
        for code in every(self._codes):
            code.ldpc.encode(code.mask)  # compiles before the flowgraph runs

    def process(self, meta, data):
        code = of_group(meta, self._codes)
        if data.size > code.information:
            raise PduError(f"{data.size} bits exceed the block of {code.information}")
        block = np.zeros(code.information, np.uint8)
        block[: data.size] = data
        if self._crc != NO_CRC:
            block = crc_of.attach(block, self._crc)
        if block.max() > 1:
            raise PduError("bits must be 0 or 1, one a byte")
        return [(meta, code.ldpc.encode(block ^ code.mask))]
