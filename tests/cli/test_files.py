# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring encode`, `decode` and `link` on good, odd and hostile files: a result, or one line and exit code 2."""

import json
import shutil
import struct
import zlib

import numpy as np
import pytest
import soundfile
import yaml
from soundspring.cli.main import main
from soundspring.coding.packet import parse_at
from soundspring.coding.ssp import MARK, read_ssp

PACKETS = ["--channel", "none", "--engine", "functions"]
RADIO = ["--channel", "awgn", "--engine", "functions"]


@pytest.fixture
def folder(tiny_models, tmp_path, monkeypatch, speech_like):
    """A working folder with in.wav, half a second at 16 kHz, and in.ssp made of it."""
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like[:8000], 16000)
    return tmp_path


@pytest.fixture
def ssp(folder, capsys):
    assert main(["encode", "in.wav", "in.ssp", "--rate", "6k"]) == 0
    capsys.readouterr()
    return folder / "in.ssp"


def sound(path):
    samples, rate = soundfile.read(path, dtype="float32")
    assert rate == 16000 and samples.ndim == 1 and np.isfinite(samples).all()
    return samples


def refused(capsys, argv, words):
    """The command says one line that holds `words`, and exits with 2."""
    capsys.readouterr()
    assert main(argv) == 2
    out, err = capsys.readouterr()
    lines = [line for line in err.splitlines() if not line.startswith(("in.wav: ", "odd."))]
    assert out == "" and len(lines) == 1 and lines[0].startswith(f"soundspring {argv[0]}: "), err
    assert words in lines[0], lines[0]


# --- the good case ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--rate", "1.5k"], ["--rate", "12k"], ["--policy", "independent"],
                                     ["--profile", "packet20"], ["--profile", "chained"]])
def test_encode_and_decode_give_a_sound_of_the_same_length(folder, capsys, options):
    assert main(["encode", "in.wav", "a.ssp", *options]) == 0
    assert main(["decode", "a.ssp", "a.wav"]) == 0
    assert len(sound("a.wav")) == 8000 and np.abs(sound("a.wav")).max() > 0
    assert "0 lost, 0 undecodable, 0 damaged" in capsys.readouterr().err


@pytest.mark.parametrize("profile", ["reference", "chained", "packet20"])
def test_a_link_without_loss_is_encode_and_decode(folder, profile):
    assert main(["encode", "in.wav", "a.ssp", "--profile", profile]) == 0
    assert main(["decode", "a.ssp", "a.wav"]) == 0
    assert main(["link", "in.wav", "b.wav", "--profile", profile, *PACKETS]) == 0
    assert (folder / "a.wav").read_bytes() == (folder / "b.wav").read_bytes()
    if profile != "packet20":  # it has no radio
        assert main(["link", "in.wav", "c.wav", "--profile", profile, "--snr", "12", *RADIO]) == 0
        assert (folder / "a.wav").read_bytes() == (folder / "c.wav").read_bytes()


def test_loss_by_seed_is_the_same_in_decode_and_link(folder):
    lossy = ["--loss", "bernoulli:0.3", "--seed", "5"]
    assert main(["encode", "in.wav", "a.ssp"]) == 0
    for name, options in (("a.wav", lossy), ("same.wav", lossy), ("other.wav", [*lossy[:3], "6"]), ("whole.wav", [])):
        assert main(["decode", "a.ssp", name, *options]) == 0
    assert main(["link", "in.wav", "b.wav", *PACKETS, *lossy]) == 0
    a = (folder / "a.wav").read_bytes()
    assert a == (folder / "same.wav").read_bytes() == (folder / "b.wav").read_bytes()
    assert a != (folder / "other.wav").read_bytes() and a != (folder / "whole.wav").read_bytes()


