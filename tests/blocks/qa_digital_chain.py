# SPDX-License-Identifier: GPL-3.0-or-later
"""All blocks from packets to packets in one flowgraph agree with the plain functions, packet for packet."""

import numpy as np
import pytest
from flowgraphs import pdu, post, stored
from gnuradio import blocks, gr
from soundspring.blocks.burst_modulator import burst_modulator
from soundspring.blocks.burst_receiver import burst_receiver
from soundspring.blocks.channel_model import channel_model
from soundspring.blocks.ldpc_decoder import ldpc_decoder
from soundspring.blocks.ldpc_encoder import ldpc_encoder
from soundspring.blocks.qam_mapper import qam_mapper
from soundspring.blocks.soft_demapper import soft_demapper
from soundspring.channel import make_channel
from soundspring.coding.packet import model_id
from soundspring.link import FrameCoder
from soundspring.modem import BurstModulator, BurstReceiver, Numerology
from soundspring.profile import load

PROFILE = load("reference")
PHY = PROFILE.phy
SHA256 = "9c" * 32
COUNT, PERIOD = 40, 24_000
CODES = {name: [getattr(packet, key) for packet in PHY.packets]
         for name, key in (("k", "payload_bits"), ("e", "code_bits"), ("bits_per_symbol", "bits_per_symbol"))}


def payloads():
    """Bits of each packet, some shorter than their blocks: [sequence][group]."""
    rng = np.random.default_rng(8)
    return [[rng.integers(0, 2, k - i % 3, np.uint8) for k in CODES["k"]] for i in range(COUNT)]


def by_functions(snr_db):
    """(sequence, group) -> bits, None where decoding failed; bursts that were not found are absent."""
    coder = FrameCoder(PROFILE, SHA256)
    numerology = Numerology(PHY.fft, PHY.cp, PHY.data_carriers, PHY.pilots, PHY.rate)
    modulator = BurstModulator(numerology, PHY.header_code_bits, 2)
    bursts = [modulator.modulate(*coder.encode(i, groups)) for i, groups in enumerate(payloads())]
    samples = np.concatenate([np.pad(burst, (0, PERIOD - burst.size)) for burst in bursts])
    samples = make_channel("awgn", rate=2e6, snr_db=snr_db, oversampling=2.0, seed=3).process(samples)
    receiver = BurstReceiver(
        numerology, PHY.header_code_bits, coder.decode_header, lambda header: PHY.payload_symbols, 2,
        encode_header=coder.header_code.encode,
    )
    good = [burst for burst in receiver.push(samples) if burst.header is not None]
    return {(burst.header.sequence, group): bits for burst in good
            for group, bits in enumerate(coder.decode(burst.symbols, burst.noise_var))}


def by_blocks(snr_db):
    """The same by a flowgraph."""
    model = model_id(SHA256, 6)
    chain = [ldpc_encoder(**CODES), qam_mapper(CODES["bits_per_symbol"]),
             burst_modulator("reference", model, period_s=PERIOD / 2e6), channel_model("awgn", 2e6, snr_db, seed=3),
             burst_receiver("reference", model), soft_demapper(CODES["bits_per_symbol"]), ldpc_decoder(**CODES)]
    debug, top = blocks.message_debug(), gr.top_block()
    for source, target in zip(chain, [*chain[1:], debug], strict=True):
        if isinstance(source, (burst_modulator, channel_model)):
            top.connect(source, target)
        else:
            top.msg_connect((source, "pdus"), (target, "store" if target is debug else "pdus"))
    post(chain[0], [pdu(bits, sequence=i, group=g) for i, groups in enumerate(payloads())
                    for g, bits in enumerate(groups)])
    top.run()
    assert [block.dropped for block in chain if hasattr(block, "dropped")][:3] == [0, 0, 0]
    return {(meta["sequence"], meta["group"]): bits if meta["ok"] else None for meta, bits in stored(debug)}


@pytest.mark.parametrize(("snr_db", "least", "most"), [(12.0, 80, 80), (-0.5, 10, 75)])
def test_the_flowgraph_loses_the_same_packets_as_the_functions(snr_db, least, most):
    ours, theirs = by_blocks(snr_db), by_functions(snr_db)
    assert least <= sum(bits is not None for bits in theirs.values()) <= most
    assert ours.keys() == theirs.keys()
    for place, bits in theirs.items():
        assert (bits is None) == (ours[place] is None), place
        assert bits is None or np.array_equal(ours[place], bits), place


def test_without_noise_the_bits_are_those_sent():
    results = by_blocks(20.0)
    for i, groups in enumerate(payloads()):
        for g, bits in enumerate(groups):
            assert np.array_equal(results[i, g], np.pad(bits, (0, CODES["k"][g] - bits.size)))
