# SPDX-License-Identifier: GPL-3.0-or-later
"""A conventional codec as a link: the same sound as in a comparison, on the same terms, and by the command."""

import json

import numpy as np
import pytest
import soundfile
from soundspring import analog
from soundspring.baselines import amrwb, codec2, opus
from soundspring.channel.factory import make_channel
from soundspring.channel.loss import parse_loss
from soundspring.cli.main import main
from soundspring.comparison.air import Air, Ether
from soundspring.comparison.codec_link import CodecLink

HERE = {"opus": opus.available, "amrwb": amrwb.available, "codec2": codec2.available}


def codec(spec):
    name = spec.partition(":")[0]
    return pytest.param(spec, marks=pytest.mark.skipif(not HERE[name](), reason=f"no library for {name}"))


def air(link, snr_db):
    return make_channel("rayleigh", rate=link.sample_rate, snr_db=snr_db, oversampling=2, seed=5)


@pytest.mark.parametrize("spec", [codec("opus"), codec("opus:16-fec"), codec("amrwb")])
def test_the_link_sounds_as_the_comparison_does(spec, speech_like):
    """One channel, lossy, through `analog.run` and through the schemes of a sweep."""
    link, over = CodecLink(spec), Air("rayleigh", 7, loss="bernoulli:0.2")
    result = analog.run(link, speech_like, air(link, 7), over.losses(5))
    ether = Ether(link.terms, link.scheme)
    arrived = ether.carry(ether.bursts(link.scheme.encode(speech_like)), over.make(link.terms, 5), over.losses(5), True)
    received = [None if b is None else link.scheme.receive(b.symbols, b.noise_var) for b in arrived]
    played = link.scheme.play(received, len(speech_like))
    fates = "".join("." if status == ("ok",) else "x" for status in result.counts.status)
    assert fates[: len(played.fates)] == played.fates and 0 < played.fates.count("x") < len(fates)
    np.testing.assert_allclose(result.audio, played.audio, atol=1e-6)


@pytest.mark.parametrize("spec", [codec("opus:24"), codec("amrwb"), codec("codec2")])
def test_it_takes_what_the_terms_give_and_no_more(spec, speech_like):
    link = CodecLink(spec)
    samples = analog.modulate(link, analog.encode(link, speech_like)).reshape(-1, link.period)
    bursts = [row[: 2 * link.burst_samples] for row in samples]
    assert not samples[:, 2 * link.burst_samples :].any()
    assert link.terms.check(spec, bursts).uses_per_s == pytest.approx(link.terms.uses_per_s)


@pytest.fixture
def command(tiny_models, tmp_path, monkeypatch, speech_like):
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like, 16000)
    return lambda *words: main(["link", "in.wav", "out.wav", "--json", "f.json", *words])


@pytest.mark.parametrize("spec", [codec("codec2"), codec("opus:12")])
def test_the_command_sends_it_by_either_engine(command, tmp_path, spec, speech_like):
    pytest.importorskip("gnuradio.gr")
    figures, sounds = [], []
    for engine in ("functions", "gnuradio"):
        assert command("--scheme", spec, "--snr", "15", "--engine", engine, "--loss", "bernoulli:0.3", "--seed", "2",
                       "--report", "page") == 0
        figures.append(json.loads((tmp_path / "f.json").read_text()))
        sounds.append(soundfile.read("out.wav")[0])
    one, other = figures
    assert one["scheme"].startswith(spec) and one["raw_bps"] is None and one["padding_bps"] == one["copies_bps"] == 0
    superframes, seconds = one["packets_sent"], len(speech_like) / 16000
    rate = {"codec2": 3200, "opus:12": 12000}[spec]
    assert one["bitrate_bps"] == pytest.approx(rate * superframes / 10 / seconds, abs=1)
    assert one["overhead_bps"] == pytest.approx((16 + 25) * superframes / seconds, abs=1)
    assert one["packets_lost"] == parse_loss("bernoulli:0.3", 2).step(superframes).sum() > 0
    assert one["frames_concealed"] == 5 * one["packets_lost"]
    assert [one[k] for k in ("packets_lost", "bursts_detected")] == [other[k] for k in ("packets_lost",
                                                                                         "bursts_detected")]
    if spec != "codec2":  # its decoder draws random phases
        np.testing.assert_allclose(*sounds, atol=2 / 32768)
    assert "bursts" in (tmp_path / "page/index.html").read_text("utf-8")


@pytest.mark.parametrize(("words", "said"), [
    (["--scheme", "speex"], "not one of"), (["--scheme", "jscc:2"], "may have a mode"),
    (["--scheme", "opus:7"], "mode '7'"), (["--scheme", "opus", "--channel", "none"], "over a radio"),
    (["--scheme", "opus", "--policy", "chained"], "lean on others")])
@pytest.mark.skipif(not opus.available(), reason="no library for opus")
def test_what_cannot_be_is_said(command, capsys, words, said):
    try:
        assert command(*words) == 2
    except SystemExit as end:
        assert end.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(not opus.available(), reason="no library for opus")
def test_a_library_that_is_missing_is_named(command, capsys, monkeypatch):
    monkeypatch.setattr(opus, "OpusEncoder", lambda *a, **k: (_ for _ in ()).throw(opus.CodecMissing("apt install x")))
    assert command("--scheme", "opus") == 2 and "apt install x" in capsys.readouterr().err
