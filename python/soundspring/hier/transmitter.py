# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to samples: the whole transmitter as one block."""

from itertools import pairwise

from gnuradio import gr

from ..blocks.burst_modulator import burst_modulator
from ..blocks.codec_encoder import codec_encoder
from ..blocks.entropy_encoder import entropy_encoder
from ..blocks.ldpc_encoder import ldpc_encoder
from ..blocks.packet_sealer import packet_sealer
from ..blocks.qam_mapper import qam_mapper
from ..coding.packet import model_id
from ..link import shared_models
from ..profile import load_ladder, with_radio, with_security

AHEAD = 50  # superframes that may be encoded before they are sent


class transmitter(gr.hier_block2):
    """A float stream of speech in (16 kHz, within +-1), a complex stream of bursts out, one a superframe.

    The output rate is the profile's critical rate times its oversampling; the mean power during a burst is
    (active carriers) / fft.

    Message port `rung`: the rung of the ladder to send on from the next superframe, as of `entropy_encoder`. Bursts
    announce it, so a receiver of the same ladder follows.

    Args:
        profile: name of a link profile with a radio part or of a ladder, or a YAML file.
        idle: send silence while there is nothing to send, as a radio needs.
        rung: place on the ladder to begin with, 0 is the most robust.
        key: file:PATH or env:NAME: authenticate packets with the key there, see `packet_sealer`; empty: the profile's.

    Raises:
        ValueError, OSError: the profile, the models or the key cannot be used; the message says why.
    """

    def __init__(self, profile: str = "reference", idle: bool = False, rung: int = 0, key: str = ""):
        speech, samples = (gr.io_signature(1, 1, size) for size in (gr.sizeof_float, gr.sizeof_gr_complex))
        gr.hier_block2.__init__(self, "SoundSpring transmitter", speech, samples)
        ladder = with_security(load_ladder(profile), key)
        oversampling, codes = with_radio(ladder.common).phy.oversampling, ladder.code_parameters
        self.message_port_register_hier_in("rung")
        self.codec = codec_encoder(ladder, quantise=False)
        self.entropy = entropy_encoder(ladder, rung)
        self.ldpc = ldpc_encoder(**codes)
        self.mapper = qam_mapper(codes["bits_per_symbol"])
        self.modulator = burst_modulator(
            ladder, model_id(shared_models().sha256, 6), oversampling=oversampling, idle=idle
        )
        if not idle:  # a radio takes what there is when it is time; a file would be encoded whole before it is sent
            self.codec.hold = self._far_ahead
        self.connect(self, self.codec)
        sealers = [packet_sealer(ladder)] if ladder.common.security else []
        self.stages = [self.codec, self.entropy, *sealers, self.ldpc, self.mapper, self.modulator]
        for source, target in pairwise(self.stages):
            self.msg_connect((source, "pdus"), (target, "pdus"))
        self.connect(self.modulator, self)
        self.msg_connect((self, "rung"), (self.entropy, "rung"))

    def _far_ahead(self) -> bool:
        return self.codec.superframes - self.entropy.superframes + self.modulator.waiting > AHEAD

    def set_rung(self, rung: int) -> None:
        """Send on another rung of the ladder from the next superframe on; ValueError if there is none such."""
        self.entropy.set_rung(rung)

    @property
    def cpu_s(self) -> float:
        """Seconds of a core that its blocks have used so far."""
        return sum(stage.cpu_s for stage in self.stages)