def test_the_figures_as_json(folder, capsys):
    assert main(["link", "in.wav", "b.wav", *RADIO, "--snr", "11", "--seed", "3", "--loss", "bernoulli:0.5", "--json",
                 "f.json"]) == 0
    f = json.loads((folder / "f.json").read_text())
    assert {"scheme", "profile", "channel", "snr_db", "seed", "duration_s", "bitrate_bps", "copies_bps", "overhead_bps",
            "channel_uses_per_s", "bursts_sent", "bursts_detected", "packets_sent", "packets_lost",
            "packets_undecodable", "frames_concealed", "pesq_wb", "stoi", "si_sdr_db", "plcmos", "rtf_tx", "rtf_rx",
            "latency_ms"} <= f.keys()
    assert f["channel"] == "awgn" and f["snr_db"] == 11 and f["seed"] == 3 and f["duration_s"] == 0.5
    assert f["bursts_sent"] == f["bursts_detected"] == 6 and f["packets_sent"] == 12 and f["packets_lost"] > 0
    assert f["raw_bps"] == 6000 and f["bitrate_bps"] > 0 and f["overhead_bps"] > 0
    assert main(["link", "in.wav", "b.wav", *PACKETS, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["snr_db"] is None


# --- sounds of all kinds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rate", "channels", "subtype", "name", "said"),
    [
        (8000, 1, "PCM_16", "odd.wav", "Resampled from 8000"),
        (44100, 2, "PCM_24", "odd.wav", "2 channels were mixed"),
        (48000, 6, "FLOAT", "odd.wav", "6 channels were mixed"),
        (16000, 1, "PCM_U8", "odd.wav", None),
        (22050, 1, "ULAW", "odd.wav", "Resampled from 22050"),
        (16000, 1, "DOUBLE", "odd.wav", None),
        (32000, 1, "PCM_16", "odd.flac", "Resampled from 32000"),
        (48000, 1, "VORBIS", "odd.ogg", "Resampled from 48000"),
    ],
)
def test_sounds_of_any_rate_channels_and_format(folder, capsys, rate, channels, subtype, name, said):
    t = np.arange(rate // 4) / rate
    soundfile.write(name, np.tile(0.3 * np.sin(2 * np.pi * 300 * t)[:, None], channels), rate, subtype)
    assert main(["link", name, "out.wav", *PACKETS]) == 0
    err = capsys.readouterr().err
    assert said is None or f"{name}: " in err and said in err
    assert abs(len(sound("out.wav")) - 4000) <= 2


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, 1e6])
def test_silence_nan_and_much_too_loud_sound_come_out_finite(folder, capsys, value):
    x = np.full(6000, value, np.float32)
    x[::7] = 0
    soundfile.write("odd.wav", x, 16000, "FLOAT")
    for options in (PACKETS, RADIO):
        assert main(["link", "odd.wav", "out.wav", *options, "--json", "f.json"]) == 0
        assert len(sound("out.wav")) == 6000
        json.loads((folder / "f.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert "odd.wav: " in capsys.readouterr().err


def test_a_single_sample_is_a_sound(folder):
    soundfile.write("odd.wav", np.array([0.5], np.float32), 16000)
    assert main(["link", "odd.wav", "out.wav", *PACKETS]) == 0 and len(sound("out.wav")) == 1
    assert main(["encode", "odd.wav", "odd.ssp"]) == 0


@pytest.mark.parametrize("command", [["encode", "odd.wav", "o.ssp"], ["link", "odd.wav", "o.wav", *PACKETS]])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file odd.wav"),
        (b"", "is empty"),
        (b"RIFF\0\0\0\0WAVE", "cannot be read as sound"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "cannot be read as sound"),
        (bytes(5000), "cannot be read as sound"),
    ],
)
def test_what_is_no_sound_is_refused(folder, capsys, command, content, words):
    if content is not None:
        (folder / "odd.wav").write_bytes(content)
    refused(capsys, command, words)
    assert not (folder / command[2]).exists()


def test_a_sound_file_without_samples_is_refused(folder, capsys):
    soundfile.write("odd.wav", np.zeros(0, np.float32), 16000)
    refused(capsys, ["encode", "odd.wav", "o.ssp"], "no samples")
    refused(capsys, ["encode", ".", "o.ssp"], "not a file")


