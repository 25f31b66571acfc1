# SPDX-License-Identifier: GPL-3.0-or-later
"""The one command that trains: from a recording to cards, through a kill, no stage twice."""

import json
import re

import numpy as np
import pytest
import torch
import yaml
from soundspring import weights

STAGES = ["train_codec", "refit_codebooks", "tokenise", "train_lm", "tokenise", "train_lm", "train_decoder",
          "export", "export", "train_jscc", "export", "quality"]


def test_a_kill_ends_all_processes_and_keeps_what_was_learned(trained):
    assert (trained.killed, trained.free) == (143, True), (trained.work / "log").read_text()
    assert trained.history and trained.history[-1]["step"] > 0


def test_training_goes_on_where_it_was_killed(train, trained):
    """The rows of before the kill stand first in the history, the steps of both runs are those of the recipe."""
    rows = train("progress").read_history(trained.work / "runs/codec")
    assert rows[: len(trained.history)] == trained.history and len(rows) > len(trained.history)
    assert all(a["step"] < b["step"] and a["minutes"] < b["minutes"] for a, b in zip(rows, rows[1:], strict=False))
    assert rows[-1]["step"] == 60


def test_every_stage_once(train, trained, monkeypatch):
    assert trained.calls == [*STAGES, "card"]  # the corpus was there before the kill
    calls, run = [], train("run")
    monkeypatch.setattr(run, "call", lambda script, *more: calls.append(script.stem))
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    monkeypatch.setenv("SOUNDSPRING_MODELS", "")
    run.main(trained.arguments)
    assert calls == ["card"]


def test_the_tiny_models_carry_speech(trained):
    """Codec and language model belong together, fit in tests, and the codec learned something of this voice."""
    from soundspring.codec import api
    from soundspring.lm.load import load

    models = trained.work / "models"
    codec, lm = api.load(models / "codec"), load(models / "lm", models / "codec")
    assert sum(p.numel() for p in [*codec.parameters(), *lm.model.parameters()]) < 1e6
    tokens = np.load(trained.work / "tokens/tokens_train.npz")["tokens"]
    assert lm.histogram.sum() == tokens.size


def test_the_codec_learned_something(train, trained):
    """Speech of the validation comes nearer to itself through twelve layers than through an untrained codec.

    Measured: untrained 1.18 to 1.21 over five seeds, silence 2.22, this one 1.08 after its 70 steps.
    """
    from soundspring.codec.model import Codec

    train_codec, corpus = train("train_codec"), train("data").Corpus(trained.work, "valid")
    learned = train("checkpoints").load_codec(trained.work / "runs/decoder/checkpoint.pt")
    torch.manual_seed(1)
    x = train_codec.stack(learned, corpus.utterances(np.random.default_rng(0), 1.5, 1))
    before = train_codec.renditions(Codec(learned.config).eval(), x)[0]["unquantised"]
    after = train_codec.renditions(learned, x)[0][12]
    far, near = (float(sum(train_codec.ReconstructionLoss()(x[:, : y.shape[1]], y).values())) for y in (before, after))
    assert near < 0.95 * far


def test_cards_say_what_it_is_and_how_it_went(trained):
    codec, lm, jscc = ((trained.work / "models" / m / "CARD.md").read_text() for m in ("codec", "lm", "jscc"))
    for card in (codec, lm, jscc):
        assert "> A toy" in card and "Not for use" in card and "as training went on" in card
    assert "examples/speech.wav" in codec and "at other moments" in codec and "Then its decoder alone" in codec
    digest = weights.sha256(trained.work / "models/codec/weights.safetensors")
    assert digest in codec and "| 12 | 24 |" in codec and "Not measured" in lm
    assert "| minutes | steps | PESQ-WB, -5 dB |" in jscc and "Not measured" in jscc


@pytest.mark.parametrize("kind", ["codec", "lm", "lm_chosen", "decoder", "jscc"])
def test_progress_can_be_seen_and_heard(trained, kind):
    from soundspring.audio.io import read

    folder = trained.work / "runs" / kind / "progress"
    page = (folder / "index.html").read_text()
    sounds = sorted(folder.glob("*.wav"))
    assert len(sounds) >= 2 and page.count("<audio") == len(sounds)
    # With the colon, which base64 has not: sounds of a megabyte spell anything else sooner or later.
    assert not re.search("https?:", page.split("</style>")[1])
    assert all(1 < len(read(file)[0]) / 16000 < 2 for file in sounds)
    for picture in ("curves.png", "spectrograms.png"):
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")


def test_two_trainers_do_not_share_a_folder(train, trained):
    train_codec = train("train_codec")
    arguments = ["--corpus", str(trained.work), "--run", str(trained.work / "locked"), "--minutes", "0",
                 "--eval-seconds", "1.5", "--sizes", '{"latent": 8, "dim": 8, "hidden": 8}']
    parsed = train_codec.parser().parse_args(arguments)
    first = train_codec.Trainer(parsed)
    with pytest.raises(RuntimeError, match="another process is training"):
        train_codec.Trainer(parsed)
    first.lock.close()


