# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep measures each cell once: in one process, after a kill, and on a Dask cluster of two processes."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import yaml
from soundspring.audio.io import write
from soundspring.baselines import codec2
from soundspring.comparison import measure
from soundspring.comparison.measure import scored
from soundspring.comparison.plan import load_plan
from soundspring.comparison.results import Results, read
from soundspring.comparison.scheme import Played
from soundspring.comparison.sweep import sweep

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not codec2.available(), reason="no library for codec2, which these sweeps are made of")
PATIENCE_S = 600  # for other processes on a machine that is busy


@pytest.fixture
def plan(tmp_path, speech_like, tiny_models_dir, monkeypatch):
    """Eight cells of Codec2, half a second each."""
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tiny_models_dir))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "python"))
    write(tmp_path / "voice.wav", speech_like)
    data = {"name": "small", "files": ["voice.wav"], "seconds": 0.5, "seeds": [0, 1, 2, 3],
            "terms": {"fixed": {"profile": "reference", "schemes": ["codec2"], "listen": [6]}},
            "channels": [{"name": "awgn", "snr_db": [-20, 6]}]}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(data))
    return tmp_path / "plan.yaml"


def keys(plan):
    return [c.key for c in load_plan(plan).cells()]


def command(*words):
    return [sys.executable, "-m", "soundspring.cli", *map(str, words)]


def wait_for(condition, process=None):
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it took too long"
        assert process is None or process.poll() is None, "it ended too early"
        time.sleep(0.02)


def test_each_cell_is_measured_once_and_a_stop_loses_nothing(plan, tmp_path):
    class Stop(Exception):
        pass

    def stop_at_three(done, total):
        if done == 3:
            raise Stop

    with pytest.raises(Stop), Results(tmp_path / "out", load_plan(plan)) as results:
        sweep(results, progress=stop_at_three)
    before = read(tmp_path / "out")[2]
    told = []
    with Results(tmp_path / "out", load_plan(plan)) as results:
        assert sweep(results, progress=lambda *counts: told.append(counts)) == 5
        assert sweep(results) == 0
    rows = read(tmp_path / "out")[2]
    assert [r["key"] for r in rows] == keys(plan) and rows[:3] == before
    assert told == [(n, 8) for n in range(3, 9)]
    loud, silent = ([r for r in rows if r["snr_db"] == snr] for snr in (6, -20))
    assert all(r["bursts_lost"] == 0 and r["pesq_wb"] > 1.04 and abs(r["snr_measured_db"] - 6) < 1 for r in loud)
    assert all(r["bursts_lost"] == r["bursts"] and r["pesq_wb"] == 1.04 and r["stoi"] == 0 for r in silent)
    assert {p.name for p in (tmp_path / "out/sound").iterdir()} == {"voice.mp3", loud[0]["sound"]}


