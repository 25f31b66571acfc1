# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to samples by the analog scheme, as one block."""

from gnuradio import gr

from ..analog import shared_model
from ..blocks.burst_modulator import burst_modulator
from ..blocks.jscc_encoder import jscc_encoder
from ..coding.packet import model_id
from ..profile import load, with_radio


class jscc_transmitter(gr.hier_block2):
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
        speech, samples = (gr.io_signature(1, 1, size) for size in (gr.sizeof_float, gr.sizeof_gr_complex))
        gr.hier_block2.__init__(self, "SoundSpring JSCC transmitter", speech, samples)
        profile = with_radio(load(profile))
        self.encoder = jscc_encoder(profile)
        model = model_id(shared_model().sha256, 6)
        self.modulator = burst_modulator(profile, model, oversampling=profile.phy.oversampling, idle=idle)
        self.connect(self, self.encoder)
        self.msg_connect((self.encoder, "pdus"), (self.modulator, "pdus"))
        self.connect(self.modulator, self)

    @property
    def cpu_s(self) -> float:
        """Seconds of a core that its blocks have used so far."""
        return self.encoder.cpu_s + self.modulator.cpu_s
