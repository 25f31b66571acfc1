# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands with --key: files and links for who has the key; the cost is told; a user's mistake is one line."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from soundspring import profile
from soundspring.cli.main import main
from soundspring.coding.ssp import read_ssp, write_ssp

pytest.importorskip("cryptography")
PACKETS = ["--channel", "none", "--engine", "functions"]


@pytest.fixture
def folder(tiny_models, tmp_path, monkeypatch, speech_like):
    """A working folder with in.wav, half a second at 16 kHz, and two keys."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like[:8000], 16000)
    (tmp_path / "voice.key").write_text("5a" * 32 + "\n")
    monkeypatch.setenv("OTHER_KEY", "a5" * 16)
    return tmp_path


def refused(capsys, argv, words):
    capsys.readouterr()
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1 and err.startswith(f"soundspring {argv[0]}: ") and words in err, err


@pytest.mark.parametrize("options", [[], ["--encrypt"], ["--tag-bytes", "8"], ["--rate", "1.5k"],
                                     ["--profile", "packet20"]])
def test_a_sealed_file_is_heard_from_its_first_sample(folder, capsys, options):
    """Even one too short to tell where its numbers start: it is filled up."""
    assert main(["encode", "in.wav", "a.ssp", "--key", "file:voice.key", *options]) == 0
    assert "bit/s of authentication" in capsys.readouterr().err
    assert main(["decode", "a.ssp", "a.wav", "--key", "file:voice.key"]) == 0
    assert "0 lost, 0 undecodable, 0 damaged" in capsys.readouterr().err
    assert len(soundfile.read("a.wav")[0]) == 8000
    assert b"voice.key" not in (folder / "a.ssp").read_bytes()
    assert read_ssp("a.ssp")[0].settings["security"] == {
        "tag_bytes": 8 if "8" in options else 4, "encrypt": "--encrypt" in options}


def test_a_file_with_fixed_rate_sounds_the_same_with_a_key_and_without(folder):
    assert main(["encode", "in.wav", "a.ssp", "--rate", "6k", "--key", "file:voice.key"]) == 0
    assert main(["decode", "a.ssp", "a.wav", "--key", "file:voice.key"]) == 0
    assert main(["encode", "in.wav", "b.ssp", "--rate", "6k"]) == 0
    assert main(["decode", "b.ssp", "b.wav"]) == 0
    assert (folder / "a.wav").read_bytes() == (folder / "b.wav").read_bytes()


def test_with_another_key_there_is_nothing_to_hear(folder, capsys):
    assert main(["encode", "in.wav", "a.ssp", "--key", "file:voice.key"]) == 0
    assert main(["decode", "a.ssp", "a.wav", "--key", "env:OTHER_KEY"]) == 0
    assert "12 lost (12 refused)" in capsys.readouterr().err
    assert np.abs(soundfile.read("a.wav")[0]).max() < 0.05


def test_a_packet_that_was_changed_is_refused(folder, capsys):
    assert main(["encode", "in.wav", "a.ssp", "--key", "file:voice.key"]) == 0
    meta, packets, _ = read_ssp("a.ssp")
    changed = bytes([packets[5].payload[0] ^ 1]) + packets[5].payload[1:]
    packets[5] = type(packets[5])(packets[5].model, packets[5].sequence, packets[5].group, changed)
    write_ssp("a.ssp", meta, packets)  # with a CRC that is right
    assert main(["decode", "a.ssp", "a.wav", "--key", "file:voice.key"]) == 0
    assert "1 lost (1 refused)" in capsys.readouterr().err


def test_files_without_a_check_and_without_a_key(folder, capsys):
    assert main(["encode", "in.wav", "a.ssp", "--key", "file:voice.key"]) == 0
    refused(capsys, ["decode", "a.ssp", "a.wav"], "name its key with --key")
    assert main(["decode", "a.ssp", "a.wav", "--key", "none"]) == 0
    assert "0 lost" in capsys.readouterr().err
    assert main(["encode", "in.wav", "b.ssp"]) == 0
    refused(capsys, ["decode", "b.ssp", "b.wav", "--key", "file:voice.key"], "is not authenticated")


def test_a_file_does_not_choose_a_key(folder, capsys):
    """A file of anybody's may name one; it is not read."""
    assert main(["encode", "in.wav", "a.ssp", "--key", "file:voice.key"]) == 0
    meta, packets, _ = read_ssp("a.ssp")
    meta.settings["security"]["key"] = "file:voice.key"
    write_ssp("b.ssp", meta, packets)
    refused(capsys, ["decode", "b.ssp", "b.wav"], "name its key with --key")


@pytest.mark.parametrize("engine", ["functions", "gnuradio"])
def test_the_link_tells_what_authentication_costs(folder, capsys, engine, speech_like):
    if engine == "gnuradio":
        pytest.importorskip("gnuradio.gr")
    soundfile.write("long.wav", speech_like, 16000)
    options = ["--channel", "none", "--engine", engine, "--key", "file:voice.key", "--json", "f.json"]
    assert main(["link", "long.wav", "a.wav", *options]) == 0
    f = json.loads((folder / "f.json").read_text())
    assert f["authentication_bps"] == pytest.approx(28 * 40 / f["duration_s"], abs=0.5)
    assert (f["packets_lost"], f["packets_undecodable"], f["packets_refused"]) == (7, 1, 0)  # until it has joined
    assert "840 of authentication" in capsys.readouterr().err
    assert main(["link", "in.wav", "a.wav", *PACKETS, "--json", "f.json"]) == 0
    assert json.loads((folder / "f.json").read_text())["authentication_bps"] == 0
    assert "authentication" not in capsys.readouterr().err


@pytest.mark.parametrize(("options", "words"), [
    (["--key", "5a" * 16], "never give it itself"), (["--key", "file:missing.key"], "missing.key"),
    (["--key", "env:NOT_SET"], "32 or 64 hexadecimal"), (["--encrypt"], "name one with --key"),
    (["--tag-bytes", "8"], "name one with --key"), (["--key", "file:voice.key", "--tag-bytes", "5"], "tag_bytes"),
    (["--key", "none"], "name its key"), (["--key", "file:in.wav"], "32 or 64 hexadecimal")])
def test_a_mistake_with_a_key_is_one_line(folder, capsys, options, words):
    refused(capsys, ["link", "in.wav", "a.wav", *PACKETS, *options], words)
    refused(capsys, ["encode", "in.wav", "a.ssp", *options], words)


def test_a_profile_carries_the_name_of_its_key(folder, capsys):
    text = (Path(profile.__file__).parent / "profiles/packet20.yaml").read_text()
    (folder / "ours.yaml").write_text(text + "security: {key: env:OTHER_KEY, tag_bytes: 8, encrypt: true}\n")
    assert main(["encode", "in.wav", "a.ssp", "--profile", "ours.yaml"]) == 0
    assert main(["decode", "a.ssp", "a.wav", "--key", "env:OTHER_KEY"]) == 0
    assert "0 lost" in capsys.readouterr().err
