# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples to speech by the analog scheme, as one block."""

from gnuradio import gr

from ..analog import shared_model
from ..blocks.burst_receiver import burst_receiver
from ..blocks.jscc_decoder import jscc_decoder
from ..blocks.packet_loss import packet_loss
from ..coding.packet import model_id
from ..profile import load, with_radio


class jscc_receiver(gr.hier_block2):
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
        samples, speech = (gr.io_signature(1, 1, size) for size in (gr.sizeof_gr_complex, gr.sizeof_float))
        gr.hier_block2.__init__(self, "SoundSpring JSCC receiver", samples, speech)
        profile = with_radio(load(profile))
        self.message_port_register_hier_out("symbols")
        self.bursts = burst_receiver(
            profile,
            model_id(shared_model().sha256, 6),
            oversampling=profile.phy.oversampling,
            first_sequence=first_sequence,
        )
        self.loss = packet_loss(loss, seed, profile.packets)
        self.decoder = jscc_decoder(profile, first_sequence, idle)
        self.connect(self, self.bursts)
        self.msg_connect((self.bursts, "pdus"), (self.loss, "pdus"))
        self.msg_connect((self.loss, "pdus"), (self.decoder, "pdus"))
        self.msg_connect((self.bursts, "pdus"), (self, "symbols"))
        self.connect(self.decoder, self)

    def set_loss(self, loss: str, seed: int = 0) -> None:
        """Drop parts of bursts by another loss process from now on. Raises ValueError as `packet_loss` does."""
        self.loss.set_loss(loss, seed)

    @property
    def cpu_s(self) -> float:
        """Seconds of a core that its blocks have used so far."""
        return self.bursts.cpu_s + self.loss.cpu_s + self.decoder.cpu_s
