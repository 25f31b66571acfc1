# SPDX-License-Identifier: GPL-3.0-or-later
"""Analog bursts through the real modem: what arrives, what is lost, and that the terms are the digital link's."""

from dataclasses import replace

import numpy as np
import pytest
from soundspring import analog, link
from soundspring.analog import AnalogLink, AnalogModel
from soundspring.channel.factory import make_channel
from soundspring.channel.loss import parse_loss
from soundspring.jscc import Receiver, Transmitter
from soundspring.profile import load, replace_profile


@pytest.fixture
def ours(tiny_models):
    return AnalogLink("reference", AnalogModel())


def air(snr_db, name="awgn", **more):
    return make_channel(name, rate=2e6, snr_db=snr_db, oversampling=2, seed=5, **more)


def test_bursts_have_the_length_power_and_peaks_of_digital_ones(ours, tiny_models, speech_like):
    digital = link.Link(load("reference"), tiny_models)
    assert ours.burst_samples == digital.burst_samples and ours.period == digital.period
    a = analog.modulate(ours, analog.encode(ours, speech_like)).reshape(-1, ours.period)
    d = link.modulate(digital, list(link.encode(digital, speech_like))).reshape(-1, ours.period)
    assert a.shape == d.shape
    ends = [[np.flatnonzero(row)[-1] for row in x] for x in (a, d)]
    assert np.abs(np.subtract(*ends)).max() <= 1  # a sample may be zero by chance
    power = [np.mean(np.abs(x[x != 0]) ** 2) for x in (a, d)]
    assert power[0] == pytest.approx(power[1], rel=0.01)
    phy = replace(load("reference").phy, papr_db=6.0)
    limited = AnalogLink(replace_profile(load("reference"), phy=phy), ours.models)
    peaks = [np.abs(analog.modulate(x, analog.encode(x, speech_like))).max() ** 2 / (52 / 64) for x in (ours, limited)]
    assert 10 * np.log10(peaks[1]) < 6.01 < 10 * np.log10(peaks[0])


def test_symbols_arrive_with_the_noise_that_is_stated(ours, speech_like):
    sent = analog.encode(ours, speech_like)
    samples = analog.modulate(ours, sent)
    for name, more in (("awgn", {}), ("tdl-c", {"doppler_hz": 5.0, "delay_spread_s": 3e-7})):
        found = analog.demodulate(ours, air(12.0, name, **more).process(samples))
        symbols, noise_var = analog.in_order(ours, found, len(sent))
        came = np.isfinite(noise_var)
        assert came.all(axis=1).mean() > 0.8
        ratio = np.abs(symbols - sent)[came] ** 2 / noise_var[came]
        assert ratio.mean() == pytest.approx(1.0, abs=0.15)


def test_sound_comes_through_and_is_the_better_the_less_noise_there_is(ours, speech_like):
    errors = []
    for snr in (0.0, 10.0, 25.0):
        result = analog.run(ours, speech_like, air(snr))
        assert result.audio.shape == speech_like.shape and result.counts.packets_lost == 0
        assert result.counts.bursts_detected == result.counts.bursts_sent == len(result.counts.status)
        assert np.mean(result.snr_db) == pytest.approx(snr, abs=0.4)
        errors.append(10 * np.log10(np.mean((result.audio - speech_like) ** 2) / np.mean(speech_like**2)))
    assert errors[0] > errors[1] + 3 and errors[1] > errors[2] + 3 and errors[2] < -10


def test_what_is_lost_is_counted_and_concealed(ours, speech_like):
    clean = analog.run(ours, speech_like)
    result = analog.run(ours, speech_like, loss=parse_loss("bernoulli:0.3", 2))
    lost = parse_loss("bernoulli:0.3", 2).step(2 * len(result.counts.status)).reshape(-1, 2)
    assert result.counts.status == [tuple("lost" if x else "ok" for x in row) for row in lost]
    assert result.counts.packets_lost == lost.sum() > 0
    assert result.counts.frames_concealed == 5 * lost.all(axis=1).sum()
    assert np.isfinite(result.audio).all() and not np.allclose(result.audio, clean.audio)


def test_bursts_that_never_came_are_as_if_lost(ours, speech_like):
    samples = analog.modulate(ours, analog.encode(ours, speech_like)).reshape(-1, ours.period)
    samples[3:5] = 0
    found = analog.demodulate(ours, air(15.0).process(samples.ravel()))
    symbols, noise_var = analog.in_order(ours, found, len(samples))
    assert [int(np.isinf(row).all()) for row in noise_var] == [int(i in (3, 4)) for i in range(len(samples))]
    assert np.isfinite(analog.decode(ours, symbols, noise_var, len(speech_like))).all()


def test_each_scheme_drops_the_bursts_of_the_other(ours, tiny_models, speech_like):
    digital = link.Link(load("reference"), tiny_models)
    assert ours.frame_coder().model != digital.frame_coder().model
    sent = list(link.encode(digital, speech_like[:3200]))
    assert analog.demodulate(ours, link.modulate(digital, sent)) == []
    assert link.demodulate(digital, analog.modulate(ours, analog.encode(ours, speech_like[:3200]))) == []


@pytest.mark.parametrize(("profile", "word"), [("wide-4", "symbols: .* do not hold"), ("packet20", "no radio part")])
def test_profiles_that_do_not_fit_are_refused(tiny_models, profile, word):
    with pytest.raises(ValueError, match=word):
        AnalogLink(profile, AnalogModel())


def test_it_takes_any_number_of_symbols_that_is_enough(tiny_models, speech_like):
    """The rungs of a ladder differ in it; the more there are, the more is sent twice."""
    model, errors = AnalogModel(), []
    for symbols in (820, 1008, 1616):
        network = model.network(symbols)
        assert network is model.network(symbols)
        # The postfilters care for the ear, not for the waveform.
        network.config = replace(network.config, postfilter=0.0, contrast=0.0)
        sent = Transmitter(network).push(np.pad(speech_like, (0, -len(speech_like) % 1600)))
        assert sent.shape[1] == symbols
        rng = np.random.default_rng(0)
        noise = (rng.standard_normal((*sent.shape, 2)) @ (1, 1j)).astype(np.complex64)
        heard = Receiver(network).push(sent + 0.5 * noise, np.full(sent.shape, 0.5, np.float32))[320:]
        errors.append(np.mean((heard[: len(speech_like)] - speech_like[: len(heard)]) ** 2))
    assert errors[0] > errors[1] > 1.3 * errors[2]


def test_a_missing_model_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="jscc"):
        AnalogModel()
