# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound to analog symbols."""

from ..analog import AnalogLink
from .symbol_encoder import symbol_encoder


class jscc_encoder(symbol_encoder):
    """A float stream of speech in (16 kHz, within +-1), one c32 PDU of symbols out for each superframe.

    The symbols have unit mean power and are all of a burst's payload: they go straight to the burst modulator. The
    entry `soundspring_sequence` is the superframe's number. Samples that do not fill the last superframe stay inside,
    so end a recording with one superframe of silence.

    Args:
        profile: name of a link profile whose bursts have room for as many symbols as the model makes, or a YAML file.

    Raises:
        ValueError, FileNotFoundError: the profile or the model cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference"):
        symbol_encoder.__init__(self, AnalogLink(profile), "SoundSpring JSCC encoder")
