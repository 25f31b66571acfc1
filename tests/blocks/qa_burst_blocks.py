# SPDX-License-Identifier: GPL-3.0-or-later
"""Burst modulator and receiver: the functions' samples and symbols, and nothing lost on the way."""

import time
from functools import cache

import numpy as np
import pmt
import pytest
from flowgraphs import clocks, pdu, post, stored, wait_for
from gnuradio import blocks, gr
from soundspring.blocks.burst_modulator import burst_modulator
from soundspring.blocks.burst_receiver import burst_receiver
from soundspring.blocks.channel_model import channel_model
from soundspring.burst_header import HeaderCode
from soundspring.coding.packet import BurstHeader, PacketError
from soundspring.modem.burst import BurstModulator
from soundspring.modem.numerology import Numerology
from soundspring.modem.qam import map_bits
from soundspring.profile import load

PROFILE = load("reference")
PHY = PROFILE.phy
PERIOD_S = 0.012  # room for the burst and for the silence that the receiver needs behind it
MODEL = 5


@cache
def packets(count):
    """Symbols of each packet of `count` superframes: [sequence][group]."""
    rng = np.random.default_rng(4)
    sizes = [packet.code_bits for packet in PHY.packets]
    return [[map_bits(rng.integers(0, 2, n, np.uint8), 2) for n in sizes] for _ in range(count)]


def messages(count, first=0):
    return [pdu(symbols, sequence=first + i, group=g) for i, groups in enumerate(packets(count))
            for g, symbols in enumerate(groups)]


def samples_of(block, messages):
    """Everything the modulator sends for `messages`."""
    top, sink = gr.top_block(), blocks.vector_sink_c()
    top.connect(block, sink)
    post(block, messages)
    top.run()
    return np.array(sink.data(), np.complex64), sink.tags()


def received(block, samples):
    """PDUs that the receiver makes of `samples`."""
    top, debug = gr.top_block(), blocks.message_debug()
    top.connect(blocks.vector_source_c(samples), block)
    top.msg_connect((block, "pdus"), (debug, "store"))
    top.run()
    return stored(debug)


def expected(count, period, first=0):
    """The same samples by the plain functions."""
    numerology = Numerology(PHY.fft, PHY.cp, PHY.data_carriers, PHY.pilots, PHY.rate)
    modulator, header = BurstModulator(numerology, PHY.header_code_bits, 2), HeaderCode(PHY.header_code_bits)
    out = []
    for i, groups in enumerate(packets(count)):
        code = header.encode(BurstHeader(PROFILE.id, MODEL, (first + i) % 256))
        burst = modulator.modulate(code, np.concatenate(groups))
        out.append(np.pad(burst, (0, period - burst.size)))
    return np.concatenate(out)


def test_modulator_sends_the_functions_samples_and_tags_the_bursts():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S)
    samples, tags = samples_of(block, messages(5, first=254))
    assert block.samples_per_period == 24_000 and block.bursts == 5
    assert np.array_equal(samples, expected(5, 24_000, first=254))
    assert [tag.offset for tag in tags] == [24_000 * i for i in range(5)]
    assert {pmt.to_python(tag.value) for tag in tags} == {block.samples_per_burst}


def test_the_period_is_the_superframe_if_none_is_given():
    assert burst_modulator("reference").samples_per_period == 200_000
    assert burst_modulator("reference", rate=250e3, oversampling=4).samples_per_period == 100_000


def test_work_that_comes_before_the_start_and_in_a_flood_is_kept():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S)
    samples, _ = samples_of(block, messages(60))
    assert samples.size == 60 * 24_000 and block.dropped == 0


def test_packets_of_two_chains_are_sorted_into_bursts():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S)
    mixed = messages(6)
    samples, _ = samples_of(block, mixed[0::2] + mixed[1::2])
    assert np.array_equal(samples, expected(6, 24_000))


def test_a_burst_that_misses_a_packet_is_dropped_and_malformed_pdus_too():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S)
    symbols = packets(3)[1][1].copy()
    symbols[7] = np.nan
    bad = [pdu(symbols[:-1], sequence=9, group=1), pdu(symbols, sequence=9, group=1), pdu(symbols, group=1),
           pdu(symbols, sequence=9, group=2), pdu(symbols, sequence=-1, group=1), pdu(symbols, sequence="9", group=1),
           pdu(symbols, sequence=9), pmt.intern("x")]
    good = messages(3)
    samples, _ = samples_of(block, bad + [message for i, message in enumerate(good) if i != 2])
    assert block.bursts == 2 and block.dropped == len(bad) + 1
    whole = expected(3, 24_000).reshape(3, -1)
    assert np.array_equal(samples, whole[[0, 2]].ravel())


