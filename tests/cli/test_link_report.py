# SPDX-License-Identifier: GPL-3.0-or-later
"""The page that `soundspring link --report` writes: what it shows is what happened."""

import json
import shlex

import numpy as np
import pytest
import soundfile
from soundspring import profile
from soundspring.cli import _report
from soundspring.cli.main import main
from soundspring.link import Link, run


@pytest.fixture
def shown(tiny_models, tmp_path, monkeypatch, speech_like):
    """Run `soundspring link` and return the LinkReport that it shows."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like, 16000)
    seen, original = [], _report.write_report
    monkeypatch.setattr(_report, "write_report", lambda folder, report: seen.append(report) or original(folder, report))

    def link(*options):
        argv = ["link", "in.wav", "out.wav", "--engine", "functions", "--report", "page dir", "--json", "f.json"]
        assert main([*argv, *options]) == 0
        return seen[-1], json.loads((tmp_path / "f.json").read_text()), (tmp_path / "page dir/index.html").read_text()

    return link


def test_without_loss_there_is_nothing_to_compare(shown, speech_like):
    report, figures, html = shown("--snr", "12")
    assert [t.label for t in report.tracks] == ["original", "received"] and len(report.metrics) == 1
    assert all(state == "ok" for row in report.losses for state in row.states)
    assert report.metrics[0]["STOI"] == figures["stoi"] and 0 < len(report.symbols) <= 4000
    assert "AWGN channel at 12 dB" in report.summary and f"all {figures['packets_sent']} packets" in report.summary
    assert html.count("<audio") == 2 and "received" in html


def test_with_loss_muting_stands_beside_concealment(shown, speech_like):
    report, figures, html = shown("--channel", "none", "--loss", "gilbert:0.5,6", "--seed", "3")
    base, enhancement, frames = report.losses
    assert list(base.states).count("lost") + list(enhancement.states).count("lost") == figures["packets_lost"] > 0
    assert list(enhancement.states).count("undecodable") == figures["packets_undecodable"] > 0
    assert list(frames.states).count("concealed") == figures["frames_concealed"]
    assert len(frames.states) == 5 * len(base.states) and np.isclose(report.duration_s, len(base.states) * 0.1)
    received, plain = (t.samples for t in report.tracks[1:])
    assert len(plain) == len(received) == len(speech_like) and not np.array_equal(plain, received)
    gone = [state == "lost" for state in base.states]  # a copy of it would be in the next one
    lost = [i for i in range(1, len(gone) - 1) if all(gone[i - 1 : i + 2])]
    assert lost and all(not plain[i * 1600 : (i + 1) * 1600 - 320].any() for i in lost)
    assert html.count("<audio") == 3 and not len(report.symbols)


def test_muting_nothing_is_decoding(tiny_models, speech_like):
    link = Link(profile.load("reference").with_layers(12), tiny_models)
    result = run(link, speech_like)
    assert np.allclose(_report.muted(link, speech_like, result.counts.status), result.audio, atol=1e-6)


def test_the_command_repeats_the_run(shown, tmp_path):
    report, figures, _ = shown("--channel", "none", "--loss", "bernoulli:0.4", "--seed", "3", "--policy", "chained")
    words = shlex.split(report.command)
    assert words[:4] == ["soundspring", "link", "in.wav", "out.wav"] and "page dir" in words
    assert "--snr" not in words and words[words.index("--policy") + 1] == "chained"
    sound = (tmp_path / "out.wav").read_bytes()
    (tmp_path / "out.wav").unlink()
    assert main(words[1:]) == 0 and (tmp_path / "out.wav").read_bytes() == sound


def test_the_analog_scheme_has_no_bits_to_count(shown, speech_like):
    report, figures, html = shown("--scheme", "jscc", "--snr", "10", "--loss", "bernoulli:0.2")
    assert [t.label for t in report.tracks] == ["original", "received"] and len(report.symbols) > 0
    assert all(figures[k] is None for k in ("raw_bps", "bitrate_bps", "overhead_bps", "padding_bps", "policy"))
    assert [row.label for row in report.losses] == ["part 1 of the burst", "part 2 of the burst", "frames"]
    assert sum(list(row.states).count("lost") for row in report.losses[:2]) == figures["packets_lost"] > 0
    assert figures["scheme"] == "jscc"
    assert figures["channel_uses_per_s"] == 10 * Link(profile.load("reference")).burst_samples


@pytest.mark.parametrize("options", [["--channel", "none"], ["--policy", "chained"], ["--profile", "packet20"]])
def test_the_analog_scheme_says_what_it_cannot_do(tiny_models, tmp_path, monkeypatch, speech_like, capsys, options):
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like, 16000)
    assert main(["link", "in.wav", "out.wav", "--scheme", "jscc", *options]) != 0
    assert options[0] in (said := capsys.readouterr().err) or "radio part" in said
