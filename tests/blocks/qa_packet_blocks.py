# SPDX-License-Identifier: GPL-3.0-or-later
"""Blocks from PDUs to PDUs do what their functions do, and drop what they cannot use."""

import numpy as np
import pmt
import pytest
from flowgraphs import pdu, through
from soundspring.blocks.ldpc_decoder import ldpc_decoder
from soundspring.blocks.ldpc_encoder import ldpc_encoder
from soundspring.blocks.packet_loss import packet_loss
from soundspring.blocks.qam_mapper import qam_mapper
from soundspring.blocks.soft_demapper import soft_demapper
from soundspring.channel.loss import parse_loss
from soundspring.fec import crc
from soundspring.fec.ldpc import LdpcCode
from soundspring.fec.scramble import whitening
from soundspring.modem.qam import demap, map_bits

U8, F32, C32 = np.uint8, np.float32, np.complex64


def bits_of(n, seed=1):
    return np.random.default_rng(seed).integers(0, 2, n, U8)


MALFORMED = [
    pmt.intern("no PDU"),
    pmt.PMT_NIL,
    pmt.from_long(3),
    pmt.cons(pmt.make_dict(), pmt.intern("no vector")),
    pmt.cons(pmt.intern("no dictionary"), pmt.make_u8vector(4, 0)),
    pmt.cons(pmt.make_dict(), pmt.make_s16vector(4, 0)),
    pmt.cons(pmt.make_dict(), pmt.make_f64vector(144, 0)),
    pmt.dict_add(pmt.make_dict(), pmt.intern("a"), pmt.PMT_T),
]


@pytest.mark.parametrize(
    ("make", "good", "length"),
    [
        (lambda: ldpc_encoder(144, 480), np.zeros(144, U8), 480),
        (lambda: ldpc_decoder(144, 480), np.ones(480, F32), 144),
        (lambda: qam_mapper(4), np.zeros(8, U8), 2),
        (lambda: soft_demapper(4), np.ones(2, C32), 8),
    ],
    ids=["ldpc_encoder", "ldpc_decoder", "qam_mapper", "soft_demapper"],
)
def test_what_is_malformed_is_counted_and_dropped_and_the_flowgraph_goes_on(make, good, length):
    block = make()
    wrong_length = pdu(np.zeros(481, good.dtype)) if length > 10 else pdu(np.zeros(3, U8))
    results = through(block, [*MALFORMED, wrong_length, pdu(good, note="kept")])
    assert block.dropped == len(MALFORMED) + 1
    assert [(meta["note"], data.size) for meta, data in results] == [("kept", length)]


def test_a_profile_of_the_ladder_has_its_own_code_and_constellation():
    k, e, order = {0: [40], 5: [40, 100]}, {0: [200], 5: [120, 180]}, {0: [1], 5: [2, 4]}
    chain = [ldpc_encoder(k, e, order), qam_mapper(order), soft_demapper(order, 0.01), ldpc_decoder(k, e, order)]
    sent = [(0, 0, bits_of(40)), (5, 0, bits_of(40, 2)), (5, 1, bits_of(100, 3))]
    messages = [pdu(bits, profile=p, group=g) for p, g, bits in sent]
    sizes = []
    for block in chain:
        results = through(block, messages)
        messages = [pdu(data, **meta) for meta, data in results]
        sizes.append([data.size for _, data in results])
    assert sizes == [[200, 120, 180], [200, 60, 45], [200, 120, 180], [40, 40, 100]]
    assert all(np.array_equal(data, bits) for (_, data), (_, _, bits) in zip(results, sent, strict=True))
    unknown = [pdu(bits_of(40)), pdu(bits_of(40), group=0), pdu(bits_of(40), profile=1, group=0),
               pdu(bits_of(40), profile=5, group=2), pdu(bits_of(40), profile="5", group=0)]
    assert through(chain[0], unknown) == [] and chain[0].dropped == len(unknown)


def test_the_mapper_changes_its_constellation():
    block, bits = qam_mapper(2), bits_of(48)
    block.set_bits_per_symbol(6)
    with pytest.raises(ValueError, match="bits_per_symbol"):
        block.set_bits_per_symbol(5)
    assert np.array_equal(through(block, [pdu(bits)])[0][1], map_bits(bits, 6))


@pytest.mark.parametrize("make", [lambda: ldpc_encoder({0: [40]}, {1: [80]}), lambda: qam_mapper({0: [3]}),
                                  lambda: ldpc_encoder({0: [40], 1: [40]}, {0: [80]}), lambda: qam_mapper({})])
def test_ladders_that_do_not_match_are_refused(make):
    with pytest.raises(ValueError, match="bits_per_symbol|k, e"):
        make()


def test_a_like_reason_is_logged_once(capfd):
    block = ldpc_encoder(144, 480)
    through(block, [pdu(np.zeros(n, U8)) for n in range(200, 250)] + [pmt.intern("x")] * 5)
    assert block.dropped == 55
    assert capfd.readouterr().out.count("dropped:") == 2


def test_ldpc_encoder_is_the_function():
    bits = bits_of(144)
    ((meta, code),) = through(ldpc_encoder(144, 480, 2), [pdu(bits, sequence=7)])
    assert meta == {"sequence": 7}
    assert np.array_equal(code, LdpcCode(144, 480, 2).encode(bits ^ whitening(144)))


def test_ldpc_without_whitening_and_with_crc():
    bits = bits_of(120)
    ((_, code),) = through(ldpc_encoder(144, 480, 1, "CRC24A", whiten=False), [pdu(bits)])
    assert np.array_equal(code, LdpcCode(144, 480).encode(crc.attach(bits, "CRC24A")))
    decoder = ldpc_decoder(144, 480, 1, "CRC24A", whiten=False)
    ((meta, back),) = through(decoder, [pdu((4.0 * code - 2).astype(F32))])
    assert meta["ok"] is True and np.array_equal(back, bits) and (decoder.decoded, decoder.failed) == (1, 0)