def test_a_language_model_may_start_from_an_earlier_one(train, trained):
    runs, train_lm = trained.work / "runs", train("train_lm")
    sizes = json.dumps(yaml.safe_load((trained.work / "recipe.yaml").read_text())["train_lm"]["sizes"])
    arguments = ["--tokens", str(trained.work / "tokens"), "--codec", str(runs / "codec/refitted.pt"), "--sizes", sizes,
                 "--run", str(trained.work / "started"), "--minutes", "0", "--start", str(runs / "lm/checkpoint.pt")]
    started = train_lm.Trainer(train_lm.parser().parse_args(arguments))
    old = torch.load(runs / "lm/checkpoint.pt", weights_only=True)["model"]
    new = started.model.state_dict()
    assert torch.equal(new["blocks.0.up.weight"], old["blocks.0.up.weight"]) and torch.equal(new["base"], old["base"])
    assert not torch.equal(new["bias"], old["bias"])  # that is the histogram of the tokens at hand
    started.lock.close()


def test_training_goes_on_from_released_models(train, trained, tmp_path):
    """Its first step moves the codebooks a little, neither noise nor k-means takes their place, and its past counts."""
    models, train_codec = trained.work / "models", train("train_codec")
    arguments = ["--corpus", str(trained.work), "--run", str(tmp_path), "--minutes", "0", "--eval-seconds", "1.5",
                 "--batch", "2", "--segment", "1", "--start", str(models / "codec")]
    started = train_codec.Trainer(train_codec.parser().parse_args(arguments))
    before = started.codec.quantizer.codebooks.clone()
    started.prepare(started.rate(60))
    assert all(np.isfinite(v) for v in started.one_step().values())
    moved = (started.codec.quantizer.codebooks - before).norm() / before.norm()
    assert 0 < moved < 0.1
    past = yaml.safe_load((models / "codec/config.yaml").read_text())["training"]
    assert train("checkpoints").spent(started.state() | {"step": 1, "seconds": 0.0})["step"] == past["steps"] + 1
    started.lock.close()


def test_models_without_time_for_the_analog_scheme_keep_theirs(train, trained, tmp_path, monkeypatch):
    """Each stage that learns begins with the released model of its kind; the analog scheme is taken over."""
    run, calls = train("run"), {}
    recipe = yaml.safe_load((trained.work / "recipe.yaml").read_text()) 
    recipe |= {"train_jscc": {"minutes": 0}, "benchmarks": {}}
    (tmp_path / "more.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setattr(run, "call", lambda script, words, *_: calls.setdefault(script.stem, words))
    monkeypatch.setattr(run.signal, "signal", lambda *_: None)
    monkeypatch.setenv("SOUNDSPRING_MODELS", "")
    arguments = ["--recipe", str(tmp_path / "more.yaml"), "--device", "cpu", "--work", str(tmp_path), "--start"]
    run.main([*arguments, str(trained.work / "models")])
    for stage, kind in (("train_codec", "codec"), ("train_lm", "lm")):
        assert calls[stage][calls[stage].index("--start") + 1] == str(trained.work / "models" / kind)
    assert "train_jscc" not in calls and not weights.faults(tmp_path / "models/jscc")
    with pytest.raises(SystemExit):
        run.main([*arguments, str(tmp_path / "models")])


def test_checkpoints_replace_each_other_whole(train, trained):
    runs = trained.work / "runs"
    assert not list(runs.rglob("*.tmp")) and not list((trained.work / "figures").glob("*.part"))
    codec, refitted = (torch.load(runs / "codec" / f"{n}.pt", weights_only=True) for n in ("checkpoint", "refitted"))
    assert refitted["step"] == codec["step"] and not codec["codec"]["quantizer.bonus"].any()
    assert refitted["codec"]["quantizer.bonus"].any()


def test_a_recipe_names_all_stages_and_no_others(train, tmp_path):
    run = train("run")
    assert set(run.read_recipe("full")) == set(run.read_recipe("tiny")) == set(run.read_recipe("further"))
    (tmp_path / "odd.yaml").write_text("train_codec: {minutes: 1}\ntrain_codex: {}\n")
    with pytest.raises(ValueError, match="train_codex"):
        run.read_recipe(str(tmp_path / "odd.yaml"))
    with pytest.raises(ValueError, match="full, further, tiny"):
        run.read_recipe("huge")


def test_options_become_arguments(train):
    options = {"eval_minutes": 8, "quick": True, "full": False, "sizes": {"dim": 4}, "tokens": ["a", "b"]}
    words = ["--eval-minutes", "8", "--quick", "--sizes", '{"dim": 4}', "--tokens", "a", "b"]
    assert train("run").command(options) == words


def test_no_more_processes_than_gpus(train, tmp_path, capsys):
    with pytest.raises(SystemExit):
        train("run").main(["--work", str(tmp_path), "--device", "cuda", "--processes", "99"])
    assert "--processes" in capsys.readouterr().err
