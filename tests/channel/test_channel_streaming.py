# SPDX-License-Identifier: GPL-3.0-or-later
"""A channel is one stream: the same for any chunking, another for another seed. And channels by name."""

import numpy as np
import pytest
from soundspring.channel import (
    CHANNELS,
    Awgn,
    Cfo,
    Chain,
    ClockError,
    FlatFading,
    PhaseNoise,
    TappedDelayLine,
    make_channel,
)

RATE = 1.5e6
CHUNKS = (1, 7, 1000, 0, 4096, 8191, 64, 3, 20_000)

SEEDED = {
    "awgn": lambda seed: Awgn(0.1, seed),
    "rayleigh": lambda seed: FlatFading(5000.0, RATE, None, seed),
    "rician": lambda seed: FlatFading(200.0, RATE, 3.0, seed),
    "tdl-a": lambda seed: TappedDelayLine("TDL-A", 300e-9, 5000.0, RATE, seed),
    "tdl-c": lambda seed: TappedDelayLine("TDL-C", 1e-6, 30.0, RATE, seed),
    "phase noise": lambda seed: PhaseNoise(50.0, RATE, seed),
    "everything": lambda seed: make_channel(
        "tdl-c", rate=RATE, snr_db=10.0, oversampling=1.5, cfo_hz=900.0, clock_ppm=20.0, linewidth_hz=1.0, seed=seed
    ),
}
UNSEEDED = {
    "cfo": lambda seed: Cfo(1234.5, RATE),
    "clock fast": lambda seed: ClockError(300.0),
    "clock slow": lambda seed: ClockError(-300.0),
    "chain": lambda seed: Chain([Cfo(3.0, RATE), ClockError(-3.0)]),
}


def _signal(n: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal(n) + 1j * rng.standard_normal(n)).astype(np.complex64)


@pytest.mark.parametrize("build", [pytest.param(b, id=name) for name, b in {**SEEDED, **UNSEEDED}.items()])
def test_chunks_do_not_change_the_stream(build):
    x = _signal(sum(CHUNKS))
    whole = build(7).process(x)
    channel = build(7)
    parts = [channel.process(part) for part in np.split(x, np.cumsum(CHUNKS)[:-1])]
    assert whole.dtype == np.complex64 and all(p.dtype == np.complex64 for p in parts)
    np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("name", ["rayleigh", "rician", "tdl-a", "tdl-c", "cfo", "clock fast", "clock slow", "chain"])
def test_what_is_skipped_has_passed(name):
    """As if silence had been processed: fading, phase and clock have gone on, and the filters are empty."""
    build, x = (SEEDED | UNSEEDED)[name], _signal(6000)
    for pause in (0, 1, 3, 30_000):
        whole, apart = build(7), build(7)
        before, silent, after = (whole.process(part) for part in (x[:3000], np.zeros(pause, np.complex64), x[3000:]))
        np.testing.assert_array_equal(apart.process(x[:3000]), before)
        assert apart.skip(pause) == len(silent)
        np.testing.assert_array_equal(apart.process(x[3000:]), after)


def test_phase_noise_wanders_on_while_it_is_skipped():
    turned = []
    for seed in range(400):
        channel = PhaseNoise(50.0, RATE, seed)
        before = channel.process(np.ones(1, np.complex64))[0]
        assert channel.skip(3000) == 3000
        turned.append(np.angle(channel.process(np.ones(1, np.complex64))[0] / before))
    assert np.var(turned) == pytest.approx(2 * np.pi * 50.0 * 3001 / RATE, rel=0.25)


@pytest.mark.parametrize("build", [pytest.param(b, id=name) for name, b in SEEDED.items()])
def test_seeds_make_the_stream(build):
    x = _signal(5000)
    first = build(1).process(x)
    np.testing.assert_array_equal(build(1).process(x), first)
    assert np.mean(np.abs(build(2).process(x) - first)[100:]) > 1e-3


@pytest.mark.parametrize("name", ["rayleigh", "rician", "tdl-a", "phase noise"])
def test_length_is_kept(name):
    assert SEEDED[name](0).process(_signal(777)).size == 777


def test_parts_of_a_channel_draw_independent_numbers():
    """Noise and fading of the same seed must not be the same numbers."""
    zeros = np.zeros(20_000, np.complex64)
    noise = Awgn(1.0, 3).process(zeros)
    walk = np.angle(PhaseNoise(50.0, RATE, 3).process(np.ones(20_000, np.complex64)))
    assert abs(np.corrcoef(noise.real[1:], np.diff(walk))[0, 1]) < 0.03


@pytest.mark.parametrize("name", CHANNELS)
def test_every_name_builds_a_channel(name):
    channel = make_channel(name, rate=RATE, snr_db=None if name == "none" else 20.0, seed=1)
    x = _signal(2000)
    y = channel.process(x)
    assert y.size == x.size and np.isfinite(y).all()
    assert np.array_equal(x, y) == (name == "none")


def test_snr_of_a_named_channel_counts_oversampling():
    channel = make_channel("awgn", rate=RATE, snr_db=7.0, oversampling=1.5, seed=1)
    noise = channel.process(np.zeros(200_000, np.complex64))
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(1.5 * 10**-0.7, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"name": "wire"}, "none, awgn, rayleigh"),
        ({"name": "awgn"}, "snr_db"),
        ({"name": "none", "snr_db": 3.0}, "snr_db"),
        ({"name": "tdl-a", "delay_spread_s": -1.0}, "delay_spread_s"),
        ({"name": "awgn", "snr_db": 3.0, "oversampling": 0.0}, "oversampling"),
    ],
)
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        make_channel(rate=RATE, **arguments)
