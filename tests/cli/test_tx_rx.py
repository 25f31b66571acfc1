# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring tx` and `soundspring rx`: from process to process, from recording to decoder, and how they end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

pytest.importorskip("gnuradio.gr")
from soundspring import link, profile  # noqa: E402
from soundspring.cli import main as shell  # noqa: E402
from soundspring.cli._live import sense  # noqa: E402
from soundspring.cli.rx import Watch  # noqa: E402

ROOT = Path(__file__).parents[2]
LIMIT_S = 240  # a process that starts on a busy machine
BURSTS = 14 + 1  # of `speech` on the reference profile, whose last copies need one more


def events(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def named(path: Path, *names: str) -> list[dict]:
    return [event for event in events(path) if event["event"] in names]


def wait_for(condition, seconds: float = LIMIT_S) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    assert condition()


@pytest.fixture
def speech(tmp_path, speech_like):
    path = tmp_path / "in.wav"
    soundfile.write(path, speech_like, 16000, subtype="FLOAT")
    return path


@pytest.fixture
def address():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"zmq:tcp://127.0.0.1:{server.getsockname()[1]}"


def obeying() -> None:
    """As in a terminal: background jobs of a shell are started with SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(tiny_models_dir, tmp_path):
    """Start the command in a process of its own; what still runs at the end is killed."""
    running = []

    def begin(*words) -> subprocess.Popen:
        environment = os.environ | {"SOUNDSPRING_MODELS": str(tiny_models_dir), "PYTHONPATH": str(ROOT / "python")}
        log = open(tmp_path / f"log{len(running)}", "w")
        running.append(subprocess.Popen([sys.executable, "-m", "soundspring.cli", *map(str, words)], cwd=tmp_path,
                                        env=environment, stdout=log, stderr=subprocess.STDOUT,
                                        preexec_fn=obeying))
        log.close()
        running[-1].log = Path(log.name)
        return running[-1]

    yield begin
    for process in running:
        if process.poll() is None:
            process.kill()
            process.wait()


def expected(models, audio: np.ndarray) -> np.ndarray:
    """What the functions make of the speech when nothing is lost."""
    whole = link.Link(profile.load("reference"), models)
    return link.decode(whole, list(link.encode(whole, audio)), len(audio))


def test_a_recording_made_by_one_is_decoded_by_the_other(tiny_models, speech, speech_like, tmp_path, capsys):
    radio, out, log = f"file:{tmp_path}/air.sigmf-meta", tmp_path / "out.wav", tmp_path / "rx.json"
    assert shell.main(["tx", str(speech), "--radio", radio, "--json", str(tmp_path / "tx.json")]) == 0
    assert shell.main(["rx", "--radio", radio, "--out", str(out), "--json", str(log)]) == 0
    sent, got = events(tmp_path / "tx.json")[-1], events(log)[-1]
    assert sent["event"] == got["event"] == "end" and sent["bursts"] == got["bursts"] == BURSTS
    assert (got["packets"], got["packets_lost"], got["frames_concealed"], got["transmissions"]) == (2 * BURSTS, 0, 0, 1)
    assert abs(got["cfo_hz"]) < 5 and got["snr_db"] > 40 and got["join_s"] < 0.1
    assert [event["event"] for event in named(log, "start", "signal", "end")] == ["start", "signal", "end"]
    sound, wanted = soundfile.read(out)[0], expected(tiny_models, speech_like)
    assert len(sound) >= 21000 and np.abs(sound[:21000] - wanted[:21000]).max() < 2 / 32768
    assert f"{BURSTS} bursts sent" in capsys.readouterr().err


def test_a_receiver_follows_the_rung_of_a_ladder(tiny_models, speech, tmp_path):
    radio, log = f"file:{tmp_path}/air.sigmf-meta", tmp_path / "rx.json"
    assert shell.main(["tx", str(speech), "--radio", radio, "--profile", "narrow", "--rung", "2"]) == 0
    words = ["rx", "--radio", radio, "--profile", "narrow", "--out", str(tmp_path / "out.wav"), "--json", str(log)]
    assert shell.main(words) == 0
    assert (events(log)[-1]["bursts"], events(log)[-1]["packets_lost"]) == (14, 0)


def test_a_recording_is_played_on_the_loudspeaker(tiny_models, speech, tmp_path):
    """ALSA's own `null` device takes whatever comes, so that no card is needed."""
    from gnuradio import audio

    radio, log = f"file:{tmp_path}/air.sigmf-meta", tmp_path / "rx.json"
    try:
        audio.sink(16000, "null", True)
    except RuntimeError:
        pytest.skip("this gr-audio has no ALSA")
    assert shell.main(["tx", str(speech), "--radio", radio]) == 0
    assert shell.main(["rx", "--radio", radio, "--device", "null", "--json", str(log)]) == 0
    assert (events(log)[-1]["bursts"], events(log)[-1]["packets_lost"], events(log)[-1]["buffer_ms"]) == (BURSTS, 0, 0)


def test_a_recording_with_noise_and_losses_is_concealed(tiny_models, speech, tmp_path):
    radio, log = f"file:{tmp_path}/air.sigmf-meta", tmp_path / "rx.json"
    assert shell.main(["tx", str(speech), "--radio", radio]) == 0
    radio += ",level=12,snr=12,cfo=20k,clock_ppm=-30,seed=1"
    words = ["rx", "--radio", radio, "--out", str(tmp_path / "out.wav"), "--json", str(log)]
    assert shell.main([*words, "--loss", "bernoulli:0.3", "--seed", "4"]) == 0
    end = events(log)[-1]
    assert end["bursts"] == BURSTS and end["packets_lost"] > 2 and end["frames_concealed"] > 0
    assert end["snr_db"] == pytest.approx(12, abs=1.5) and end["cfo_hz"] == pytest.approx(20e3, abs=100)


def test_a_loopback_sends_and_receives_in_one_process(tiny_models, speech, tmp_path):
    log = tmp_path / "rx.json"
    words = ["rx", "--radio", "loopback:own,snr=15,cfo=-3k", "--send", str(speech), "--out", str(tmp_path / "out.wav")]
    assert shell.main([*words, "--json", str(log)]) == 0
    end = events(log)[-1]
    assert end["bursts"] >= 24 * 0.8  # a second of silence, then the speech; a busy machine may leave gaps
    assert end["snr_db"] == pytest.approx(15, abs=2) and end["cfo_hz"] == pytest.approx(-3000, abs=50)


def test_packets_cross_from_process_to_process(start, address, speech, speech_like, tiny_models, tmp_path):
    """Receiver first, then the sender; nothing is lost; the receiver records, and stops by itself."""
    out, log, record = tmp_path / "out.wav", tmp_path / "rx.json", tmp_path / "copy.sigmf-meta"
    receiver = start("rx", "--radio", f"{address},pattern=push", "--out", out, "--json", log, "--record", record)
    sender = start("tx", speech, "--radio", f"{address},pattern=push,pace=no")
    assert sender.wait(LIMIT_S) == 0, sender.log.read_text()
    wait_for(lambda: log.exists() and any(event["bursts"] == BURSTS for event in named(log, "status")))
    receiver.send_signal(signal.SIGINT)
    assert receiver.wait(60) == 0, receiver.log.read_text()
    end = events(log)[-1]
    assert (end["event"], end["bursts"], end["packets_lost"]) == ("end", BURSTS, 0)
    assert "Traceback" not in receiver.log.read_text()
    sound, wanted = soundfile.read(out)[0], expected(tiny_models, speech_like)
    assert np.abs(sound[:21000] - wanted[:21000]).max() < 2 / 32768
    assert shell.main(["rx", "--radio", f"file:{record}", "--out", str(out), "--json", str(log)]) == 0
    assert events(log)[-1]["bursts"] == BURSTS
    assert events(log)[-1]["snr_db"] > 40  # the stand-in has no converter: its recording must not clip


def test_a_late_receiver_joins_within_a_second(start, tiny_models, speech_like, address, tmp_path):
    """Of the stream, which is a recording sent at a quarter of its pace: so it keeps its time on a busy machine.

    The sender neither waits for the receiver nor ends with it.
    """
    from gnuradio import blocks, gr, zeromq
    from soundspring.hier.radio import radio_source

    long, air, log = tmp_path / "long.wav", f"file:{tmp_path}/air.sigmf-meta", tmp_path / "rx.json"
    soundfile.write(long, np.tile(speech_like, 4), 16000)
    assert shell.main(["tx", str(long), "--radio", air]) == 0
    top, source, pace = gr.top_block(), radio_source(f"{air},repeat=yes"), blocks.throttle(gr.sizeof_gr_complex, 0.5e6)
    pace.set_max_noutput_items(2500)
    sink = zeromq.pub_sink(gr.sizeof_gr_complex, 1, address.removeprefix("zmq:"))
    top.connect(source, pace, sink)
    top.start()
    try:
        wait_for(lambda: sink.nitems_read(0) > 200_000)
        receiver = start("rx", "--radio", address, "--out", tmp_path / "out.wav", "--json", log)
        wait_for(lambda: log.exists() and any(event["bursts"] > 15 for event in named(log, "status")))
        receiver.send_signal(signal.SIGINT)
        assert receiver.wait(60) == 0, receiver.log.read_text()
        sent = sink.nitems_read(0)
        wait_for(lambda: sink.nitems_read(0) > sent + 200_000)
    finally:
        top.stop()
        top.wait()
    end = events(log)[-1]
    assert end["join_s"] < 1.0 and end["packets"] - end["packets_lost"] > 20
    assert "Traceback" not in receiver.log.read_text()


def test_a_receiver_that_hears_nothing_says_so_and_stops(tiny_models, address, tmp_path, capsys):
    log = tmp_path / "rx.json"
    words = ["rx", "--radio", address, "--out", str(tmp_path / "out.wav"), "--json", str(log), "--timeout", "6"]
    assert shell.main(words) == 1
    assert [event["event"] for event in events(log) if event["event"] != "status"] == ["start", "nothing", "end"]
    assert "is the sender running?" in capsys.readouterr().err


def test_a_wrong_rate_is_told_and_a_pause_is_not():
    told = []
    radio = SimpleNamespace(end=SimpleNamespace(paced=True, rate=2e6), address=SimpleNamespace(kind="zmq"))
    listener = SimpleNamespace(radio=radio, silent_s=0, played=False)
    watched = Watch(listener, SimpleNamespace(tell=lambda *a, **f: told.append((a, f))))
    base = {"bursts": 1, "transmissions": 1, "snr_db": 9.0, "level_db": -9.0, "cfo_hz": 0.0, "packets": 2,
            "packets_lost": 0, "packets_undecodable": 0, "packets_desync": 0, "frames_concealed": 0, "buffer_ms": 0}

    def run(rates: list[float], name: str = "rate") -> list:
        samples, told[:] = 0, []
        for second, rate in enumerate(rates, 1):
            samples += rate
            watched.look(base | {"time_s": float(second), "samples": samples})
        watched.look(base | {"time_s": float(len(rates) + 1), "samples": samples})  # as if it stood still
        return [figures for (event, *_), figures in told if event == name]

    assert run([2e6] * 12) == [] and run([2e6] * 8 + [1e6] + [0] * 9) == []
    assert {event["rate"] for event in run([1e6] * 14)} == {1000000}
    # An overflow takes samples for good; a busy machine gets them late, and a clock is never quite the other's.
    assert run([2e6] * 8 + [1.4e6] + [2e6] * 8, "overflow") == [{"missed_s": pytest.approx(0.3)}]
    assert run([2e6] * 8 + [1.4e6, 1.8e6, 2.8e6] + [2e6] * 8 + [1.9998e6] * 20, "overflow") == []


def test_bursts_whose_packets_cannot_be_read_are_told(tiny_models, speech, tmp_path, capsys):
    """A profile that is not the sender's: its headers may be read all the same. That is no perfect link."""
    recording, log = tmp_path / "wide.sigmf-meta", tmp_path / "rx.json"
    assert shell.main(["tx", str(speech), "--radio", f"file:{recording}"]) == 0
    words = ["rx", "--radio", f"file:{recording}", "--profile", "wide", "--out", str(tmp_path / "out.wav")]
    assert shell.main([*words, "--json", str(log)]) == 1
    told = [event for event in events(log) if event["event"] == "unread"]
    assert len(told) == 1 and told[0]["bursts"] >= 10
    assert "is the profile the sender's?" in capsys.readouterr().err


def test_what_the_radio_says_of_itself_is_told():
    """All of it to programs, to the person only what is wrong."""
    told = []
    tell = SimpleNamespace(tell=lambda event, text="", **figures: told.append((event, text, figures)))
    for readings in ({}, {"rssi_db": 95.25, "overflow": False}, {"temperature_c": 40.0, "overflow": True},
                     {"lo_locked": "true", "ref_locked": "false"}):
        sense(SimpleNamespace(sensors=lambda r=readings: r), tell)
    assert [event for event, _, _ in told] == ["sensors"] * 3
    assert [text for _, text, _ in told] == ["", "the radio says: overflow true", "the radio says: ref_locked false"]
    assert told[0][2] == {"rssi_db": 95.25, "overflow": False}


def test_what_happens_to_the_signal_is_told():
    """Found, the sender restarted, lost, found again; each once."""
    told = []
    listener = SimpleNamespace(radio=SimpleNamespace(end=SimpleNamespace(paced=False),
                                               address=SimpleNamespace(kind="zmq")), silent_s=0.0, played=False)
    watched = Watch(listener, SimpleNamespace(tell=lambda event, text="", **figures: told.append((event, text))))
    base = {"snr_db": 9.0, "level_db": -30.0, "cfo_hz": 0.0, "packets": 2, "packets_lost": 0, "packets_undecodable": 0,
            "packets_desync": 0, "frames_concealed": 0, "buffer_ms": 0}
    seconds = [(0, 0, 9.0), (10, 1, 0.1), (20, 1, 0.1), (30, 2, 0.1),
               (40, 2, 0.1), (40, 2, 2.0), (40, 2, 3.0), (50, 3, 0.1)]
    for time_s, (bursts, transmissions, silent) in enumerate(seconds):
        listener.silent_s = silent
        watched.look(base | {"time_s": float(time_s), "samples": 2_000_000 * time_s, "bursts": bursts,
                             "transmissions": transmissions})
    assert [event for event, _ in told if event != "status"] == ["signal", "restart", "lost", "restart"]
    assert "profile" in dict(told)["lost"] and "SNR 9.0 dB" in dict(told)["status"]
    listener.silent_s, listener.played = 5.0, True  # a recording that is over is no signal that is lost
    before = len(told)
    watched.look(base | {"time_s": 8.5, "samples": 0, "bursts": 50, "transmissions": 3})
    assert [event for event, _ in told[before:]] == ["status"]
    for packets, refused in ((0, 0), (0, 9), (0, 10), (5, 11)):
        watched.look(base | {"time_s": 9.0, "samples": 0, "bursts": 50, "transmissions": 3, "packets": packets,
                             "packets_refused": refused})
    assert [text[:15] for event, text in told if event == "refused"] == ["all 9 packets s"]
    assert ", 11 refused" in told[-1][1]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tx", "IN", "--radio", "pluto:ip:127.0.0.1"], "licence"),
        (["tx", "IN", "--radio", "usrp:,frequency=1G"], "gain="),
        (["tx", "IN", "--radio", "wifi"], "addresses look like"),
        (["tx", "--radio", "file:x.sigmf-meta"], "not the microphone"),
        (["rx", "--radio", "file:absent.sigmf-meta"], "no file"),
        (["rx", "--radio", "zmq:tcp://127.0.0.1:9", "--send", "IN", "--out", "x.wav"], "--send-radio"),
        (["rx", "--radio", "loopback", "--record", "/nowhere/x.sigmf-meta"], "no folder"),
        (["rx", "--radio", "loopback", "--out", "x.wav", "--profile", "packet20"], "radio part"),
    ],
)
def test_mistakes_are_explained_before_anything_starts(tiny_models, speech, words, says, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert shell.main([str(speech) if word == "IN" else word for word in words]) == 2
    assert says in capsys.readouterr().err


def test_the_sound_card_is_used_where_no_file_is_named(tiny_models, address, monkeypatch, capsys):
    from soundspring.hier import live

    asked = []

    def absent(rate, device, block):
        asked.append((rate, device))
        raise RuntimeError("no such device")

    monkeypatch.setattr(live.sound_card, "source", absent)
    monkeypatch.setattr(live.sound_card, "sink", absent)
    for command in ("tx", "rx"):
        assert shell.main([command, "--radio", address, "--device", "hw:1"]) == 2
        assert "name another device" in capsys.readouterr().err
    assert asked == [(16000, "hw:1")] * 2


@pytest.mark.parametrize("stopped, waits", [(True, True), (False, False)])
def test_a_block_that_does_not_stop_does_not_hold_the_process(stopped, waits):
    """Its thread goes on; only a flowgraph that ended is waited for."""
    program = (
        "import atexit, threading, time, types; from soundspring.cli._live import over\n"
        "flow = types.SimpleNamespace(broke=False, ended=threading.Event())\n"
        f"{stopped} and flow.ended.set()\n"
        "threading.Thread(target=time.sleep, args=(2,)).start()\n"
        "atexit.register(print, 'waits', flush=True)\n"
        "raise SystemExit(over(flow, 3))\n"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3 and ("waits" in done.stdout) == waits, done