# --- .ssp files of all kinds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.7, 0.99])
def test_a_truncated_file_is_decoded_as_far_as_it_goes(ssp, capsys, keep):
    data = ssp.read_bytes()
    header = len(data[: data.index(read_ssp(ssp)[1][0].to_bytes())])
    ssp.write_bytes(data[: header + int((len(data) - 2 * header) * keep)])
    assert main(["decode", "in.ssp", "out.wav"]) == 0
    assert len(sound("out.wav")) == 8000 and " 0 lost" not in capsys.readouterr().err
    ssp.write_bytes(data[: header - 1])
    refused(capsys, ["decode", "in.ssp", "out.wav"], "header is damaged")


def test_a_file_that_lost_packets_in_the_middle(ssp, capsys):
    meta, packets, _ = read_ssp(ssp)
    data = ssp.read_bytes()
    start = data.index(packets[4].to_bytes())
    _, end = parse_at(data, start)
    ssp.write_bytes(data[:start] + b"noise of some length" + data[end:])
    assert main(["decode", "in.ssp", "out.wav"]) == 0
    assert "1 lost, 1 undecodable" in capsys.readouterr().err and len(sound("out.wav")) == meta.samples


def test_random_damage_never_ends_in_a_traceback(ssp, capsys):
    data, rng = ssp.read_bytes(), np.random.default_rng(6)
    for _ in range(12):
        spoilt = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            spoilt[place] ^= int(rng.integers(1, 256))
        ssp.write_bytes(bytes(spoilt))
        code = main(["decode", "in.ssp", "out.wav"])
        assert code in (0, 2) and "Traceback" not in capsys.readouterr().err
        assert code == 2 or len(sound("out.wav")) == 8000


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no file"),
        (b"", "empty"),
        (b"RIFF" + bytes(100), "not a .ssp file"),
        (b"SSP2" + bytes(100), "file version 2"),
        (MARK + bytes(100), "damaged"),
    ],
)
def test_what_is_no_ssp_file_is_refused(folder, capsys, content, words):
    if content is not None:
        (folder / "odd.ssp").write_bytes(content)
    refused(capsys, ["decode", "odd.ssp", "out.wav"], words)


def with_header(path, **changes):
    """Rewrite all headers of the file, intact but other than any encoder's."""
    data, out, at = path.read_bytes(), b"", 0
    while at < len(data):
        if data.startswith(MARK, at):
            _, kind, length = struct.unpack_from(">4sBH", data, at)
            fields = json.loads(data[at + 7 : at + 7 + length]) | changes
            text = json.dumps(fields).encode()
            body = struct.pack(">4sBH", MARK, kind, len(text)) + text
            out, at = out + body + struct.pack(">I", zlib.crc32(body)), at + 7 + length + 4
        else:
            _, end = parse_at(data, at)
            out, at = out + data[at:end], end
    path.write_bytes(out)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"samples": -5}, "samples"),
        ({"samples": 10**15}, "samples"),
        ({"samples": "many"}, "samples"),
        ({"samples": 1.5}, "samples"),
        ({"packets": None}, "packets"),
        ({"settings": {}}, "missing key"),
        ({"settings": []}, "settings"),
        ({"settings": {"name": "x", "groups": 3}}, "missing key"),
        ({"model": 7}, "header"),
        ({"model": "xyz"}, "header"),
        ({"model": "0123456789abcdef"}, "made with model 0123456789abcdef"),
        ({"more": 1}, "newer release"),
    ],
)
def test_a_header_that_makes_no_sense_is_refused(ssp, capsys, changes, words):
    with_header(ssp, **changes)
    refused(capsys, ["decode", "in.ssp", "out.wav"], words)


def test_impossible_settings_in_a_header_are_refused(ssp, capsys):
    good = read_ssp(ssp)[0].settings
    for key, value in (("groups", [3, 99]), ("superframe", 0), ("policy", "x"), ("schedule", [[0]]), ("window", "1"),
                       ("phy", 3)):
        with_header(ssp, settings=good | {key: value})
        refused(capsys, ["decode", "in.ssp", "out.wav"], key)


