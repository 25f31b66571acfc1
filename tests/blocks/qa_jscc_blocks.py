# SPDX-License-Identifier: GPL-3.0-or-later
"""The blocks of the analog scheme: the same as the plain functions, and calm whatever they are fed."""

import numpy as np
import pytest
from flowgraphs import DONE, pdu, stored
from gnuradio import blocks, gr
from soundspring import analog
from soundspring.analog import AnalogLink, AnalogModel
from soundspring.blocks.jscc_decoder import jscc_decoder
from soundspring.blocks.jscc_encoder import jscc_encoder
from soundspring.blocks.pdu import clock
from soundspring.channel.factory import make_channel
from soundspring.channel.loss import parse_loss
from soundspring.hier.symbol_engine import run


@pytest.fixture
def ours(tiny_models):
    return AnalogLink("reference", AnalogModel())


def test_the_flowgraph_gives_what_the_functions_give(ours, speech_like):
    def air():
        return make_channel("rayleigh", rate=2e6, snr_db=5.0, oversampling=2, seed=4, doppler_hz=4.0)

    expected = analog.run(ours, speech_like, air(), parse_loss("bernoulli:0.1", 3))
    got = run(ours, speech_like, air(), parse_loss("bernoulli:0.1", 3))
    assert got.counts == expected.counts and expected.counts.packets_lost > 0
    assert np.abs(got.audio - expected.audio).max() < 1e-3 * np.abs(expected.audio).max()
    assert np.allclose(got.symbols, expected.symbols, atol=1e-5) and got.snr_db == pytest.approx(expected.snr_db)


def test_without_a_channel_there_is_no_flowgraph(ours, speech_like):
    with pytest.raises(ValueError, match="channel"):
        run(ours, speech_like, None)


def test_the_encoder_numbers_its_superframes(ours, speech_like):
    top, debug = gr.top_block(), blocks.message_debug()
    source, encoder = blocks.vector_source_f(speech_like.tolist()), jscc_encoder()
    top.connect(source, encoder)
    top.msg_connect((encoder, "pdus"), (debug, "store"))
    top.run()
    whole = len(speech_like) // 1600
    expected = analog.encode(ours, speech_like)[:whole]
    assert [meta["sequence"] for meta, _ in stored(debug)] == list(range(whole))
    assert np.abs(np.array([data for _, data in stored(debug)]) - expected).max() < 1e-4


def play(decoder, messages):
    """What the decoder makes of these PDUs; it is told directly, as its port would."""
    for message in messages:
        decoder.receive(message)
    out, sound = np.zeros(1600, np.float32), []
    while decoder._pending.size or decoder._queue:
        sound.append(out[: decoder.work([], [out])].copy())
    return np.concatenate(sound)


def part(symbols, noise_var, sequence, group=None):
    entries = {"sequence": sequence, "noise_var": noise_var}
    return pdu(symbols, **entries | ({} if group is None else {"group": group}))


@pytest.fixture
def sent(ours, speech_like):
    symbols = analog.encode(ours, speech_like)
    return symbols, np.full(symbols.shape, 0.01, np.float32)


def test_parts_gaps_and_clocks_in_any_order(ours, sent):
    symbols, noise = sent
    decoder, (base, rest) = jscc_decoder(first_sequence=0), ours.parts
    messages = [part(symbols[0, rest], noise[0, rest], 0, 1), part(symbols[0, base], noise[0, base], 0, 0)]
    messages += [part(symbols[2], noise[2], 2), part(symbols[3, base], noise[3, base], 3, 0), clock(5)]
    sound = play(decoder, messages)
    assert decoder.counts.status == [("ok", "ok"), ("lost", "lost"), ("ok", "ok"), ("ok", "lost"), ("lost", "lost")]
    told = noise.copy()
    told[[1, 4]], told[3, rest] = np.inf, np.inf
    expected = ours.decoder().push(symbols[:5], told[:5])[320:]
    assert sound.shape == expected.shape and np.abs(sound - expected).max() < 1e-3 * np.abs(expected).max()


def test_another_transmission_starts_anew(ours, sent):
    symbols, noise = sent
    decoder = jscc_decoder()
    messages = [part(symbols[s], noise[s], 7 + s) for s in range(3)]
    sound = play(decoder, [*messages, *(part(symbols[s], noise[s], 5000 + s) for s in range(3))])
    once = ours.decoder().push(symbols[:3], noise[:3])
    assert np.allclose(sound, np.concatenate([once[320:], once]), atol=1e-3 * np.abs(once).max())


def test_what_cannot_be_used_is_counted_and_dropped(ours, sent):
    symbols, noise = sent
    decoder = jscc_decoder(first_sequence=0)
    wrong = [DONE, part(symbols[0, :10], noise[0, :10], 0), part(symbols[0], noise[0, :5], 0),
             part(symbols[0], -noise[0], 0), pdu(symbols[0], sequence=0), pdu(symbols[0], noise_var=noise[0]),
             part(symbols[0, ours.parts[0]], noise[0, ours.parts[0]], 0, 5)]
    for message in wrong:
        decoder.receive(message)
    assert decoder.dropped == len(wrong) and not decoder.counts.status
    play(decoder, [part(symbols[0], noise[0], 0)])
    decoder.receive(part(symbols[0], noise[0], 0))
    assert decoder.dropped == len(wrong) + 1 and decoder.counts.status == [("ok", "ok")]


def test_wrong_parameters_are_named(tiny_models):
    with pytest.raises(ValueError, match="first_sequence"):
        jscc_decoder(first_sequence=-2)
    with pytest.raises(ValueError, match="profile"):
        jscc_encoder("narrow")  # a ladder