def test_a_pdu_without_a_group_is_the_whole_payload():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S)
    whole = [pdu(np.concatenate(groups), sequence=i) for i, groups in enumerate(packets(2))]
    assert np.array_equal(samples_of(block, whole)[0], expected(2, 24_000))


def test_idle_fills_the_time_between_bursts_with_silence():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S, idle=True)
    top, head, sink = gr.top_block(), blocks.head(gr.sizeof_gr_complex, 2_000_000), blocks.vector_sink_c()
    top.connect(block, blocks.throttle(gr.sizeof_gr_complex, 4e6), head, sink)
    top.start()
    time.sleep(0.1)
    post(block, messages(2), done=False)
    top.wait()
    samples = np.array(sink.data(), np.complex64)
    assert samples.size == 2_000_000 and block.bursts == 2
    first = np.flatnonzero(samples)[0]  # the first sample of a burst is not zero
    one, other = np.split(expected(2, 24_000), 2)
    assert first > 0 and np.array_equal(samples[first : first + 22_000], one[:22_000])
    second = first + round(24_000 * (1 - 500e-6))  # waiting bursts are sent a little faster
    assert np.array_equal(samples[second : second + 24_000], other) and not samples[second + 24_000 :].any()


def starts(block, ready: list[int]) -> list[int]:
    """The samples made, in pieces of 500, when each burst has begun; they are ready when so many are made."""
    block.add_item_tag, block.nitems_written = lambda *tag: None, lambda port: 0  # it runs in no flowgraph
    out, made, begun, waiting = np.zeros(500, np.complex64), 0, [], list(ready)
    while len(begun) < len(ready):
        while waiting and waiting[0] <= made:
            for message in messages(1, len(ready) - len(waiting)):
                block.receive(message)
            waiting.pop(0)
        before = block.bursts
        made += block.work([], [out])
        begun += [made] * (block.bursts - before)
    return begun


