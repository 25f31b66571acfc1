# SPDX-License-Identifier: GPL-3.0-or-later
"""Code bits <-> samples: QAM with soft decisions, and OFDM bursts with their synchronisation."""

from .burst import BurstModulator
from .numerology import Numerology
from .qam import BITS_PER_SYMBOL, demap, map_bits
from .receiver import Burst, BurstReceiver

__all__ = ["BITS_PER_SYMBOL", "Burst", "BurstModulator", "BurstReceiver", "Numerology", "demap", "map_bits"]