def test_packets_of_other_settings_are_counted_and_not_played(ssp, capsys):
    good = read_ssp(ssp)[0].settings
    with_header(ssp, settings=good | {"groups": [5, 12]})
    assert main(["decode", "in.ssp", "out.wav"]) == 0
    assert "6 damaged" in capsys.readouterr().err and len(sound("out.wav")) == 8000


# --- models, profiles, options ---------------------------------------------------------------------------------------


def test_a_file_of_another_model_is_refused_by_name(ssp, capsys, tiny_models_dir, monkeypatch, tmp_path):
    from soundspring import weights

    shutil.copytree(tiny_models_dir, tmp_path / "others")
    tensors, config = weights.load(tmp_path / "others/lm", "lm")
    tensors["start"] += 1
    weights.save(tmp_path / "others/lm", "lm", config["sizes"], tensors, codec_sha256=config["codec_sha256"])
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "others"))
    refused(capsys, ["decode", "in.ssp", "out.wav"], "was made with model")


@pytest.mark.parametrize("argv", [["encode", "in.wav", "o.ssp"], ["decode", "in.ssp", "o.wav"],
                                  ["link", "in.wav", "o.wav", *PACKETS]])
def test_missing_weights_are_one_line(ssp, capsys, monkeypatch, tmp_path, tiny_models_dir, argv):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "nowhere"))
    refused(capsys, argv, "no models folder")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "empty"))
    refused(capsys, argv, "no model 'codec'")
    shutil.copytree(tiny_models_dir, tmp_path / "half")
    (tmp_path / "half/lm/weights.safetensors").unlink()
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "half"))
    refused(capsys, argv, "lm/weights.safetensors is missing")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--profile", "refrence"], "'refrence' is not one of"),
        (["--profile", "nowhere.yaml"], "nowhere.yaml"),
        (["--profile", "odd.yaml"], "groups"),
        (["--profile", "slow.yaml"], "does not fit"),
        (["--profile", "packet20", "--channel", "awgn"], "no phy section"),
        (["--channel", "none", "--snr", "3"], "--snr"),
        (["--snr", "nan"], "snr_db"),
        (["--snr", "inf"], "snr_db"),
        (["--channel", "rayleigh", "--doppler", "-1"], "doppler"),
        (["--channel", "tdl-a", "--delay-spread", "-1"], "delay_spread"),
        (["--cfo", "nan"], "cfo"),
        (["--clock", "1e9"], "clock"),
        (["--loss", "bernoulli:2"], "bernoulli"),
        (["--loss", "nothing-such"], "loss must be"),
        (["--loss", "in.wav"], "loss trace in.wav"),
        (["--seed", "-1"], "seed"),
        (["--json", "nowhere/f.json"], "there is no folder"),
    ],
)
def test_impossible_options_are_refused_by_name(folder, capsys, options, words):
    good = yaml.safe_load((profile_folder() / "reference.yaml").read_text())
    (folder / "odd.yaml").write_text(yaml.safe_dump(good | {"groups": [12, 3]}))
    (folder / "slow.yaml").write_text(yaml.safe_dump(good | {"phy": good["phy"] | {"rate": 2000.0}}))
    refused(capsys, ["link", "in.wav", "o.wav", "--engine", "functions", *options], words)
    assert not (folder / "o.wav").exists()


def profile_folder():
    from pathlib import Path

    import soundspring.profile

    return Path(soundspring.profile.__file__).parent / "profiles"


@pytest.mark.parametrize("argv", [["encode", "in.wav", "nowhere/o.ssp"], ["decode", "in.ssp", "nowhere/o.wav"],
                                  ["link", "in.wav", "nowhere/o.wav"]])
def test_an_output_that_cannot_be_written_is_refused_before_the_work(ssp, capsys, argv):
    refused(capsys, argv, "there is no folder nowhere")
    refused(capsys, [*argv[:2], "."], "is a folder")