def test_idle_sends_a_burst_when_it_is_ready_and_catches_up_after_a_late_one():
    block = burst_modulator("reference", MODEL, period_s=0.1, idle=True)
    period, late = 200_000, 80_000
    ready = [k * period + (late if k == 3 else 0) for k in range(12)]
    delay = np.array(starts(block, ready)) - period * np.arange(12)
    assert delay[:3].max() < 4000, "no more than a piece of silence"
    assert delay[3] == pytest.approx(late, abs=4000)
    np.testing.assert_allclose(np.diff(delay[3:7]), -period // 10, atol=2000)
    assert delay[8:].max() < 4000


def test_idle_outruns_the_radio_only_a_little_when_bursts_wait_for_ever():
    block = burst_modulator("reference", MODEL, period_s=0.1, idle=True)
    found = starts(block, [0] * 20)
    assert np.mean(np.diff(found)) == pytest.approx(200_000 * (1 - 500e-6), abs=60)


def test_numbers_go_on_for_days():
    block = burst_modulator("reference", MODEL, period_s=PERIOD_S)
    assert np.array_equal(samples_of(block, messages(2, 1 << 16))[0], expected(2, 24_000, 1 << 16))


def test_receiver_gives_back_every_packet_with_what_it_measured():
    samples = np.concatenate([expected(8, 24_000), np.zeros(24_000, np.complex64)])
    block = burst_receiver("reference", MODEL)
    results = received(block, samples)
    assert [(meta["sequence"], meta["group"]) for meta, _ in results] == [(i, g) for i in range(8) for g in (0, 1)]
    assert block.bursts == 8 and block.dropped == 0
    for meta, symbols in results:
        sent = packets(8)[meta["sequence"]][meta["group"]]
        assert symbols.dtype == np.complex64 and np.abs(symbols - sent).max() < 0.02
        assert meta["noise_var"].shape == symbols.shape and (meta["noise_var"] > 0).all()
        assert meta["snr_db"] > 40 and abs(meta["cfo_hz"]) < 5 and meta["evm"] < 0.01
        assert (meta["profile"], meta["model"]) == (PROFILE.id, MODEL)
        assert abs(meta["start"] - 24_000 * meta["sequence"]) <= 8


def test_receiver_at_low_snr_with_an_offset_and_small_buffers():
    top, debug = gr.top_block(), blocks.message_debug()
    air = channel_model("awgn", 2e6, 5.0, cfo_hz=31_000.0, clock_ppm=15.0, seed=2)
    block = burst_receiver("reference", MODEL)
    samples = np.concatenate([expected(20, 24_000), np.zeros(24_000, np.complex64)])
    top.connect(blocks.vector_source_c(samples), air, block)
    top.msg_connect((block, "pdus"), (debug, "store"))
    top.run(500)
    results = stored(debug)
    assert {meta["sequence"] for meta, _ in results} == set(range(20))
    assert np.isclose(np.mean([meta["snr_db"] for meta, _ in results]), 5.0, atol=0.7)
    assert np.allclose([meta["cfo_hz"] for meta, _ in results], 31_000, atol=60)


@pytest.mark.parametrize("settings", [{"model": MODEL + 1}, {"profile": "other"}])
def test_foreign_bursts_are_counted_and_dropped(tmp_path, settings):
    if "profile" in settings:
        from pathlib import Path

        import soundspring.profile

        text = (Path(soundspring.profile.__file__).parent / "profiles/reference.yaml").read_text()
        (tmp_path / "other.yaml").write_text(text.replace(f"id: {PROFILE.id}", "id: 6"))
        settings = {"profile": str(tmp_path / "other.yaml")}
    block = burst_receiver(**settings)
    samples = np.concatenate([expected(3, 24_000), np.zeros(24_000, np.complex64)])
    assert received(block, samples) == [] and block.dropped == 3 and block.detections == 3


def test_noise_and_samples_that_are_not_finite_make_no_packets():
    noise = np.random.default_rng(1).standard_normal(600_000).astype(np.float32).view(np.complex64)
    noise[1000:1100] = np.nan
    block = burst_receiver("reference", None)
    assert received(block, noise) == [] and block.bursts == 0


def test_sender_and_receiver_in_one_flowgraph():
    top, debug = gr.top_block(), blocks.message_debug()
    sender, receiver = burst_modulator("reference", MODEL, period_s=PERIOD_S, idle=True), burst_receiver("reference")
    air = channel_model("awgn", 2e6, 20.0)  # GNU Radio keeps no reference to blocks written in Python
    top.connect(sender, blocks.throttle(gr.sizeof_gr_complex, 2e6), air, receiver)
    top.msg_connect((receiver, "pdus"), (debug, "store"))
    top.start()
    post(sender, messages(10), done=False)
    wait_for(lambda: len(stored(debug)) == 20)
    top.stop()
    top.wait()
    assert [meta["sequence"] for meta, _ in stored(debug)][::2] == list(range(10))
    due = clocks(debug)
    assert due == sorted(set(due)) and due[0] <= 1  # a clock never runs backwards


def test_header_code():
    code = HeaderCode(PHY.header_code_bits)
    header = BurstHeader(PROFILE.id, MODEL, 200)
    llr = (4.0 * code.encode(header) - 2).astype(np.float32)
    assert code.decode(llr) == header and code.decode(llr, MODEL) == header
    noisy = llr + np.random.default_rng(0).normal(0, 4, llr.size).astype(np.float32)
    assert code.decode(noisy) == header
    for wrong, model in ((llr, MODEL + 1), (np.random.default_rng(0).normal(0, 4, llr.size).astype(np.float32), None)):
        with pytest.raises(PacketError):
            code.decode(wrong, model)


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda: burst_modulator("nonsense"), "profile"),
        (lambda: burst_modulator("packet20"), "phy"),
        (lambda: burst_modulator(model=64), "model"),
        (lambda: burst_modulator(oversampling=0), "oversampling"),
        (lambda: burst_modulator(rate=-1.0), "rate"),
        (lambda: burst_modulator(period_s=0.001), "period_s"),
        (lambda: burst_receiver("nonsense"), "profile"),
        (lambda: burst_receiver(oversampling=1), "oversampling"),
        (lambda: burst_receiver(threshold=0), "threshold"),
        (lambda: burst_receiver(max_cfo_hz=1e9), "max_cfo_hz"),
    ],
)
def test_wrong_parameters_are_named_before_the_start(make, name):
    with pytest.raises(ValueError, match=name):
        make()
