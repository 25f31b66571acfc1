# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to samples by the analog scheme, as one block."""

from ..analog import AnalogLink
from .symbol_ends import symbol_transmitter


class jscc_transmitter(symbol_transmitter):
    """A float stream of speech in (16 kHz, within +-1), a complex stream of bursts out, one a superframe.

    Bursts have the preamble, header, pilots, length, power and limit of peaks of the profile; their payload is analog.
    The output rate is the profile's critical rate times its oversampling.

    Args:
        profile: name of a link profile whose bursts have room for as many symbols as the model makes, or a YAML file.
        idle: send silence while there is nothing to send, as a radio needs.

    Raises:
        ValueError, FileNotFoundError: the profile or the model cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", idle: bool = False):
        symbol_transmitter.__init__(self, AnalogLink(profile), idle, "SoundSpring JSCC transmitter")
