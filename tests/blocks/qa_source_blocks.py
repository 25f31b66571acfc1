# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks from sound to packets and back agree with the plain functions; the engine agrees with `link.run`."""

import queue
import threading
import time

import numpy as np
import pmt
import pytest
from flowgraphs import opened, pdu, through
from gnuradio import blocks, gr
from soundspring import link as functions
from soundspring import profile
from soundspring.blocks.codec_decoder import codec_decoder
from soundspring.blocks.codec_encoder import codec_encoder
from soundspring.blocks.concealer import concealer
from soundspring.blocks.entropy_decoder import entropy_decoder
from soundspring.blocks.entropy_encoder import entropy_encoder
from soundspring.blocks.packet_formatter import packet_formatter
from soundspring.blocks.packet_parser import packet_parser
from soundspring.blocks.pdu import clock
from soundspring.channel import make_channel
from soundspring.channel.loss import parse_loss
from soundspring.hier.engine import run as flowgraph

REFERENCE = profile.load("reference")


@pytest.fixture
def link(tiny_models):
    return functions.Link(REFERENCE, tiny_models)


def tokens(count, seed=0):
    return np.random.default_rng(seed).integers(0, 1024, (count, 5, REFERENCE.layers)).astype(np.int16)


def as_pdus(superframes):
    return [pdu(t.ravel()) for t in superframes]


def test_codec_encoder_gives_the_tokens_of_the_function(link, speech_like):
    padded = functions.superframes(speech_like, REFERENCE)
    top, source, block = gr.top_block(), blocks.vector_source_f(padded.ravel().tolist()), codec_encoder()
    debug = blocks.message_debug()
    top.connect(source, block)
    top.msg_connect((block, "pdus"), (debug, "store"))
    top.run()
    encoder = link.codec_encoder()
    got = [opened(debug.get_message(i)) for i in range(debug.num_messages())]
    assert len(got) == len(padded)
    for (meta, data), chunk in zip(got, padded, strict=True):
        assert (meta["frames"], meta["layers"]) == (5, REFERENCE.layers)
        assert np.array_equal(np.reshape(data, (5, -1)), encoder.push(chunk))


def test_latents_alone_are_enough_for_the_entropy_encoder(link, speech_like):
    padded = functions.superframes(speech_like, REFERENCE)[:3]
    top, source = gr.top_block(), blocks.vector_source_f(padded.ravel().tolist())
    codec, entropy, debug = codec_encoder(quantise=False), entropy_encoder(), blocks.message_debug()
    top.connect(source, codec)
    top.msg_connect((codec, "pdus"), (entropy, "pdus"))
    top.msg_connect((entropy, "pdus"), (debug, "store"))
    top.run()
    got = [opened(debug.get_message(i)) for i in range(debug.num_messages())]
    got = [data for meta, data in got if "due" not in meta]
    encoder, coder = link.codec_encoder(), link.entropy_encoder()
    wanted = [group.bits for chunk in padded for group in coder.push(latent=encoder.analyse(chunk))[1]]
    assert len(got) == len(wanted) == 6
    assert all(np.array_equal(data, bits) for data, bits in zip(got, wanted, strict=True))


def test_packets_are_those_of_the_function(link):
    sent = tokens(4)
    got = [(m, d) for m, d in through(entropy_encoder(), as_pdus(sent)) if "due" not in m]
    encoder = link.entropy_encoder()
    wanted = [group.bits for t in sent for group in encoder.push(t)[1]]
    assert [(m["sequence"], m["group"]) for m, _ in got] == [(s, g) for s in range(4) for g in range(2)]
    assert all(np.array_equal(d, w) for (_, d), w in zip(got, wanted, strict=True))


