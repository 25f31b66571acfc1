# SPDX-License-Identifier: GPL-3.0-or-later
"""Every example flowgraph compiles with grcc and runs without a display, in a process of its own, as a user's does."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from soundspring import link, profile
from soundspring.channel.loss import parse_loss

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.grc"))
TO_THE_END = ["jscc_link", "packet_loss", "stock_blocks", "voice_over_fading"]
LIVE = ["adaptive_rate", "hear_the_codec", "lab", "voice_over_awgn"]
MODEM = "modem_alone"
LIMIT_S = 240  # the first start compiles the kernels


@pytest.fixture(scope="module")
def installed():
    """Flowgraphs import gnuradio.soundspring, so the module must be installed for this Python."""
    if subprocess.run([sys.executable, "-c", "import gnuradio.soundspring"], capture_output=True).returncode:
        pytest.skip("the module is not installed for this Python; `make install` does it")


@pytest.fixture(scope="module")
def programs(installed, tmp_path_factory):
    """Each example compiled by grcc: name -> Python file."""
    folder = tmp_path_factory.mktemp("programs")
    environment = os.environ | {"GRC_BLOCKS_PATH": str(ROOT / "grc")}
    out = {}
    for example in EXAMPLES:
        done = subprocess.run(
            [
                sys.executable,
                shutil.which("grcc", path="/usr/local/bin:/usr/bin") or "grcc",
                "-o",
                str(folder),
                str(example),
            ],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        out[example.stem] = folder / f"{example.stem}.py"
    return out


@pytest.fixture
def speech(tmp_path, speech_like):
    """A short file, silence at its end: what is still inside when a flowgraph ends is silence."""
    path = tmp_path / "in.wav"
    padded = np.concatenate([speech_like, np.zeros(12000, np.float32)])
    soundfile.write(path, padded, 16000, subtype="PCM_16")
    return path


def start(program, folder, models, *options):
    environment = os.environ | {
        "SOUNDSPRING_MODELS": str(models),
        "QT_QPA_PLATFORM": "offscreen",
        "OMP_NUM_THREADS": "1",
        "HOME": str(folder),
    }
    return subprocess.Popen(
        [sys.executable, str(program), *map(str, options)],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


RADIO = ["full_duplex", "pluto_rx", "pluto_tx", "usrp_rx", "usrp_tx"]
REPLAY = "sigmf_replay"


def test_all_examples_are_named_here():
    assert [example.stem for example in EXAMPLES] == sorted([*TO_THE_END, *LIVE, MODEM, *RADIO, REPLAY])


def test_all_examples_compile(programs):
    for program in programs.values():
        assert "soundspring" in program.read_text()


@pytest.mark.parametrize("name", TO_THE_END)
def test_example_runs_to_its_end(programs, name, tmp_path, tiny_models_dir, speech):
    process = start(
        programs[name], tmp_path, tiny_models_dir, "--sound-in", speech, "--sound-out", tmp_path / "out.wav"
    )
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    sent, received = soundfile.read(speech)[0], soundfile.read(tmp_path / "out.wav")[0]
    assert len(sent) - 4000 < len(received) <= len(sent) + 1600
    assert np.abs(received).max() > 1e-4


def test_packet_loss_example_is_the_function(programs, tmp_path, tiny_models_dir, speech, tiny_models):
    process = start(
        programs["packet_loss"],
        tmp_path,
        tiny_models_dir,
        "--sound-in",
        speech,
        "--sound-out",
        tmp_path / "out.wav",
        "--loss",
        "bernoulli:0.3",
        "--seed",
        7,
    )
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    audio = soundfile.read(speech, dtype="float32")[0]
    wanted = link.run(link.Link(profile.load("packet20"), tiny_models), audio, loss=parse_loss("bernoulli:0.3", 7))
    received = soundfile.read(tmp_path / "out.wav")[0]
    assert wanted.counts.packets_lost > 20
    assert np.abs(received - wanted.audio[: len(received)]).max() < 2 / 32768  # 16 bits in the file


def test_adaptive_rate_climbs_by_what_the_receiver_measures(programs, tmp_path, tiny_models_dir, speech):
    """At the default 12 dB the bursts climb from the first rung to the fifth, which needs 6.6 dB, the margin and the
    hysteresis; no further and not back, and the sound goes on."""
    out = tmp_path / "out.wav"
    process = start(programs["adaptive_rate"], tmp_path, tiny_models_dir, "--sound-in", speech, "--sound-out", out)
    end = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < end and not (out.exists() and out.stat().st_size > 30000):
        time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    assert re.findall(r"^(\d+)$", said, re.MULTILINE) == ["4"], said
    assert "dropped" not in said and len(soundfile.read(out)[0]) > 14000


@pytest.mark.parametrize("name", [name for name in LIVE if name != "adaptive_rate"])
def test_live_example_runs_until_it_is_stopped(programs, name, tmp_path, tiny_models_dir, speech):
    out = tmp_path / "out.wav"
    process = start(programs[name], tmp_path, tiny_models_dir, "--sound-in", speech, "--sound-out", out)
    end = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < end and not (out.exists() and out.stat().st_size > 30000):
        time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    received = soundfile.read(out)[0]
    assert len(received) > 14000 and np.abs(received).max() > 1e-4


BURSTS = """
import sys, time
from PyQt5.QtWidgets import QApplication
application = QApplication(["test"])
from modem_alone import modem_alone
flowgraph, end = modem_alone(), time.monotonic() + float(sys.argv[1])
flowgraph.set_order(6)
flowgraph.set_snr_db(30)
flowgraph.start()
while flowgraph.receiver.bursts < 5 and time.monotonic() < end:
    time.sleep(0.1)
