# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples to speech by the analog scheme, as one block."""

from ..analog import AnalogLink
from .symbol_ends import symbol_receiver


class jscc_receiver(symbol_receiver):
    """A complex stream of analog bursts in, a float stream of speech out (16 kHz, within +-1).

    Message port `symbols`: c32 PDUs of equalised symbols as from `burst_receiver`, for displays.

    Args:
        profile: as of the transmitter; the stream must come at its critical rate times its oversampling.
        first_sequence: superframe that starts with the stream, whose loss is concealed too; -1: join wherever it is.
        idle: play silence while there is nothing to play, as a sound card needs.
        loss, seed: parts of bursts to drop, as of `packet_loss`, one draw for each packet of the profile.

    Raises:
        ValueError, FileNotFoundError: the profile or the model cannot be used; the message says why.
    """

    def __init__(
        self,
        profile: str = "reference",
        first_sequence: int = -1,
        idle: bool = False,
        loss: str = "none",
        seed: int = 0,
    ):
        symbol_receiver.__init__(self, AnalogLink(profile), first_sequence, idle, loss, seed,
                                 "SoundSpring JSCC receiver")
