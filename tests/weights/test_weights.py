# SPDX-License-Identifier: GPL-3.0-or-later
"""Model folders: what is written comes back, and what is missing, damaged or of another kind is said in one line."""

import shutil

import pytest
import torch
import yaml
from soundspring import weights


@pytest.fixture
def models(tiny_models_dir, tmp_path, monkeypatch):
    """A copy of the tiny models that a test may damage."""
    shutil.copytree(tiny_models_dir, tmp_path / "models")
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


def change(path, **changes):
    config = yaml.safe_load(path.read_text()) | changes
    path.write_text(yaml.safe_dump({k: v for k, v in config.items() if v is not None}))


def test_what_is_saved_comes_back_as_float16(tmp_path):
    tensors = {"a": torch.randn(3, 4), "n": torch.arange(5)}
    weights.save(tmp_path / "m", "codec", {"dim": 4}, tensors, note="x")
    back, config = weights.load(tmp_path / "m", "codec")
    assert torch.equal(back["a"], tensors["a"].half()) and torch.equal(back["n"], tensors["n"])
    assert config["sizes"] == {"dim": 4} and config["note"] == "x"
    assert config["sha256"] == {"weights.safetensors": weights.sha256(tmp_path / "m/weights.safetensors")}


def test_eight_bits_come_back_within_half_a_step(tmp_path):
    values = torch.randn(3, 5, 64) * torch.tensor([1e-3, 1.0, 30.0])[:, None, None]
    values[1, 2] = 0
    weights.save(tmp_path / "m", "codec", {}, weights.eight_bits("books", values))
    back, _ = weights.load(tmp_path / "m", "codec")
    assert list(back) == ["books"] and back["books"].dtype == torch.float32
    step = values.abs().amax(-1, keepdim=True) / 127
    assert ((back["books"] - values).abs() <= 0.6 * step + 1e-6).all() and not back["books"][1, 2].any()
    assert (tmp_path / "m/weights.safetensors").stat().st_size < 1.3 * values.numel()


def test_names_and_places(models, monkeypatch, tmp_path):
    assert weights.models_dir() == models and weights.model_names() == ["codec", "jscc", "lm"]
    assert weights.find_model("lm") == models / "lm" and weights.faults(models / "lm") == []
    with pytest.raises(FileNotFoundError, match="no model 'big'.*codec, jscc, lm"):
        weights.find_model("big")
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="no models folder: looked for .*nowhere"):
        weights.models_dir()


def test_the_identity_names_the_weights_and_nothing_else(models):
    from soundspring.link import Models

    before = Models().sha256
    assert len(before) == 64 and int(before, 16) >= 0
    change(models / "lm/config.yaml", comment="another word")
    assert Models().sha256 == before
    tensors, config = weights.load(models / "lm", "lm")
    tensors["start"] = tensors["start"] + 1
    weights.save(models / "lm", "lm", config["sizes"], tensors, codec_sha256=config["codec_sha256"])
    assert Models().sha256 != before


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (lambda f: (f / "config.yaml").unlink(), FileNotFoundError, "config.yaml is missing"),
        (lambda f: (f / "weights.safetensors").unlink(), ValueError, "codec/weights.safetensors is missing"),
        (lambda f: truncate(f / "weights.safetensors"), ValueError, "damaged or another version"),
        (lambda f: change(f / "config.yaml", kind="lm"), ValueError, "kind 'lm', not 'codec'"),
        (lambda f: change(f / "config.yaml", kind=None), ValueError, "kind None"),
        (lambda f: change(f / "config.yaml", sha256=None), ValueError, "names no sha256"),
        (lambda f: change(f / "config.yaml", sha256=["x"]), ValueError, "names no sha256"),
        (lambda f: (f / "config.yaml").write_text(""), ValueError, "config.yaml"),
        (lambda f: (f / "config.yaml").write_text("- 1"), ValueError, "config.yaml"),
        (lambda f: (f / "config.yaml").write_text("a: [1"), ValueError, "config.yaml"),
        (lambda f: change(f / "config.yaml", sizes={"dim": 8}), ValueError, "sizes"),
        (lambda f: change(f / "config.yaml", sizes={"dimm": 8}), ValueError, "sizes"),
    ],
)
def test_a_damaged_model_is_one_clear_error(models, damage, error, words):
    from soundspring.codec.api import load

    damage(models / "codec")
    with pytest.raises(error, match=words):
        load(models / "codec")


@pytest.mark.parametrize("sizes", [{"dim": 8}, {"nonsense": 1}, None])
def test_a_language_model_of_other_sizes_is_one_clear_error(models, sizes):
    from soundspring.lm.load import load

    change(models / "lm/config.yaml", sizes=sizes)
    with pytest.raises(ValueError, match="sizes"):
        load(models / "lm", models / "codec")


def test_weights_that_are_no_safetensors_are_refused(models):
    from soundspring.codec.api import load

    (models / "codec/weights.safetensors").write_bytes(b"not tensors at all")
    digest = weights.sha256(models / "codec/weights.safetensors")
    change(models / "codec/config.yaml", sha256={"weights.safetensors": digest})
    with pytest.raises(ValueError, match="weights.safetensors"):
        load(models / "codec")


def test_the_doctor_survives_a_broken_configuration(models):
    (models / "codec/config.yaml").write_text("a: [1")
    assert weights.faults(models / "codec") and "config.yaml" in weights.faults(models / "codec")[0]


@pytest.mark.parametrize("name", ["../codec/weights.safetensors", "/etc/passwd", "", 3])
def test_weights_lie_in_their_own_folder(models, name):
    change(models / "codec/config.yaml", sha256={name: "0" * 64})
    with pytest.raises(ValueError, match="no file's"):
        weights.load(models / "codec", "codec")


@pytest.mark.parametrize(("name", "value"), [("latent", 10**12), ("latent", -1), ("dim", "16"), ("dim", True),
                                             ("power", float("nan")), ("bands", [10**9])])
def test_absurd_sizes_are_refused_before_memory_is_asked_for(models, name, value):
    from soundspring.codec.api import load

    sizes = yaml.safe_load((models / "codec/config.yaml").read_text())["sizes"]
    change(models / "codec/config.yaml", sizes=sizes | {name: value})
    with pytest.raises(ValueError, match=name):
        load(models / "codec")


def test_eight_bits_without_their_scale(tmp_path):
    weights.save(tmp_path / "m", "codec", {}, {"books.int8": torch.zeros(2, 2, dtype=torch.int8)})
    with pytest.raises(ValueError, match="books.scale"):
        weights.load(tmp_path / "m", "codec")


def test_a_pickle_is_no_model(models):
    """Not even under the right name and with the right checksum."""
    torch.save({"a": torch.zeros(3)}, models / "codec/weights.safetensors")
    change(models / "codec/config.yaml", sha256={
        "weights.safetensors": weights.sha256(models / "codec/weights.safetensors")})
    with pytest.raises(ValueError, match="no tensors"):
        weights.load(models / "codec", "codec")
