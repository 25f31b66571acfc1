# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples to speech: the whole receiver as one block."""

from collections import Counter
from itertools import pairwise

from gnuradio import gr

from ..blocks.burst_receiver import burst_receiver
from ..blocks.codec_decoder import codec_decoder
from ..blocks.concealer import concealer
from ..blocks.entropy_decoder import entropy_decoder
from ..blocks.ldpc_decoder import ldpc_decoder
from ..blocks.packet_loss import packet_loss
from ..blocks.packet_opener import packet_opener
from ..blocks.soft_demapper import soft_demapper
from ..coding.packet import model_id
from ..link import shared_models
from ..profile import load_ladder, with_radio, with_security

CONCEAL_S = 0.01  # from giving a superframe up to its sound


class receiver(gr.hier_block2):
    """A complex stream in, a float stream of speech out (16 kHz, within +-1).

    Message port `symbols`: c32 PDUs of equalised symbols as from `burst_receiver`, with each burst's SNR and profile,
    for displays and for `rate_controller`. Port `packets`: u8 PDUs as from `ldpc_decoder`.

    Args:
        profile: name of a link profile with a radio part or of a ladder, whose rungs it follows from burst to burst,
            or a YAML file; the stream must come at its critical rate times its oversampling.
        first_sequence: superframe that starts with the stream, whose loss is concealed too; -1: join wherever it is.
        idle: play silence while there is nothing to play, as a sound card needs.
        playout_ms: keep so much sound back for superframes that come late, and follow the sender's clock, as a sound
            card needs; 0: none. See `codec_decoder`. What comes later than that is concealed.
        loss, seed: packets to drop before decoding, as of `packet_loss`, to hear what concealment does.
        key: file:PATH or env:NAME: take only what was sealed with the key there, see `packet_opener`; empty: the
            profile's.
        copies: wait for the copies of lost superframes, where the profile has them.

    Attributes:
        refused: a Counter of packets that were refused, and why.

    Raises:
        ValueError, OSError: the profile, the models or the key cannot be used; the message says why.
    """

    def __init__(
        self,
        profile: str = "reference",
        first_sequence: int = -1,
        idle: bool = False,
        loss: str = "none",
        seed: int = 0,
        playout_ms: float = 0.0,
        key: str = "",
        copies: bool = True,
    ):
        samples, speech = (gr.io_signature(1, 1, size) for size in (gr.sizeof_gr_complex, gr.sizeof_float))
        gr.hier_block2.__init__(self, "SoundSpring receiver", samples, speech)
        ladder = with_security(load_ladder(profile), key)
        oversampling, codes = with_radio(ladder.common).phy.oversampling, ladder.code_parameters
        superframe_s = 1 / ladder.common.superframes_per_second
        late_s = max(playout_ms / 1000 - CONCEAL_S, 0.0) if playout_ms else superframe_s / 2
        self.message_port_register_hier_out("symbols")
        self.message_port_register_hier_out("packets")
        self.bursts = burst_receiver(
            ladder,
            model_id(shared_models().sha256, 6),
            oversampling=oversampling,
            first_sequence=first_sequence,
            slack_s=late_s + (len(ladder.common.copies) * superframe_s if copies else 0.0),
        )
        self.demapper = soft_demapper(codes["bits_per_symbol"])
        self.ldpc = ldpc_decoder(**codes)
        self.loss = packet_loss(loss, seed, ladder.packets)
        self.entropy = entropy_decoder(ladder, first_sequence, copies)
        self.concealer = concealer(ladder)
        self.codec = codec_decoder(ladder, idle, playout_ms)
        openers = [packet_opener(ladder)] if ladder.common.security else []
        self.refused = openers[0].refused if openers else Counter()
        self._last: int | None = None  # what `finish` said
        self.connect(self, self.bursts)
        self.stages = [
            self.bursts, self.demapper, self.ldpc, self.loss, *openers, self.entropy, self.concealer, self.codec
        ]
        for source, target in pairwise(self.stages):
            self.msg_connect((source, "pdus"), (target, "pdus"))
        self.msg_connect((self.bursts, "pdus"), (self, "symbols"))
        self.msg_connect((self.ldpc, "pdus"), (self, "packets"))
        self.connect(self.codec, self)

    def set_loss(self, loss: str, seed: int = 0) -> None:
        """Drop packets by another loss process from now on. Raises ValueError as `packet_loss` does."""
        self.loss.set_loss(loss, seed)

    def finish(self) -> None:
        """Wait no longer for anything: what has been received becomes sound, as soon as the machine can."""
        self._last = self.bursts.finish()

    @property
    def finished(self) -> bool:
        """All that had been received when `finish` was called has left as sound, where no silence comes between."""
        codec = self.codec
        return self._last is not None and codec.due >= self._last and codec.nitems_written(0) >= codec.samples

    @property
    def cpu_s(self) -> float:
        """Seconds of a core that its blocks have used so far."""
        return sum(stage.cpu_s for stage in self.stages)
