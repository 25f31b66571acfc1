# SPDX-License-Identifier: GPL-3.0-or-later
"""The training scripts by name, and a tiny model that went the whole way from a recording to its cards."""

import fcntl
import importlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "models" / "train"
# The tiny recipe in seconds, as often evaluated and with as few figures as the tests need.
SHORTER = {
    "train_codec": {"steps": 60, "eval_steps": 20, "warm_steps": 40, "init_seconds": 24, "sync": 3},
    "refit_codebooks": {"minutes": 0.2},
    "tokenise": {"passes": 2},
    "train_lm": {"steps": 30, "eval_steps": 30, "eval_batches": 1},
    "choose": {"passes": 2},
    "train_lm_chosen": {"steps": 5, "eval_steps": 5, "eval_batches": 1},
    "train_decoder": {"steps": 10, "eval_steps": 10},
    "train_jscc": {"steps": 5, "eval_steps": 5},
}


@pytest.fixture
def train(monkeypatch):
    """Import models/train/NAME.py by its name."""
    monkeypatch.syspath_prepend(str(TRAIN))
    return importlib.import_module


@dataclass
class Trained:
    """What a run was killed with and what the next one left; `calls` are the stages of the second."""

    arguments: list[str]
    work: Path
    killed: int
    free: bool
    history: list[dict]
    calls: list[str]


def kill_in_training(arguments: list[str], run: Path) -> tuple[int, bool]:
    """Start the command with two processes and end it once the codec has been evaluated -> (return code, all ended)."""
    command = [sys.executable, str(TRAIN / "run.py"), *arguments, "--processes", "2"]
    with open(run.parents[1] / "log", "w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        for _ in range(1800):
            if (run / "history.jsonl").exists() or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
    with open(run / "lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return code, False
    return code, True


def in_process(calls: list[str]):
    """run.call without a new interpreter for each stage."""

    def call(script, arguments, processes=1):
        calls.append(script.stem)
        importlib.import_module(script.stem).main(arguments)

    return call


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """The tiny recipe, killed in the midst of the codec's training by two processes, then run to its end by one."""
    work = tmp_path_factory.mktemp("trained")
    recipe = yaml.safe_load((TRAIN / "recipes/tiny.yaml").read_text())
    for stage, options in SHORTER.items():
        recipe[stage] |= options
    recipe["benchmarks"] = {"quality": recipe["benchmarks"]["quality"]}
    (work / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    arguments = ["--recipe", str(work / "recipe.yaml"), "--work", str(work), "--device", "cpu"]
    killed, free = kill_in_training(arguments, work / "runs/codec")
    calls, modules, handler = [], set(sys.modules), signal.getsignal(signal.SIGTERM)
    with pytest.MonkeyPatch.context() as patch:
        for folder in (ROOT / "benchmarks", TRAIN):
            patch.syspath_prepend(str(folder))
        patch.chdir(ROOT)
        patch.setenv("SOUNDSPRING_MODELS", os.environ.get("SOUNDSPRING_MODELS", ""))
        history = importlib.import_module("progress").read_history(work / "runs/codec")
        run = importlib.import_module("run")
        patch.setattr(run, "call", in_process(calls))
        run.main(arguments)
    signal.signal(signal.SIGTERM, handler)
    for name in set(sys.modules) - modules:  # `link` and `common` are too common as names to stay behind
        if str(getattr(sys.modules[name], "__file__", "")).startswith((f"{ROOT}/benchmarks", f"{ROOT}/models")):
            del sys.modules[name]
    return Trained(arguments, work, killed, free, history, calls)
