# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: a link whose scheme, SNR, fading and loss change while it runs, and the window around it."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytest.importorskip("gnuradio.gr")
from gnuradio import blocks, gr  # noqa: E402
from soundspring.baselines import amrwb, codec2, opus  # noqa: E402
from soundspring.hier import lab  # noqa: E402

ROOT = Path(__file__).parents[2]
LIMIT_S = 240


def until(condition) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


def test_a_tape_remembers_the_last_samples():
    tape, ramp = lab.tape(seconds=0.01), np.arange(1000, dtype=np.float32)
    top, source = gr.top_block(), blocks.vector_source_f(ramp.tolist())
    top.connect(source, tape)
    top.run()
    assert tape.count == 1000
    assert np.array_equal(tape.between(840, 1000), ramp[840:]) and np.array_equal(tape.between(900, 910), ramp[900:910])
    assert tape.between(839, 900) is None and tape.between(990, 1001) is None


def test_the_voice_goes_by_the_clock_and_waits_for_what_is_heard():
    heard = [0]
    voice = lab.voice(np.arange(100, dtype=np.float32), 5, lambda: heard[0])
    assert voice._allowed(100.0) == 0 and voice._allowed(100.0625) == 1000
    assert voice._allowed(200.0) == lab.CLOCK_SLACK  # what was missed is not made up for
    voice.count = lab.AHEAD
    heard[0] = 1
    assert voice._allowed(201.0) <= 1  # enough is on its way
    heard[0] = 8000
    assert voice._allowed(202.0) == lab.CLOCK_SLACK
    voice.count = lab.AHEAD + 8000
    assert voice._allowed(202.1) <= 0 < voice._allowed(202.2 + lab.STALL_S)  # nothing is heard: perhaps it needs more


def test_the_voice_comes_in_real_time():
    """In small pieces, without gaps: GNU Radio calls a source that gave nothing only after a quarter of a second."""
    sink, calls = blocks.null_sink(gr.sizeof_float), []

    class voice_(lab.voice):
        def work(self, input_items, output_items):
            calls.append((time.monotonic(), made := lab.voice.work(self, input_items, output_items)))
            return made

    voice = voice_(np.zeros(100, np.float32), 0, lambda: sink.nitems_read(0))
    top = gr.top_block()
    top.connect(voice, sink)
    top.start()
    until(lambda: voice.count)
    time.sleep(1.5)
    top.stop()
    top.wait()
    times, sizes = (np.array(column) for column in zip(*calls, strict=True))
    assert 0.7 * lab.SAMPLE_RATE < sizes[1:].sum() / (times[-1] - times[0]) < 1.1 * lab.SAMPLE_RATE
    assert np.median(np.diff(times)) < 0.1 and len(sizes) < 300


def test_everything_changes_while_it_plays(tiny_models, speech_like, tmp_path):
    flow = lab.Lab(speech_like, out=tmp_path / "out.wav", snr_db=25)
    flow.begin()
    try:
        until(lambda: len(flow.fates()) > 5)
        assert {word for row in flow.fates() for word in row} == {"ok"}
        flow.set_loss("bernoulli:1")
        until(lambda: flow.fates()[-1] == ("lost", "lost"))
        flow.set_loss("none")
        until(lambda: flow.fates()[-1] == ("ok", "ok"))
        flow.set_fading("tdl-a")
        flow.set_snr_db(-20)
        until(lambda: flow.fates()[-1] == ("lost", "lost"))
        flow.set_fading("none")
        flow.set_snr_db(25)
        before = len(flow.fates())
        flow.set_scheme("wide-0")  # the base alone
        until(lambda: len(flow.fates()) > before + 5)
        assert flow.fates()[-1] == ("ok",) and flow.scheme == "wide-0"
        before = len(flow.fates())
        flow.set_scheme("jscc")
        until(lambda: len(flow.fates()) > before + 5)
        assert {word for word in flow.fates()[-1]} == {"ok"}
        sent, received = flow.heard(0.3)
        assert len(sent) == len(received) == 4800 and np.abs(sent).max() > 0.01
    finally:
        flow.end()
        flow.end()
    assert soundfile.info(tmp_path / "out.wav").frames > 16000


def test_what_is_heard_is_aligned_with_what_was_sent(tiny_models, speech_like, tmp_path):
    from soundspring import link, profile

    flow = lab.Lab(speech_like, out=tmp_path / "out.wav", snr_db=25)
    flow.begin()
    until(lambda: flow.received.count > 8000)
    flow.end()
    stop = flow.received.count
    assert np.array_equal(flow.heard(0.3)[0], np.take(speech_like, np.arange(stop - 4800, stop), mode="wrap"))
    wanted = link.run(link.Link(profile.load("reference"), tiny_models), speech_like[:12800]).audio
    assert np.abs(soundfile.read(tmp_path / "out.wav")[0][:8000] - wanted[:8000]).max() < 2 / 32768


@pytest.mark.parametrize(("key", "value"), [("scheme", "nothing"), ("fading", "fog"), ("loss", "all")])
def test_wrong_settings_are_named(tiny_models, speech_like, tmp_path, key, value):
    with pytest.raises(ValueError, match=key):
        lab.Lab(speech_like, out=tmp_path / "out.wav", **{key: value})