def test_decoder_fills_gaps_in_order_and_on_the_clock(link):
    sent = tokens(6)
    encoder = link.entropy_encoder()
    packets = {s: [g.bits for g in encoder.push(t)[1]] for s, t in enumerate(sent)}
    block = entropy_decoder(first_sequence=0)
    messages = [pdu(packets[s][g], sequence=s, group=g) for s in (1, 2, 4) for g in range(2) if (s, g) != (2, 1)]
    assert [m["sequence"] for m, _ in through(block, messages)] == list(range(4))  # the last waits for its copies
    got = through(block, [clock(6)])
    assert [m["sequence"] for m, _ in got if "due" not in m] == [4, 5]
    block = entropy_decoder(first_sequence=0)
    got = through(block, [*messages, clock(6)])
    assert [m["sequence"] for m, _ in got if "due" not in m] == list(range(6))
    status = [m["status"] for m, _ in got if "due" not in m]
    assert status == ["lost lost", "ok ok", "ok lost", "lost lost", "ok ok", "lost lost"]
    assert block.counts.packets_lost == 7 and block.dropped == 0


@pytest.mark.parametrize(
    "message",
    [
        pdu(np.zeros(10, np.uint8)),
        pdu(np.zeros(10, np.uint8), sequence=3, group=9),
        pdu(np.full(10, 7, np.uint8), sequence=3, group=0),
        pdu(np.zeros(10, np.float32), sequence=3, group=0),
        pmt.intern("nonsense"),
        pmt.cons(pmt.PMT_NIL, pmt.init_u8vector(3, [1, 0, 1])),
    ],
)
def test_decoder_drops_what_it_cannot_use_and_goes_on(link, message):
    encoder = link.entropy_encoder()
    good = [pdu(g.bits, sequence=0, group=i) for i, g in enumerate(encoder.push(tokens(1)[0])[1])]
    block = entropy_decoder()
    got = through(block, [message, *good, clock(1)])
    assert block.dropped == 1
    assert [m["status"] for m, _ in got if "due" not in m] == ["ok ok"]


def test_garbage_bits_are_counted_as_damaged(link):
    rng = np.random.default_rng(1)
    bits = [pdu(rng.integers(0, 2, 120, np.uint8), sequence=0, group=g) for g in range(2)]
    block = entropy_decoder()
    through(block, bits)
    assert block.counts.packets_desync + block.counts.packets_undecodable == 2


@pytest.mark.parametrize("block", [entropy_encoder, concealer])
@pytest.mark.parametrize("data", [np.zeros(7, np.int16), np.zeros(0, np.int16), np.zeros(80, np.uint8)])
def test_wrong_tokens_are_dropped(tiny_models, block, data):
    one = block()
    assert through(one, [pdu(data)]) == [] and one.dropped == 1


def test_codec_decoder_drops_what_is_no_latent(tiny_models):
    top, block, sink = gr.top_block(), codec_decoder(), blocks.vector_sink_f()
    top.connect(block, sink)
    for message in (pdu(np.zeros(5, np.float32)), pdu(np.zeros(16, np.float32), layers=np.zeros(3, np.int16)),
                    pdu(np.full(16, np.nan, np.float32), layers=np.ones(1, np.int16))):
        block.receive(message)
    assert block.dropped == 3


def spoken(block, count: int) -> np.ndarray:
    """What a decoder in no flowgraph gives in requests of 100, none more than it wants to."""
    block.nitems_written = lambda port: sum(map(len, out))
    out: list[np.ndarray] = []
    while sum(map(len, out)) < count:
        piece = np.zeros(100, np.float32)
        out.append(piece[: block.work([], [piece])])
    return np.concatenate(out)[:count]


def test_codec_decoder_keeps_sound_back_for_what_comes_late(tiny_models):
    """The same sound as without a playout buffer, 60 ms later, and silence around it."""
    rng = np.random.default_rng(6)
    latents = [pdu(rng.standard_normal(5 * 16).astype(np.float32), layers=np.full(5, 12, np.int16)) for _ in range(2)]
    plain, follows = codec_decoder(idle=True), codec_decoder(playout_ms=60)
    for block in (plain, follows):
        for message in latents:
            block.receive(message)
    assert follows.waiting == plain.waiting - 320 == 2880  # the first 20 ms belong before the first frame
    wanted, sound = spoken(plain, 2880), spoken(follows, 6000)
    begin = 960 + 320  # the next superframe would come 80 ms after the first was there
    assert not sound[:begin].any() and not sound[begin + 2880 :].any()
    inner = slice(100, 2700)  # behind the fade at the beginning, before that at the end
    assert np.corrcoef(sound[begin:][inner], wanted[inner])[0, 1] > 0.99  # its speed is some ppm off
    assert follows.follower.counts.gaps == 0


