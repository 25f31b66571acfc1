# SPDX-License-Identifier: GPL-3.0-or-later
"""Old files decode to the same tokens for ever, whatever computes them; and say which model they need."""

import importlib
import json
import sys
from pathlib import Path

import pytest
from soundspring import weights
from soundspring.coding.packet import WrongModel
from soundspring.coding.ssp import read_ssp
from soundspring.link import Models

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def portability():
    sys.path[:0] = [str(ROOT / "benchmarks"), str(HERE)]
    yield importlib.import_module("portability")
    del sys.path[:2]


@pytest.fixture(scope="module")
def golden():
    return json.loads((HERE / "golden.json").read_text())


@pytest.fixture
def frozen(portability, tmp_path, monkeypatch):
    """The folder of the frozen models, which are the ones to be loaded."""
    folder = importlib.import_module("make_ssp").unpack(tmp_path / "models")
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(folder))
    return folder


def test_the_model_is_the_frozen_one(frozen, golden):
    assert Models().sha256 == golden["model"]
    assert sorted(golden["files"]) == sorted(p.stem for p in HERE.glob("*.ssp")) and len(golden["files"]) == 4


@pytest.mark.parametrize("name", ["reference", "chained", "packet20", "independent"])
def test_golden_files_decode_to_the_same_tokens(portability, frozen, golden, name):
    assert golden["files"][name].keys() == {"tokens", "ok"}
    assert portability.decoded(HERE / f"{name}.ssp", Models()) == golden["files"][name]


def test_another_process_with_other_arithmetic_decodes_the_same(portability, frozen, golden):
    files, name = [HERE / f"{name}.ssp" for name in golden["files"]], "all of the oldest kind, 4 threads"
    rows = portability.compare(files, frozen, golden["files"], {name: (sys.executable, *portability.SETTINGS[name])})
    assert rows[name]["same"], rows


def test_a_difference_and_a_failure_are_seen(portability, frozen, golden):
    files, wanted = [HERE / "chained.ssp"], {"chained": golden["files"]["chained"] | {"tokens": "0" * 64}}
    runs = {"x": (sys.executable, {}, []), "y": (sys.executable, {}, ["--bad"])}
    rows = portability.compare(files, frozen, wanted, runs)
    assert rows["x"]["differ"] == rows["y"]["differ"] == ["chained"] and "--bad" in rows["y"]["error"]
    assert not rows["x"]["same"] and rows["x"]["versions"]["python"]


def test_a_file_says_which_model_it_needs(tiny_models, golden):
    with pytest.raises(WrongModel) as refusal:
        read_ssp(HERE / "reference.ssp", tiny_models.sha256)
    for words in (golden["model"][:16], tiny_models.sha256[:16], "SOUNDSPRING_MODELS"):
        assert words in str(refusal.value)


@pytest.mark.parametrize("part", ["codec", "lm"])
def test_a_model_that_was_trained_further_is_another(frozen, golden, part):
    tensors, config = weights.load(frozen / part, part)
    name = next(k for k, v in tensors.items() if v.is_floating_point() and v.numel() > 100)
    tensors[name].view(-1)[0] += 0.25
    rest = {k: v for k, v in config.items() if k not in ("kind", "sizes", "sha256")}
    weights.save(frozen / part, part, config["sizes"], tensors, **rest)
    if part == "codec":  # a language model is of one codec: the two are released together
        language, about = weights.load(frozen / "lm", "lm")
        of = weights.identity(weights.read_config(frozen / "codec"))
        weights.save(frozen / "lm", "lm", about["sizes"], language, codec_sha256=of)
    new = Models().sha256
    assert new[:16] != golden["model"][:16]
    with pytest.raises(WrongModel, match=golden["model"][:16]):
        read_ssp(HERE / "reference.ssp", new)
