# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule of a comparison: what every scheme may use, by one link profile, and the check that none uses more."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..link import numerology_of
from ..modem.burst import BurstModulator
from ..profile import LinkProfile, load, replace_profile, with_radio

TOLERANCE_DB = 0.1  # of the mean power: the symbols of a short transmission are no perfect average


@dataclass(frozen=True)
class Usage:
    """What a transmission used: channel uses a second, mean power of its bursts and peak power over the nominal one.

    Channel uses are samples at the critical rate, preamble, header and pilots included. power_db: 0 is what OFDM
    symbols of unit carriers have.
    """

    uses_per_s: float
    power_db: float
    peak_db: float


@dataclass(frozen=True)
class Terms:
    """What every scheme of a comparison gets: the burst of `profile`, at its rate, with peaks of at most `papr_db`.

    Its numerology, preamble, coded header and pilots are the same for all; what a scheme puts on the data carriers
    behind the header is its own business.
    """

    profile: LinkProfile
    papr_db: float

    def __post_init__(self):
        if not 3 <= self.papr_db <= 30:
            raise ValueError(f"papr_db: expected 3 to 30, got {self.papr_db}")
        phy = with_radio(self.profile).phy
        if phy.papr_db != self.papr_db:
            limited = replace_profile(self.profile, phy=type(phy)(**(vars(phy) | {"papr_db": self.papr_db})))
            object.__setattr__(self, "profile", limited)

    @classmethod
    def of(cls, profile: str | LinkProfile, papr_db: float = 10.0) -> Terms:
        """The terms of a profile by name."""
        return cls(load(profile), papr_db)

    @property
    def symbols(self) -> int:
        """Payload symbols of a burst: all that fit into the OFDM symbols of the profile's payload."""
        numerology = numerology_of(self.profile)
        return numerology.symbols_for(self.profile.phy.payload_symbols) * numerology.data_carriers

    def modulator(self) -> BurstModulator:
        """What makes the bursts of every scheme."""
        phy = self.profile.phy
        return BurstModulator(numerology_of(self.profile), phy.header_code_bits, phy.oversampling, phy.papr_db)

    @property
    def uses_per_s(self) -> float:
        """Channel uses a second that every scheme may take."""
        burst = self.modulator().samples_per_burst(self.symbols) / self.profile.phy.oversampling
        return burst * self.profile.superframes_per_second

    def usage(self, bursts: Sequence[np.ndarray]) -> Usage:
        """Of the bursts of a transmission, complex samples at the profile's rate, one for each superframe."""
        numerology, phy = numerology_of(self.profile), self.profile.phy
        power = numerology.active / numerology.fft
        sizes = [len(b) for b in bursts]
        energy = sum(float(np.sum(np.abs(b) ** 2)) for b in bursts)
        peak = max((float(np.max(np.abs(b) ** 2, initial=0.0)) for b in bursts), default=0.0)
        per_superframe = sum(sizes) / max(len(bursts), 1) / phy.oversampling
        return Usage(per_superframe * self.profile.superframes_per_second,
                     _db(energy / max(sum(sizes), 1) / power), _db(peak / power))

    def check(self, name: str, bursts: Sequence[np.ndarray]) -> Usage:
        """The usage of scheme `name`. ValueError that names what it has too much of."""
        used = self.usage(bursts)
        longest = max(map(len, bursts), default=0) / self.profile.phy.oversampling * self.profile.superframes_per_second
        for what, value, limit, unit in (
            ("channel uses a second", max(used.uses_per_s, longest), self.uses_per_s, ""),
            ("mean power", used.power_db, TOLERANCE_DB, " dB"),
            ("peak power", used.peak_db, self.papr_db + 0.01, " dB"),
        ):
            if value > limit:
                raise ValueError(f"scheme {name}: {what} of {value:g}{unit} exceeds the {limit:g}{unit} that every "
                                 f"scheme gets under profile {self.profile.name}")
        return used


def _db(ratio: float) -> float:
    return 10 * math.log10(ratio) if ratio > 0 else -math.inf