def test_codec_decoder_stays_near_the_sound_card(tiny_models):
    block, taken = codec_decoder(playout_ms=60), [0]
    block.stay_near(type("Card", (), {"nitems_read": lambda self, port: taken[0]})(), 320)
    made = [0]
    block.nitems_written = lambda port: made[0]
    room = np.zeros(1000, np.float32)
    made[0] += block.work([], [room])
    assert made[0] == 320
    taker = threading.Timer(0.03, taken.__setitem__, (0, 160))
    taker.start()
    assert block.work([], [room]) == 160  # it waits: GNU Radio would not call again soon
    made[0] += 160
    assert block.work([], [room]) == 320  # a card that takes nothing does not hold it up


def test_codec_decoder_keeps_a_sound_card_fed(tiny_models):
    """A card that takes a period at a time by the clock, after a buffer full at once, never waits for sound."""
    periods = queue.Queue()

    class Card(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, name="card", in_sig=[np.float32], out_sig=None)
            self.set_output_multiple(160)

        def work(self, input_items, output_items):
            if periods.qsize() > 3:
                time.sleep(0.01)
            periods.put(time.monotonic())
            return 160

    top, block, card = gr.top_block(), codec_decoder(playout_ms=60), Card()
    block.stay_near(card, 160)
    top.connect(block, card)
    top.start()
    time.sleep(1.5)
    top.stop()
    top.wait()
    assert periods.qsize() > 50  # of 150; where the scheduler's 250 ms come between, 12


@pytest.mark.parametrize("playout_ms", [-1.0, 2000.0])
def test_codec_decoder_names_a_wrong_playout(tiny_models, playout_ms):
    with pytest.raises(ValueError, match="playout_ms"):
        codec_decoder(playout_ms=playout_ms)


def test_on_the_air_fates_are_counted_for_ever_and_remembered_for_a_while():
    counts = functions.Counts(keep=10)
    for _ in range(100):
        counts.note(("ok", "lost"))
        counts.note(("desync", "undecodable"))
    assert (counts.packets_lost, counts.packets_undecodable, counts.packets_desync) == (100, 100, 100)
    assert counts.fates.total() == 400 and 10 <= len(counts.status) <= 20
    assert counts.status[-1] == ("desync", "undecodable")
    assert entropy_decoder().counts.keep and entropy_decoder(first_sequence=0).counts.keep is None


@pytest.mark.parametrize(
    "channel, snr, loss",
    [("awgn", 12.0, None), ("awgn", -1.0, None), ("rayleigh", 8.0, "bernoulli:0.3"), ("none", None, "gilbert:0.3,3"),
     ("awgn", -15.0, None)],
)
def test_engine_agrees_with_the_functions(link, speech_like, channel, snr, loss):
    """Packet for packet, and sample for sample, for the same noise."""
    results = []
    for engine in (functions.run, flowgraph):
        air = None if channel == "none" else make_channel(
            channel, rate=link.sample_rate, snr_db=snr, oversampling=2, seed=4)
        results.append(engine(link, speech_like, air, parse_loss(loss, 5) if loss else None))
    ours, theirs = results
    assert ours.counts == theirs.counts
    assert len(ours.audio) == len(speech_like) and np.array_equal(ours.audio, theirs.audio)
    assert ours.counts.packets_sent == 28 and (ours.counts.packets_lost > 0) == (snr != 12.0)


