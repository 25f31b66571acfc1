# SPDX-License-Identifier: GPL-3.0-or-later
"""The burst header on its way through the FEC: a code block of its own at a very low rate."""

from functools import cached_property

import numpy as np
from scipy.special import ndtri

from .coding.packet import (
    BURST_BITS,
    BadCrc,
    BurstHeader,
    PacketError,
    WrongModel,
    pack_burst_header,
    parse_burst_header,
)
from .fec.ldpc import LdpcCode

PROFILES, MODELS, SEQUENCES = 8, 64, 256
CHANCE = 1e-3  # of taking noise for a header by likelihood alone


class HeaderCode:
    """Burst header <-> code bits: the 25 bits of `coding.packet`, CRC included, in one LDPC code block.

    A block so short is far from its limit under belief propagation. So where that fails, the header is compared with
    all there can be, which decodes at 2 dB less. The most likely one has to be more likely than noise would make any of
    them, which takes the place of the CRC.

    Args:
        code_bits: length of the coded header, as `phy.header_code_bits` of a profile.

    Raises:
        ValueError: `code_bits` is too small for the header.
    """

    def __init__(self, code_bits: int):
        self._code = LdpcCode(BURST_BITS, code_bits)
        self._generator = self._code.encode(np.eye(BURST_BITS))

    def encode(self, header: BurstHeader) -> np.ndarray:
        """The header's code bits, uint8 [code_bits]. Raises ValueError naming a field that does not fit."""
        return pack_burst_header(header) @ self._generator & 1

    def decode(self, llr: np.ndarray, model: int | None = None) -> BurstHeader:
        """The header in float32 LLRs [code_bits], positive meaning bit 1.

        Args:
            llr: of the code bits.
            model: the 6-bit id of the weights to insist on; None takes any.

        Raises:
            PacketError: no header that can be used; the message says why.
        """
        result = self._code.decode(llr)
        if result.ok:
            try:
                return parse_burst_header(result.bits, model)
            except BadCrc:
                pass  # another codeword than the one sent
        return self._most_likely(llr, model)

    def _most_likely(self, llr: np.ndarray, model: int | None) -> BurstHeader:
        """Maximum likelihood over all headers of this version. Raises PacketError where noise would do as well."""
        models, others = self._signs
        llr = np.nan_to_num(np.asarray(llr, np.float32), nan=0.0, posinf=1e5, neginf=-1e5)
        scores = (llr * models) @ others.T  # [models, others]; of noise they are Gaussian with the variance |llr|^2
        found, rest = divmod(int(scores.argmax()), len(others))
        candidates = scores.size if model is None else len(others)
        if not scores[found, rest] > -ndtri(CHANCE / candidates) * np.linalg.norm(llr):
            raise PacketError("the burst header is not decodable: too much noise or a fade")
        if model not in (None, found):
            raise WrongModel(f"burst of model {found:02x} (6 bits) most likely, but the one loaded here is {model:02x}")
        return BurstHeader(rest // SEQUENCES, found, rest % SEQUENCES)

    @cached_property
    def _signs(self) -> tuple[np.ndarray, np.ndarray]:
        """Code bits as +-1: what each model id changes [MODELS, code_bits], and of each profile and sequence of model 0
        [PROFILES * SEQUENCES, code_bits]. CRC and code are linear, so that a header's signs are the product."""
        base = self.encode(BurstHeader(0, 0, 0))
        models = np.stack([self.encode(BurstHeader(0, m, 0)) for m in range(MODELS)]) ^ base
        bodies = [pack_burst_header(BurstHeader(p, 0, s)) for p in range(PROFILES) for s in range(SEQUENCES)]
        others = self._code.encode(np.stack(bodies))
        return 1 - np.float32(2) * models, np.float32(2) * others - 1
