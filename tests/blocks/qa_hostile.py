# SPDX-License-Identifier: GPL-3.0-or-later
"""PDUs that were made to do harm: too far, too many, too loud. Any kind at all is what tests/fuzz sends."""

import numpy as np
import pmt
import pytest
from flowgraphs import opened, pdu
from hypothesis import given, settings
from hypothesis import strategies as st
from soundspring import profile
from soundspring.blocks.burst_modulator import OPEN_LIMIT, burst_modulator
from soundspring.blocks.codec_decoder import codec_decoder
from soundspring.blocks.entropy_decoder import JUMP, entropy_decoder
from soundspring.blocks.entropy_encoder import SWITCHES, entropy_encoder
from soundspring.blocks.packet_loss import packet_loss
from soundspring.blocks.packet_parser import packet_parser
from soundspring.coding.packet import Packet, model_id
from soundspring.link import shared_models
from soundspring.profile import replace_profile

NOTHING = np.zeros(0, np.uint8)  # too short for a check: decoded in no time


class Deaf(entropy_decoder):
    """An entropy decoder whose superframes are kept: their numbers, and which packets came."""

    def __init__(self, first_sequence=-1):
        plain = profile.load("reference")
        entropy_decoder.__init__(self, replace_profile(plain, copies=()), first_sequence)
        self.numbers, self.fates = [], []

    def give(self, sequence, group):
        for meta, _ in self.process(*_halves(pdu(NOTHING, sequence=sequence, group=group))):
            entries = opened(_pair(meta))[0]
            self.numbers.append(entries["sequence"])
            self.fates.append(entries["status"])


def _halves(message):
    return pmt.car(message), NOTHING


def _pair(meta):
    return pmt.cons(meta, pmt.init_u8vector(0, []))


def test_one_number_from_far_away_moves_nothing(tiny_models):
    """Each superframe comes out once and in order, though packets among them bear numbers of anywhere."""
    rng, block = np.random.default_rng(1), Deaf(0)
    for s in range(40):
        for g in range(2):
            block.give(s, g)
            if rng.random() < 0.3:
                block.give(int(rng.integers(s + JUMP + 2, 1 << 40)), int(rng.integers(2)))
    assert block.numbers == list(range(40)) and set(block.fates) == {"desync undecodable"}


def test_a_second_superframe_from_there_is_another_transmission(tiny_models):
    block = Deaf(0)
    for s in [0, 1, 2, 5000, 5001, 5002, 3]:
        for g in range(2):
            block.give(s, g)
    assert block.numbers == [0, 1, 2, 5000, 5001, 5002]


@settings(deadline=None, max_examples=60)
@given(data=st.data(), first=st.sampled_from([0, 200, 65500]))
def test_superframes_leave_in_order_whatever_order_packets_come_in(shared_tiny, data, first):
    """Through the parser's wrapped numbers: late ones and copies are counted, no number is left out or doubled."""
    parser, block = packet_parser(), Deaf()
    model = model_id(shared_models().sha256, 16)
    arriving = data.draw(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 1)), min_size=1, max_size=60))
    late = 0
    for s, g in arriving:
        raw = Packet(model, (first + s) % 65536, g, b"").to_bytes()
        ((meta, _),) = parser.process(None, np.frombuffer(raw, np.uint8))
        entries = opened(_pair(meta))[0]
        try:
            block.give(entries["sequence"] + 65536, entries["group"])
        except ValueError as error:
            assert "late or twice" in str(error)
            late += 1
    begin = min(block.numbers, default=0)
    assert block.numbers == list(range(begin, begin + len(block.numbers)))
    assert late <= len(arriving) - 1 and len(block._open) <= 41


@pytest.fixture(scope="module")
def shared_tiny(tiny_models_dir):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOUNDSPRING_MODELS", str(tiny_models_dir))
        yield


@pytest.mark.parametrize("entries", [
    {"gain": np.full(6, 1e9, np.float32)}, {"gain": np.full(6, np.nan, np.float32)}, {"gain": np.zeros(0, np.float32)},
    {"gain": np.full(6, -1, np.float32)}, {"gain": "loud"}, {"layers": np.full(5, 99, np.int16)},
    {"layers": np.full(5, -1, np.int16)}, {"layers": "12"}, {"layers": np.ones(4, np.int16)}])
def test_the_decoder_takes_no_gain_and_no_layers_that_do_not_exist(tiny_models, entries):
    """They would end the flowgraph when it plays, or play at full scale."""
    block = codec_decoder()
    width = tiny_models.codec.config.latent
    good = {"layers": np.full(5, 12, np.int16), "gain": np.ones(6, np.float32)}
    block.receive(pdu(np.zeros(5 * width, np.float32), **good | entries))
    assert block.dropped == 1 and block.waiting == 0
    for wild in (np.inf, np.nan, 1e30):
        block.receive(pdu(np.full(5 * width, wild, np.float32), **good))
    assert block.dropped == 4 and block.waiting == 0
    block.receive(pdu(np.zeros(5 * width, np.float32), **good))
    assert block.dropped == 4 and block.waiting == 1600


def test_a_loss_process_does_not_draw_for_ever():
    """A number far ahead would ask for as many draws at once: terabytes."""
    block = packet_loss("bernoulli:0.5", groups=2)
    block.receive(pdu(NOTHING, sequence=(1 << 40) - 1, group=0))
    assert block.dropped == 1 and block.received == 0
    block.receive(pdu(NOTHING, sequence=5, group=0))
    assert block.dropped == 1 and block.received == 1


def test_bursts_that_never_become_complete_do_not_pile_up():
    block = burst_modulator()
    symbols = np.ones(profile.load("reference").phy.packets[0].symbols, np.complex64)
    for s in range(OPEN_LIMIT + 50):
        block.receive(pdu(symbols, sequence=7 * s, group=0))
    assert len(block._open) == OPEN_LIMIT and block.dropped == 50 and block.waiting == 0


def test_packets_of_two_profiles_make_no_burst_together():
    block = burst_modulator("wide")
    low, high = [rung for rung in profile.load_ladder("wide").rungs if len(rung.phy.packets) == 2][:2]
    for group, rung in enumerate((low, high)):
        symbols = np.ones(rung.phy.packets[group].symbols, np.complex64)
        block.receive(pdu(symbols, sequence=1, group=group, profile=rung.id))
    assert block.dropped == 0 and block.waiting == 0


def test_latents_and_rungs_without_end_are_refused(tiny_models):
    block = entropy_encoder("wide")
    width = tiny_models.codec.config.latent
    for latent in (np.zeros(7, np.float32), np.full(5 * width, np.nan, np.float32), "latent"):
        block.receive(pdu(np.zeros(0, np.int16), latent=latent))
    assert block.dropped == 3
    for first in range(SWITCHES):
        block.switch(0, 10**6 + first)
    with pytest.raises(ValueError, match="wait already"):
        block.switch(0, 10**7)