def test_a_short_packet_is_filled_with_zeros():
    bits = bits_of(100)
    ((_, code),) = through(ldpc_encoder(144, 480), [pdu(bits)])
    ((_, back),) = through(ldpc_decoder(144, 480), [pdu((4.0 * code - 2).astype(F32))])
    assert np.array_equal(back, np.pad(bits, (0, 44)))


@pytest.mark.parametrize("drop_bad", [False, True])
def test_a_block_of_noise_is_not_ok(drop_bad):
    noise = np.random.default_rng(2).standard_normal(480).astype(F32)
    decoder = ldpc_decoder(144, 480, drop_bad=drop_bad)
    results = through(decoder, [pdu(noise)])
    assert decoder.failed == 1 and [meta["ok"] for meta, _ in results] == ([] if drop_bad else [False])


def test_a_crc_catches_a_codeword_with_wrong_bits():
    wrong = bits_of(144)
    assert not crc.check(wrong, "CRC16")
    llr = (4.0 * LdpcCode(144, 480).encode(wrong) - 2).astype(F32)
    ((meta, _),) = through(ldpc_decoder(144, 480, 1, "CRC16", whiten=False), [pdu(llr)])
    assert meta["ok"] is False


def test_the_group_chooses_code_and_constellation():
    k, e, order = [144, 384], [480, 960], [2, 4]
    packets = [pdu(bits_of(144), group=0), pdu(bits_of(384), group=1), pdu(bits_of(144)), pdu(bits_of(144), group=2)]
    encoder = ldpc_encoder(k, e, order)
    code = through(encoder, packets)
    assert [data.size for _, data in code] == e and encoder.dropped == 2  # no group, and one that does not exist
    symbols = through(qam_mapper(order), [pdu(data, **meta) for meta, data in code])
    assert [data.size for _, data in symbols] == [240, 240]
    llr = through(soft_demapper(order), [pdu(data, **meta) for meta, data in symbols])
    back = through(ldpc_decoder(k, e, order), [pdu(data, **meta) for meta, data in llr])
    assert all(meta["ok"] for meta, _ in back)
    assert np.array_equal(back[0][1], bits_of(144)) and np.array_equal(back[1][1], bits_of(384))


@pytest.mark.parametrize("order", [1, 2, 4, 6, 8])
def test_mapper_and_demapper_are_the_functions(order):
    bits = bits_of(48 * order)
    ((_, symbols),) = through(qam_mapper(order), [pdu(bits)])
    assert np.array_equal(symbols, map_bits(bits, order))
    ((_, llr),) = through(soft_demapper(order, 0.5), [pdu(symbols)])
    assert np.array_equal(llr, demap(symbols, 0.5, order)) and np.array_equal(llr > 0, bits)


def test_demapper_takes_the_noise_from_the_dictionary():
    symbols = map_bits(bits_of(20), 2)
    each = np.linspace(0.1, 2, 10).astype(F32)
    each[3] = np.inf
    block = soft_demapper(2, 1.0, "exact")
    one, many, wrong_count, negative = (
        pdu(symbols, noise_var=value) for value in (0.25, each, each[:4].copy(), -1.0)
    )
    results = through(block, [one, many, wrong_count, negative])
    assert block.dropped == 2 and len(results) == 2
    assert np.array_equal(results[0][1], demap(symbols, 0.25, 2, "exact"))
    assert np.array_equal(results[1][1], demap(symbols, each, 2, "exact")) and not results[1][1][6:8].any()


def test_packet_loss_is_the_process():
    block = packet_loss("gilbert:0.3,2", 5)
    passed = through(block, [pdu(np.array([i], F32), sequence=i) for i in range(200)])
    kept = np.flatnonzero(~parse_loss("gilbert:0.3,2", 5).step(200))
    assert [meta["sequence"] for meta, _ in passed] == list(kept) and 100 < len(kept) < 180
    assert (block.received, block.lost) == (200, 200 - len(kept))
    assert np.array_equal([data[0] for _, data in passed], kept)


def test_packet_loss_passes_any_vector_and_can_be_changed():
    vectors = [np.arange(3, dtype=kind) for kind in (U8, np.int16, np.int32, F32, np.float64, C32)]
    block = packet_loss("bernoulli:1")
    block.set_loss("none")
    passed = through(block, [pdu(vector) for vector in vectors])
    assert [data.dtype for _, data in passed] == [vector.dtype for vector in vectors] and block.dropped == 0


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: ldpc_encoder(k=0), "k"),
        (lambda: ldpc_encoder(k=144, e=100), "e"),
        (lambda: ldpc_encoder(k=[144, 384], e=[480]), "k, e"),
        (lambda: ldpc_encoder(k=[]), "k"),
        (lambda: ldpc_encoder(k=16, crc="CRC16"), "k"),
        (lambda: ldpc_encoder(crc="CRC8"), "CRC8"),
        (lambda: ldpc_decoder(iterations=0), "iterations"),
        (lambda: qam_mapper(3), "bits_per_symbol"),
        (lambda: qam_mapper([2, 5]), "bits_per_symbol"),
        (lambda: soft_demapper(2, 0), "noise_var"),
        (lambda: soft_demapper(2, 1, "soft"), "method"),
        (lambda: packet_loss("bernoulli:2"), "bernoulli"),
        (lambda: packet_loss("nothing"), "loss"),
        (lambda: packet_loss("wlan", -1), "seed"),
    ],
)
def test_wrong_parameters_are_named_before_the_start(make, name):
    with pytest.raises(ValueError, match=name):
        make()