@pytest.mark.parametrize("snr, loss", [(25.0, None), (3.0, None), (25.0, "bernoulli:0.3")])
def test_engine_agrees_with_the_functions_on_switches(tiny_models, speech_like, snr, loss):
    """The rung changes while the flowgraph runs; of bursts that do not come neither end knows the rung."""
    link = functions.Link(profile.load_ladder("wide"), tiny_models)
    switches, results = {0: 2, 3: 0, 5: 7, 8: 1, 9: 4, 12: 0}, []
    for engine in (functions.run, flowgraph):
        air = make_channel("awgn", rate=link.sample_rate, snr_db=snr, oversampling=2, seed=4)
        results.append(engine(link, speech_like, air, parse_loss(loss, 5) if loss else None, switches))
    ours, theirs = results
    assert ours.counts == theirs.counts and np.array_equal(ours.audio, theirs.audio)
    assert ours.counts.packets_sent == 24 and (ours.counts.packets_lost > 0) == (snr < 20 or loss is not None)


def test_engine_agrees_with_the_functions_on_a_narrow_link_far_off_its_frequency(tiny_models, speech_like):
    link, results = functions.Link(profile.load_ladder("narrow"), tiny_models), []
    for engine in (functions.run, flowgraph):
        air = make_channel("awgn", rate=link.sample_rate, snr_db=9.0, oversampling=32, cfo_hz=-83e3, seed=4)
        results.append(engine(link, speech_like, air, None, {0: 1, 6: 2, 9: 0}))
    ours, theirs = results
    assert ours.counts == theirs.counts and np.array_equal(ours.audio, theirs.audio)
    assert ours.counts.packets_sent == 28 and ours.counts.packets_lost == 0


def rung(place):
    return pmt.from_long(place)


def at(place, sequence):
    message = pmt.dict_add(pmt.make_dict(), pmt.intern("soundspring_rung"), rung(place))
    return pmt.dict_add(message, pmt.intern("soundspring_sequence"), rung(sequence))


@pytest.mark.parametrize(
    ("messages", "wanted"),
    [
        ([], [3, 3, 3, 3]),
        ([rung(1)], [1, 1, 1, 1]),
        ([pmt.cons(pmt.intern("rung"), rung(5))], [5, 5, 5, 5]),
        ([at(0, 2), at(6, 1)], [3, 6, 0, 0]),
        ([at(1, 2), rung(7)], [7, 7, 1, 1]),
    ],
)
def test_the_rung_changes_by_message(tiny_models, messages, wanted):
    block = entropy_encoder("wide", 3)
    for message in messages:
        block._switch(message)
    got = through(block, [pdu(t.ravel()) for t in np.random.default_rng(0).integers(0, 1024, (4, 5, 24)).astype("i2")])
    assert [m["profile"] for m, _ in got if m["group"] == 0] == wanted
    assert [len([1 for m, _ in got if m["sequence"] == s]) for s in range(4)] == [1 + (w > 0) for w in wanted]


@pytest.mark.parametrize("message", [rung(8), rung(-1), pmt.intern("up"), pmt.PMT_NIL, pmt.from_double(1.0), at(9, 1),
                                     at(1, -1), pmt.make_dict(), pmt.cons(pmt.intern("rung"), pmt.PMT_T)])
def test_what_is_no_rung_changes_nothing(tiny_models, message):
    block = entropy_encoder("wide", 3)
    block._switch(message)
    assert block.dropped == 1 and block._profile_at(0).id == 3


def test_a_rung_that_is_not_there_is_refused(tiny_models):
    with pytest.raises(ValueError, match="rung"):
        entropy_encoder("reference", 1)
    with pytest.raises(ValueError, match="rung"):
        entropy_encoder("wide").set_rung(8)


def test_decoder_drops_packets_of_no_rung(tiny_models):
    block = entropy_decoder("wide")
    bits = np.zeros(10, np.uint8)
    through(block, [pdu(bits, sequence=0, group=0), pdu(bits, sequence=0, group=1, profile=0),
                    pdu(bits, sequence=0, group=0, profile=8)])
    assert block.dropped == 3