def test_a_killed_sweep_goes_on_where_it_was(plan, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(command("sweep", plan, "--out", out, "--workers", 1), stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: (out / "rows.csv").exists() and (out / "rows.csv").read_bytes().count(b"\n") >= 3, process)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = read(out)[2]
    assert 2 <= len(before) < 8
    done = subprocess.run(command("sweep", plan, "--out", out, "--workers", 1), capture_output=True, text=True,
                          timeout=PATIENCE_S)
    assert done.returncode == 0 and f"{8 - len(before)} measured, 8 in all" in done.stderr
    rows = read(out)[2]
    assert [r["key"] for r in rows] == keys(plan) and rows[: len(before)] == before


@pytest.fixture
def cluster(tmp_path, plan):
    """The address of a real scheduler with two worker processes."""
    pytest.importorskip("distributed")
    file, module = tmp_path / "scheduler.json", "distributed.cli.dask_"
    rest = ["--scheduler-file", str(file), "--no-dashboard"]
    words = [[f"{module}scheduler", "--host", "127.0.0.1", "--port", "0", *rest]]
    words += [[f"{module}worker", "--nthreads", "1", "--no-nanny", "--death-timeout", str(PATIENCE_S), *rest]] * 2
    environment = os.environ | {"OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": f"{PATIENCE_S}s"}
    processes = [subprocess.Popen([sys.executable, "-m", *w], cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) for w in words]
    try:
        wait_for(lambda: file.exists() and file.stat().st_size, processes[0])
        yield json.loads(file.read_text())["address"]
    finally:
        for process in processes:  # a worker that is asked politely may wait long for a scheduler that is gone
            process.kill()
            process.wait()


def test_two_worker_processes_share_the_cells(plan, tmp_path, cluster):
    from dask.distributed import Client

    with Client(cluster, timeout=f"{PATIENCE_S}s") as client:
        client.wait_for_workers(2, timeout=PATIENCE_S)
    done = subprocess.run(command("sweep", plan, "--out", tmp_path / "out", "--cluster", cluster), capture_output=True,
                          text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr
    rows = read(tmp_path / "out")[2]
    assert sorted(r["key"] for r in rows) == sorted(keys(plan))
    workers = {r["worker"] for r in rows}
    assert len(workers) == 2 and all(not w.endswith(f":{os.getpid()}") for w in workers)
    with Results(tmp_path / "alone", load_plan(plan)) as results:
        sweep(results)
    alone = {r["key"]: r for r in read(tmp_path / "alone")[2]}
    for row in rows:  # the same figures as in one process, but for the random phases of Codec2
        assert row["fates"] == alone[row["key"]]["fates"]
        assert row["pesq_wb"] == pytest.approx(alone[row["key"]]["pesq_wb"], abs=0.1)


def noting(folder, function):
    """The function, which leaves a file in the folder at each call, whatever process that is in."""
    def noted(*args):
        tempfile.mkstemp(dir=folder)
        return function(*args)

    folder.mkdir()
    return noted


@pytest.mark.parametrize("by_dask", [False, True])
def test_what_sounds_alike_is_played_once(plan, tmp_path, monkeypatch, by_dask):
    """Four seeds in which all arrives and four in which nothing does: two sounds, and eight rows."""
    monkeypatch.setattr(measure, "listen", noting(tmp_path / "played", measure.listen))
    with Results(tmp_path / "out", load_plan(plan)) as results, ExitStack() as stack:
        address = None
        if by_dask:
            local = pytest.importorskip("distributed").LocalCluster(
                n_workers=2, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=None)
            address = stack.enter_context(local).scheduler_address
        sweep(results, cluster=address)
    rows = read(tmp_path / "out")[2]
    assert len(list((tmp_path / "played").iterdir())) == 2
    assert {(r["snr_db"], r["bursts_lost"] == r["bursts"]) for r in rows} == {(-20, True), (6, False)}
    assert sorted(r["key"] for r in rows) == sorted(keys(plan))


def test_what_is_not_installed_shows_before_the_work(plan, tmp_path, monkeypatch, capsys):
    from soundspring.baselines import framed
    from soundspring.cli.main import main

    monkeypatch.setattr(framed.ctypes.util, "find_library", lambda name: None)
    assert main(["sweep", str(plan), "--out", str(tmp_path / "out"), "--workers", "1"]) == 2
    assert "apt install libcodec2-1.0" in capsys.readouterr().err and not read(tmp_path / "out")[2]


def test_a_scheme_that_takes_more_is_an_error_and_no_result(plan, tmp_path, monkeypatch):
    from soundspring.comparison import conventional

    monkeypatch.setattr(conventional, "map_bits", lambda bits, order: np.full(len(bits) // order, 1.1 + 0j))
    with Results(tmp_path / "out", load_plan(plan)) as results, pytest.raises(ValueError, match="mean power of"):
        sweep(results)
    assert read(tmp_path / "out")[2] == []


def test_silence_scores_the_low_end_of_each_scale(speech_like):
    for played in (Played(np.zeros_like(speech_like), ".."), Played(speech_like, "xx")):
        assert scored(speech_like, played)["pesq_wb"] == 1.04


def test_the_report_is_made_by_the_command(plan, tmp_path):
    from soundspring.cli.main import main

    with Results(tmp_path / "out", load_plan(plan)) as results:
        sweep(results)
    assert main(["report", str(tmp_path / "out"), "--image", str(tmp_path / "figure.png")]) == 0
    assert "Codec2" in (tmp_path / "out/index.html").read_text("utf-8") and (tmp_path / "figure.png").is_file()
    assert main(["report", str(tmp_path)]) == 2
