# SPDX-License-Identifier: GPL-3.0-or-later
"""A radio that is unplugged: the command goes on. The radio is a FAKE Pluto, the cable its process."""

import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

pytest.importorskip("gnuradio.gr")
from soundspring.cli import _guard  # noqa: E402
from test_tx_rx import LIMIT_S, named, start, wait_for  # noqa: E402, F401

sys.path.insert(0, str(Path(__file__).parents[1] / "hier"))


def test_who_is_guarded(monkeypatch):
    def args(radio, send=None):
        return SimpleNamespace(radio=radio, send_radio=send)

    board = "pluto:ip:1.2.3.4,frequency=1G"
    assert _guard.wanted(args(board), "source") and not _guard.wanted(args("loopback"), "source")
    assert _guard.wanted(args("loopback", board + ",attenuation=9"), "source")
    monkeypatch.setenv(_guard.MARK, "2,7.5")
    assert not _guard.wanted(args(board), "source") and _guard.turn() == _guard.Turn(2, 7.5)


def test_later_children_write_other_files():
    assert _guard.Turn(1).file("a/x.wav") == "a/x.wav" and _guard.Turn(3).file(None) is None
    assert _guard.Turn(2).file("a/x.wav") == "a/x-2.wav"
    assert _guard.Turn(3, 9.0).file("x.sigmf-meta") == "x-3.sigmf-meta"


def test_a_file_whose_writer_died_is_mended(tmp_path):
    path = tmp_path / "x.wav"
    sound = (0.1 * np.random.default_rng(1).standard_normal(1000)).astype(np.float32)
    soundfile.write(path, sound, 16000, subtype="PCM_16")
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + bytes(4) + whole[8:40] + bytes(4) + whole[44:])
    assert len(soundfile.read(path)[0]) < 1000
    _guard.mend_wav(path)
    assert path.read_bytes() == whole
    other = tmp_path / "other"
    for content in (b"", b"no wave at all, but long enough to hold the header of one"):
        other.write_bytes(content)
        _guard.mend_wav(other)
        assert other.read_bytes() == content


def test_a_child_that_ends_by_itself_ends_the_command(monkeypatch, tmp_path):
    """The codes of children, one after the other, and how many are started."""
    codes, told = [-signal.SIGABRT, _guard.GONE, 1, 0], []
    guard = _guard.Guard(SimpleNamespace(words=[], out=None, duration=None), lambda *a, **f: told.append((a, f)))
    monkeypatch.setattr(guard, "_one", lambda turn: codes.pop(0))
    assert guard.run() == 1 and codes == [0]
    assert [figures["child"] for _, figures in told] == [1, 2]
    assert "SIGABRT" in told[0][0][1] and "ended the stream" in told[1][0][1]


def test_a_pulled_cable_is_told_and_survived(start, tmp_path):  # noqa: F811
    pytest.importorskip("gnuradio.iio")
    import fake_pluto

    board = fake_pluto.start()
    out, log = tmp_path / "out.wav", tmp_path / "rx.json"
    radio = f"pluto:{board.uri},frequency=433.92M,buffer=262144"
    process = start("rx", "--radio", radio, "--out", out, "--json", log)
    wait_for(lambda: log.exists() and any(event["samples"] > 0 for event in named(log, "status")), 2 * LIMIT_S)
    board.unplug()
    wait_for(lambda: named(log, "radio"), 2 * LIMIT_S)
    board = fake_pluto.start(board.port)
    wait_for(lambda: len(named(log, "start")) == 2, 2 * LIMIT_S)
    seen = len(named(log, "status"))
    wait_for(lambda: any(event["samples"] > 0 for event in named(log, "status")[seen:]), 2 * LIMIT_S)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) == 1, process.log.read_text()  # nothing was sent, so nothing was heard
    board.unplug()
    assert [json.loads(line)["event"] for line in log.read_text().splitlines()][-1] == "end"
    for file in (out, tmp_path / "out-2.wav"):
        soundfile.read(file)
    assert "the radio is gone" in process.log.read_text()
