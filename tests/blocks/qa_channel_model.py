# SPDX-License-Identifier: GPL-3.0-or-later
"""The channel block applies the same noise and fading as the plain function."""

import numpy as np
import pytest

pytest.importorskip("gnuradio.gr")
from gnuradio import blocks, gr  # noqa: E402
from soundspring.blocks.channel_model import channel_model  # noqa: E402
from soundspring.channel import make_channel  # noqa: E402

RATE = 2e6


def run(block, samples, most=None):
    top, sink = gr.top_block(), blocks.vector_sink_c()
    top.connect(blocks.vector_source_c(samples), block, sink)
    top.run() if most is None else top.run(most)
    return np.array(sink.data(), np.complex64)


def some_samples(n=100_000, seed=3):
    return np.random.default_rng(seed).standard_normal((n, 2)).astype(np.float32).view(np.complex64).ravel()


@pytest.mark.parametrize(
    ("channel", "more"),
    [
        ("none", {}),
        ("awgn", {"snr_db": 7.0}),
        ("awgn", {"snr_db": 7.0, "cfo_hz": 12e3, "linewidth_hz": 5.0}),
        ("rician", {"snr_db": 20.0, "doppler_hz": 50.0}),
        ("tdl-c", {"snr_db": 3.0, "delay_spread_s": 300e-9, "doppler_hz": 30.0}),
    ],
)
@pytest.mark.parametrize("most", [None, 777])
def test_the_same_samples_as_the_function_whatever_the_buffers(channel, more, most):
    samples = some_samples()
    settings = {"snr_db": None, "seed": 11, **more}
    result = run(channel_model(channel, RATE, **settings), samples, most)
    wanted = make_channel(channel, rate=RATE, oversampling=2.0, **settings).process(samples)
    assert result.size == samples.size
    assert np.allclose(result, wanted, rtol=0, atol=2e-6)
    if channel == "awgn" and len(more) == 1:
        assert np.array_equal(result, wanted)


@pytest.mark.parametrize("ppm", [-200.0, 200.0])
def test_a_clock_error_changes_the_length(ppm):
    samples = some_samples()
    result = run(channel_model("none", RATE, None, clock_ppm=ppm), samples)
    wanted = make_channel("none", rate=RATE, clock_ppm=ppm).process(samples)
    assert abs(result.size - samples.size * (1 - ppm * 1e-6)) < 40 and abs(result.size - wanted.size) <= 1
    assert np.allclose(result[:90_000], wanted[:90_000], atol=1e-5)


def test_the_level_of_the_noise_can_be_changed():
    block = channel_model("awgn", RATE, snr_db=0.0)
    block.set_snr_db(20.0)
    assert np.isclose(np.var(run(block, np.zeros(50_000, np.complex64))), 0.02, rtol=0.05)
    with pytest.raises(ValueError, match="snr_db"):
        channel_model("none", RATE, None).set_snr_db(3.0)


def test_the_channel_can_be_changed_and_keeps_its_noise():
    block, samples = channel_model("awgn", RATE, snr_db=30.0, seed=5), some_samples()
    block.set_snr_db(10.0)
    block.set_channel("tdl-a")
    wanted = make_channel("tdl-a", rate=RATE, oversampling=2.0, snr_db=10.0, seed=5).process(samples)
    assert np.allclose(run(block, samples), wanted, rtol=0, atol=2e-6)
    block = channel_model("awgn", RATE)
    block.set_channel("none")
    assert np.array_equal(run(block, samples), samples)
    with pytest.raises(ValueError, match="name"):
        block.set_channel("vacuum")


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"channel": "vacuum"}, "name"),
        ({"channel": "none", "snr_db": 3.0}, "snr_db"),
        ({"snr_db": None}, "snr_db"),
        ({"rate": 0, "cfo_hz": 1.0}, "rate"),
        ({"cfo_hz": 1e9}, "hz"),
        ({"seed": -1}, "seed"),
        ({"oversampling": 0.0}, "oversampling"),
    ],
)
def test_wrong_parameters_are_named_before_the_start(settings, name):
    with pytest.raises(ValueError, match=name):
        channel_model(**settings)
