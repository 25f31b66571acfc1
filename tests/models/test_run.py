# SPDX-License-Identifier: GPL-3.0-or-later
"""The one command that trains: its stages in order, and none of them twice."""

from pathlib import Path

import pytest
import torch

TRAIN = Path(__file__).parents[2] / "models" / "train"


@pytest.fixture
def driver(monkeypatch, tmp_path):
    """models/train/run.py with its stages replaced by what they would leave; (module, list of calls)."""
    import importlib

    monkeypatch.syspath_prepend(str(TRAIN))
    run, calls = importlib.import_module("run"), []

    def option(arguments, name):
        return arguments[arguments.index(name) + 1]

    def leave(script, *arguments):
        calls.append((script.stem, arguments))
        made = {
            "corpus": lambda: option(arguments, "--work") / "test.json",
            "tokenise": lambda: option(arguments, "--out") / "tokens_train.npz",
            "export": lambda: option(arguments, "--models") / arguments[0] / "config.yaml",
        }
        if script.stem.startswith("train"):
            file = option(arguments, "--run") / "checkpoint.pt"
            file.parent.mkdir(parents=True, exist_ok=True)
            spent = run.seconds_spent(file) + 60 * option(arguments, "--minutes")
            torch.save({"seconds": spent}, file)
        elif "--json" in arguments or script.stem in made:
            file = option(arguments, "--json") if "--json" in arguments else made[script.stem]()
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()

    monkeypatch.setattr(run, "call", leave)
    monkeypatch.setenv("SOUNDSPRING_MODELS", "")
    yield run, calls


def arguments(tmp_path, *more):
    return ["--work", str(tmp_path / "work"), "--models", str(tmp_path / "models"), "--minutes-codec", "3",
            "--minutes-decoder", "2", "--minutes-lm", "4", *more]


def test_all_stages_in_order_and_none_twice(driver, tmp_path):
    run, calls = driver
    run.main(arguments(tmp_path))
    names = [name for name, _ in calls]
    models = ["train_codec", "refit_codebooks", "tokenise", "train_lm", "train_decoder", "export", "export"]
    assert names == ["corpus", *models, *run.BENCHMARKS, "card"]
    minutes = [a[a.index("--minutes") + 1] for name, a in calls if name.startswith("train")]
    assert minutes == [3, 4, 2]
    calls.clear()
    run.main(arguments(tmp_path))
    assert [name for name, _ in calls] == ["card"]


def test_training_goes_on_where_it_stopped(driver, tmp_path):
    run, calls = driver
    folder = tmp_path / "work/runs/codec"
    folder.mkdir(parents=True)
    torch.save({"seconds": 60.0}, folder / "checkpoint.pt")
    run.main(arguments(tmp_path))
    first = next(a for name, a in calls if name == "train_codec")
    assert first[first.index("--minutes") + 1] == 2 and first[first.index("--total-minutes") + 1] == 3


def test_a_gpu_needs_its_name(driver, tmp_path, capsys):
    with pytest.raises(SystemExit):
        driver[0].main(arguments(tmp_path, "--device", "cuda"))
    assert "--hardware" in capsys.readouterr().err
