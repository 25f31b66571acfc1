# SPDX-License-Identifier: GPL-3.0-or-later
"""Analog symbols to sound."""

from ..analog import AnalogLink
from .symbol_decoder import symbol_decoder


class jscc_decoder(symbol_decoder):
    """c32 PDUs of equalised symbols in, as from the burst receiver, a float stream of speech out (16 kHz, within +-1).

    Entries that it reads: `soundspring_sequence`, `soundspring_noise_var` (f32 vector, one for each symbol) and
    `soundspring_group`, the place of a part of the payload where it comes in parts. What has not come when a later
    superframe does, or when a clock PDU says that it is due, is concealed. Sound is aligned with what went in.

    Args:
        profile: as of the encoder.
        first_sequence: superframe to begin with, whose loss counts too; -1: begin with the first that comes.
        idle: play silence while nothing waits, as a sound card needs; without it the stream pauses.

    Attributes:
        counts: what became of the parts of superframes, see `link.Counts`.

    Raises:
        ValueError, FileNotFoundError: a parameter, the profile or the model cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", first_sequence: int = -1, idle: bool = False):
        symbol_decoder.__init__(self, AnalogLink(profile), first_sequence, idle, "SoundSpring JSCC decoder")