@pytest.mark.parametrize("loss", [None, "bernoulli:0.3"])
@pytest.mark.parametrize("copies", [(3,), (4, 3)])
def test_engine_agrees_with_the_functions_on_copies(tiny_models, speech_like, copies, loss):
    link = functions.Link(profile.replace_profile(profile.load("packet20"), copies=copies), tiny_models)
    ours, theirs = (engine(link, speech_like[:12000], None, parse_loss(loss, 5) if loss else None)
                    for engine in (functions.run, flowgraph))
    assert ours.counts == theirs.counts and np.array_equal(ours.audio, theirs.audio)
    assert ours.counts.copy_bits > 0 and (ours.counts.packets_lost > 0) == (loss is not None)


def test_copies_repair_what_is_lost(tiny_models):
    """Packets 1 and 3 do not come; the decoder waits for their copies, unless it shall not or they are overdue."""
    whole = profile.load("packet20")
    copies, layers = whole.copies, whole.layers
    sent = [pdu(t.ravel()) for t in np.random.default_rng(2).integers(0, 1024, (6, 1, layers)).astype(np.int16)]
    left = [pdu(d, **m) for m, d in through(entropy_encoder("packet20"), sent) if m["sequence"] not in (1, 3)]
    block = entropy_decoder("packet20", 0)
    got = [m for m, _ in through(block, left)]
    assert len(got) == 6 - len(copies) and block.dropped == 0
    assert [m["status"] for m in got] == ["ok", "lost", "ok", "lost"][: len(got)]
    assert [sum(m["received"]) for m in got] == [layers, copies[0], layers, copies[0]][: len(got)]
    last = range(6 - len(copies), 6)
    assert through(block, [clock(last[0])]) == []
    assert [m["sequence"] for m, _ in through(block, [clock(last[0] + 1)])] == [last[0]]
    block.end = 6  # now it is known that no more copies come
    assert [m["sequence"] for m, _ in through(block, [clock(last[0] + 1)])] == [*last[1:]]
    hasty = through(entropy_decoder("packet20", 0, copies=False), left)
    assert [m["sequence"] for m, _ in hasty] == [*range(6)] and not any(hasty[1][0]["received"])


def test_a_packet_that_came_damaged_is_not_waited_for(link):
    encoder = link.entropy_encoder()
    base, more = (g.bits for g in encoder.push(tokens(1)[0])[1])
    block = entropy_decoder(copies=False)
    got = through(block, [pdu(base, sequence=0, group=0), pdu(more, sequence=0, group=1, ok=False)])
    assert [m["status"] for m, _ in got] == ["ok lost"]


def test_byte_packets_carry_everything(link):
    encoder = link.entropy_encoder()
    sent = {(s, g): group.bits for s, t in enumerate(tokens(3)) for g, group in enumerate(encoder.push(t)[1])}
    messages = [pdu(bits, sequence=s, group=g) for (s, g), bits in sent.items()]
    formatted = through(packet_formatter(), messages)
    damaged = formatted[2][1].copy()
    damaged[6] ^= 4
    parser = packet_parser()
    got = through(parser, [pdu(d) for _, d in formatted[:2]] + [pdu(damaged)] + [pdu(d) for _, d in formatted[3:]])
    assert parser.dropped == 1 and len(got) == 5
    for meta, bits in got:
        wanted = sent[meta["sequence"], meta["group"]]
        assert np.array_equal(bits[: wanted.size], wanted) and not np.any(bits[wanted.size :])


def test_sequence_numbers_unwrap(tiny_models):
    formatted = through(packet_formatter(), [pdu(np.ones(8, np.uint8), sequence=s, group=0)
                                             for s in (65534, 65535, 65536, 65540)])
    got = through(packet_parser(), [pdu(d) for _, d in formatted])
    assert [m["sequence"] for m, _ in got] == [65534, 65535, 65536, 65540]