flowgraph.stop()
flowgraph.wait()
print("BURSTS", flowgraph.receiver.bursts)
"""


def test_modem_example_receives_bursts(programs, tmp_path, tiny_models_dir):
    folder = programs[MODEM].parent
    environment = os.environ | {"QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1", "HOME": str(tmp_path),
                                "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run([sys.executable, "-c", BURSTS, str(LIMIT_S)], cwd=tmp_path, env=environment,
                          capture_output=True, text=True)
    assert "Traceback" not in done.stderr, done.stderr
    assert int(done.stdout.split("BURSTS")[1]) >= 5


@pytest.mark.parametrize("name", ["pluto_tx", "usrp_tx"])  # the others ask for a sound card first
def test_radio_example_asks_for_a_frequency(programs, name, tmp_path, tiny_models_dir):
    _, errors = start(programs[name], tmp_path, tiny_models_dir).communicate(timeout=LIMIT_S)
    assert "frequency= is empty; give it a value" in errors


def test_pluto_example_sends_to_a_fake_board(programs, tmp_path, tiny_models_dir, speech, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests/hier"))
    import fake_pluto

    board = fake_pluto.board()
    board.ask("RESET")
    options = ["--uri", board.uri, "--frequency", "433.92M", "--attenuation", "40", "--sound-in", speech]
    process = start(programs["pluto_tx"], tmp_path, tiny_models_dir, *options)
    end = time.monotonic() + LIMIT_S
    while process.poll() is None and time.monotonic() < end and board.ask("STATE")["sent"] < 400_000:
        time.sleep(0.3)
    assert board.ask("STATE")["sent"] >= 400_000
    assert float(board.written["phy/out_voltage0_hardwaregain"]) == -40
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors


def test_replay_example_is_the_function(programs, tmp_path, tiny_models_dir, speech, tiny_models):
    from soundspring.hier.live import Sender

    audio = soundfile.read(speech, dtype="float32")[0]
    sender = Sender("reference", f"file:{tmp_path}/capture.sigmf-meta", audio)
    sender.begin()
    assert sender.ended.wait(LIMIT_S) and sender.end()
    options = ["--capture", tmp_path / "capture.sigmf-meta", "--sound-out", tmp_path / "out.wav"]
    process = start(programs[REPLAY], tmp_path, tiny_models_dir, *options)
    _, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors
    whole = link.Link(profile.load("reference"), tiny_models)
    wanted = link.decode(whole, list(link.encode(whole, audio)), len(audio))
    received = soundfile.read(tmp_path / "out.wav")[0]
    assert np.abs(received[:20000] - wanted[:20000]).max() < 2 / 32768
