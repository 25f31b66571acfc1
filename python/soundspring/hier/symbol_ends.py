# SPDX-License-Identifier: GPL-3.0-or-later
"""Both ends of a link whose scheme makes a burst's whole payload of a superframe: deep JSCC, conventional codecs."""

from gnuradio import gr

from ..analog import SymbolLink
from ..blocks.burst_modulator import burst_modulator
from ..blocks.burst_receiver import burst_receiver
from ..blocks.packet_loss import packet_loss
from ..blocks.symbol_decoder import symbol_decoder
from ..blocks.symbol_encoder import symbol_encoder
from ..coding.packet import model_id


class symbol_transmitter(gr.hier_block2):
    """A float stream of speech in (16 kHz, within +-1), a complex stream of bursts out, one a superframe.

    Args:
        link: the scheme and the bursts. idle: send silence while there is nothing to send, as a radio needs.
        name: of the block.
    """

    def __init__(self, link: SymbolLink, idle: bool = False, name: str = "SoundSpring symbol transmitter"):
        speech, samples = (gr.io_signature(1, 1, size) for size in (gr.sizeof_float, gr.sizeof_gr_complex))
        gr.hier_block2.__init__(self, name, speech, samples)
        self.encoder = symbol_encoder(link)
        model = model_id(link.models.sha256, 6)
        self.modulator = burst_modulator(link.profile, model, oversampling=link.profile.phy.oversampling, idle=idle)
        self.connect(self, self.encoder)
        self.msg_connect((self.encoder, "pdus"), (self.modulator, "pdus"))
        self.connect(self.modulator, self)

    @property
    def cpu_s(self) -> float:
        """Seconds of a core that its blocks have used so far."""
        return self.encoder.cpu_s + self.modulator.cpu_s


class symbol_receiver(gr.hier_block2):
    """A complex stream of bursts in, a float stream of speech out (16 kHz, within +-1).

    Message port `symbols`: c32 PDUs of equalised symbols as from `burst_receiver`, for displays.

    Args:
        link: the scheme and the bursts. first_sequence, idle: as of `symbol_decoder`.
        loss, seed: parts of bursts to drop, as of `packet_loss`, one draw for each packet of the profile.
        name: of the block.
    """

    def __init__(self, link: SymbolLink, first_sequence: int = -1, idle: bool = False, loss: str = "none",
                 seed: int = 0, name: str = "SoundSpring symbol receiver"):
        samples, speech = (gr.io_signature(1, 1, size) for size in (gr.sizeof_gr_complex, gr.sizeof_float))
        gr.hier_block2.__init__(self, name, samples, speech)
        self.message_port_register_hier_out("symbols")
        self.bursts = burst_receiver(
            link.profile,
            model_id(link.models.sha256, 6),
            oversampling=link.profile.phy.oversampling,
            first_sequence=first_sequence,
            slack_s=0.5 / link.profile.superframes_per_second,  # nothing is sent twice
        )
        self.loss = packet_loss(loss, seed, link.profile.packets)
        self.decoder = symbol_decoder(link, first_sequence, idle)
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
