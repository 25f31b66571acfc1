# SPDX-License-Identifier: GPL-3.0-or-later
"""Which carriers an OFDM symbol has and how long it lasts."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np


def _constant(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


@dataclass(frozen=True)
class Numerology:
    """Shape of one OFDM symbol.

    The active carriers lie on both sides of an unused zero carrier, as in IEEE 802.11 clause 17.3.5; the pilots are
    spread evenly among them. The defaults are those of 802.11 (pilots at -21, -7, 7, 21), at 1 MS/s.

    Args:
        fft: carriers of the DFT, active or not
        cp: samples of the cyclic prefix
        data_carriers: carriers that carry data; even in sum with `pilots`
        pilots: carriers known to the receiver, an even number >= 2
        rate: critical sample rate, samples/s

    Raises:
        ValueError: naming the parameter that is out of range
    """

    fft: int = 64
    cp: int = 16
    data_carriers: int = 48
    pilots: int = 4
    rate: float = 1e6

    def __post_init__(self):
        if self.fft < 16 or self.fft % 4:
            raise ValueError(f"fft must be a multiple of 4 of at least 16, not {self.fft}")
        if not 1 <= self.cp <= self.fft:
            raise ValueError(f"cp must lie in 1..fft={self.fft}, not {self.cp}")
        if self.pilots < 2 or self.pilots % 2:
            raise ValueError(f"pilots must be an even number of at least 2, not {self.pilots}")
        if self.data_carriers < self.pilots or self.data_carriers % 2:
            raise ValueError(f"data_carriers must be an even number of at least pilots, not {self.data_carriers}")
        if self.active > self.fft - 2:
            raise ValueError(f"data_carriers + pilots must be at most fft - 2 = {self.fft - 2}, not {self.active}")
        if not (np.isfinite(self.rate) and self.rate > 0):
            raise ValueError(f"rate must be a positive number of samples per second, not {self.rate}")

    @property
    def active(self) -> int:
        """Number of active carriers, data and pilots."""
        return self.data_carriers + self.pilots

    @cached_property
    def carriers(self) -> np.ndarray:
        """Indices of the active carriers, int [active], rising, without 0."""
        half = self.active // 2
        return _constant(np.concatenate([np.arange(-half, 0), np.arange(1, half + 1)]))

    @cached_property
    def pilot_carriers(self) -> np.ndarray:
        """Indices of the pilots, int [pilots], rising: odd multiples of one step."""
        half = self.active // 2
        step = -(-half // self.pilots)
        if step * (self.pilots - 1) > half:
            step -= 1
        return _constant(step * np.arange(1 - self.pilots, self.pilots, 2))

    @cached_property
    def pilot_mask(self) -> np.ndarray:
        """Which of `carriers` are pilots, bool [active]."""
        return _constant(np.isin(self.carriers, self.pilot_carriers))

    @cached_property
    def pilot_index(self) -> np.ndarray:
        """Places of the pilots among `carriers`, int [pilots]."""
        return _constant(np.flatnonzero(self.pilot_mask))

    @cached_property
    def data_index(self) -> np.ndarray:
        """Places of the data carriers among `carriers`, int [data_carriers]."""
        return _constant(np.flatnonzero(~self.pilot_mask))

    @property
    def symbol_length(self) -> int:
        """Samples of one OFDM symbol with its prefix, at `rate`."""
        return self.fft + self.cp

    @property
    def symbol_duration(self) -> float:
        """Seconds of one OFDM symbol with its prefix."""
        return self.symbol_length / self.rate

    @property
    def carrier_spacing(self) -> float:
        """Hz between neighbouring carriers."""
        return self.rate / self.fft

    @property
    def occupied_bandwidth(self) -> float:
        """Hz from the lowest active carrier to the highest, with half a spacing outside each."""
        return (self.active + 1) * self.carrier_spacing

    def symbols_for(self, n: int) -> int:
        """OFDM symbols that n data values fill (the last may be filled in part)."""
        return -(-n // self.data_carriers)