@pytest.mark.parametrize("codec", [pytest.param(m, id=m.__name__.rpartition(".")[2], marks=pytest.mark.skipif(
    not m.available(), reason="its library is not installed")) for m in (opus, amrwb, codec2)])
def test_conventional_codecs_are_schemes(tiny_models, speech_like, tmp_path, codec):
    flow = lab.Lab(speech_like, codec.__name__.rpartition(".")[2], out=tmp_path / "out.wav", snr_db=20)
    flow.begin()
    until(lambda: len(flow.fates()) > 5 and flow.heard(0.3))
    assert set(flow.fates()) == {("ok",)} and np.abs(flow.heard(0.3)[1]).max() > 0.01
    flow.set_loss("bernoulli:1")
    until(lambda: flow.fates()[-1] == ("lost",))
    flow.end()


def test_a_scheme_that_cannot_be_made_changes_nothing(tiny_models, speech_like, tmp_path, monkeypatch):
    def absent():
        raise FileNotFoundError("no model")

    monkeypatch.setitem(lab.SCHEMES, "absent", absent)
    flow = lab.Lab(speech_like, out=tmp_path / "out.wav")
    flow.begin()
    for name, error in (("absent", FileNotFoundError), ("nothing", ValueError)):
        with pytest.raises(error):
            flow.set_scheme(name)
    until(lambda: len(flow.fates()) > 2)
    assert flow.scheme == "reference"
    flow.end()


def test_a_scheme_is_added_in_a_line(tiny_models, speech_like, tmp_path, monkeypatch):
    monkeypatch.setitem(lab.SCHEMES, "mine", lambda: lab.digital("wide-1"))
    flow = lab.Lab(speech_like, "mine", out=tmp_path / "out.wav")
    flow.begin()
    until(lambda: len(flow.fates()) > 1)
    flow.end()


DRIVE = """
import json, sys, time
import soundfile
from PyQt5.QtWidgets import QApplication
from soundspring.hier.lab_window import LabWindow

LIMIT_S = float(sys.argv[3])
application = QApplication(["test"])
window = LabWindow(soundfile.read(sys.argv[1], dtype="float32")[0], out="out.wav", snr_db=20)
heard = window.lab.heard
window.lab.heard = lambda: heard(1.0)  # sooner than after four seconds
window.show()
window.begin()

def until(condition):
    end = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        application.processEvents()
        time.sleep(0.01)

losses, facts = window.watch.losses, {}
until(lambda: losses.count("ok") > 10)
facts["clear"] = losses.count("lost")
window.loss.setCurrentIndex(window.loss.findData("bernoulli:0.3"))
until(lambda: losses.count("lost") > 3)
window.loss.setCurrentIndex(0)
window.snr.setValue(-20)
window.fading.setCurrentText("rayleigh")
count = len(window.lab.fates())
until(lambda: len(window.lab.fates()) > count + 10 and set(window.lab.fates()[-1]) == {"lost"})
facts["snr"] = [window.lab.snr_db, window.lab.air._snr_db]
window.snr.setValue(40)
window.fading.setCurrentText("none")
window.scheme.setCurrentIndex(window.scheme.findData("wide-2"))
until(lambda: window.lab.fates()[-1] == ("ok", "ok"))
until(lambda: window.watch.quality.scores)
facts |= {"scheme": window.lab.scheme, "status": window._status.text(), "scores": window.watch.quality.scores[-1]}
window.grab().save(sys.argv[2])
window.close()
print("FACTS" + json.dumps(facts))
"""


@pytest.fixture(scope="module")
def driven(tiny_models_dir, tmp_path_factory):
    """A window whose controls were moved, in a process of its own, on a virtual screen where there is one."""
    pytest.importorskip("PyQt5")
    folder = tmp_path_factory.mktemp("lab")
    t = np.arange(6 * 16000) / 16000
    soundfile.write(folder / "in.wav", 0.3 * np.sin(2 * np.pi * 200 * t) * np.sin(2 * np.pi * 2 * t) ** 2, 16000)
    command = [sys.executable, "-c", DRIVE, "in.wav", "lab.png", str(LIMIT_S)]
    environment = os.environ | {"SOUNDSPRING_MODELS": str(tiny_models_dir), "OMP_NUM_THREADS": "1",
                                "HOME": str(folder), "PYTHONPATH": str(ROOT / "python")}
    if shutil.which("xvfb-run"):
        command = ["xvfb-run", "-a", "-s", "-screen 0 1280x800x24", *command]
        environment.pop("QT_QPA_PLATFORM", None)
    else:
        environment["QT_QPA_PLATFORM"] = "offscreen"
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "FACTS" in done.stdout, done.stdout + done.stderr
    return json.loads(done.stdout.split("FACTS")[1]) | {"folder": folder}


def test_controls_act_while_it_plays(driven):
    assert driven["clear"] == 0 and driven["snr"] == [-10, -10] and driven["scheme"] == "wide-2"
    assert "6.2 kbit/s" in driven["status"] and driven["scores"]["lsd_db"] > 0


def test_the_window_shows_losses_in_colour(driven):
    from PIL import Image

    picture = np.asarray(Image.open(driven["folder"] / "lab.png").convert("RGB")).reshape(-1, 3)
    from soundspring.hier.lab_widgets import COLOURS

    for word in ("ok", "lost"):
        colour = [int(COLOURS[word][i : i + 2], 16) for i in (1, 3, 5)]
        assert (picture == colour).all(1).sum() > 300, word
