# SPDX-License-Identifier: GPL-3.0-or-later
"""Received symbols to log-likelihood ratios."""

import numpy as np

from ..modem.qam import demap
from .pdu import PduBlock, every, numbers, of_group, per_group


class soft_demapper(PduBlock):
    """c32 PDUs of equalised symbols in, f32 PDUs of LLRs out: ln P(1)/P(0), so positive means bit 1.

    The noise variance E|n|^2 is the entry `soundspring_noise_var` of the dictionary, a number or an f32 vector with
    one for each symbol (inf marks an erasure), as the burst receiver gives it; without it the parameter is used.

    Args:
        bits_per_symbol: 1 (BPSK), 2 (QPSK), 4, 6 or 8 (16-, 64-, 256-QAM); or a list with one for each layer group,
            chosen by the entry `soundspring_group` of the dictionary; or a dictionary of such lists by profile id,
            chosen by the entry `soundspring_profile`.
        noise_var: used for PDUs that do not tell theirs; positive.
        method: "maxlog" or "exact".

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(self, bits_per_symbol=2, noise_var: float = 1.0, method: str = "maxlog"):
        PduBlock.__init__(self, "SoundSpring soft demapper", np.complex64)
        self._orders = per_group(bits_per_symbol=bits_per_symbol)
        self._method = method
        self.set_noise_var(noise_var)

    def set_noise_var(self, noise_var: float) -> None:
        """Change the noise variance for PDUs that do not tell theirs; ValueError unless it is positive."""
        for order in every(self._orders):
            demap(np.zeros(1, np.complex64), noise_var, **order, method=self._method)
        self._noise_var = noise_var

    def process(self, meta, data):
        noise_var = numbers(meta, "noise_var")
        noise_var = self._noise_var if noise_var is None else noise_var
        return [(meta, demap(data, noise_var, **of_group(meta, self._orders), method=self._method))]
