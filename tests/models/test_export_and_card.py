# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints become model folders that load, and cards say what was measured with the very weights they describe."""

import json

import numpy as np
import pytest
import torch
from soundspring import weights

COPYRIGHT = """Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2003-2010, A. Speaker <a@example.org>
License: CC-BY-SA-3.0

Files: fr-* other
Copyright: 2006, B. Speaker
           2007, C. Speaker
License: CC-BY-3.0
 with its text
"""


@pytest.fixture
def exported(train, tiny_models_dir, tmp_path):
    """Tiny checkpoints, exported; (models folder, their state dictionaries, tokens)."""
    export = train("export")
    old, config = weights.load(tiny_models_dir / "codec", "codec")
    lm, lm_config = weights.load(tiny_models_dir / "lm", "lm")
    lm.pop("histogram")
    tokens = np.random.default_rng(0).integers(0, 1024, (300, 24)).astype(np.int16)
    np.savez(tmp_path / "tokens_train.npz", tokens=tokens)
    more = {"step": 7, "seconds": 90.0}
    codec = {"codec": {k: v.float() for k, v in old.items()}, "config": config["sizes"]}
    torch.save(codec | more, tmp_path / "codec.pt")
    model = {"model": {k: v.float() for k, v in lm.items()}, "config": lm_config["sizes"]}
    torch.save(model | more, tmp_path / "lm.pt")
    folder = tmp_path / "models"
    for kind in ("codec", "lm"):
        export.main([kind, "--checkpoint", str(tmp_path / f"{kind}.pt"), "--models", str(folder), "--tokens",
                     str(tmp_path), "--seed", "5", "--hardware", "an abacus"])
    return folder, old, lm, tokens


def test_exported_models_load_and_belong_together(exported):
    from soundspring.codec import api
    from soundspring.lm.load import load

    folder, old, lm, tokens = exported
    codec, model = api.load(folder / "codec"), load(folder / "lm", folder / "codec")
    books = old["quantizer.codebooks"].float()
    error = codec.state_dict()["quantizer.codebooks"] - books
    assert error.pow(2).mean() < 1e-4 * books.pow(2).mean()  # eight bits an entry
    torch.testing.assert_close(model.model.state_dict()["inputs.weight"], lm["inputs.weight"].float())
    assert model.histogram.sum() == tokens.size and model.histogram[3, tokens[0, 3]] >= 1
    config = weights.load(folder / "codec", "codec")[1]
    assert config["training"] == {"minutes": 1.5, "steps": 7, "seed": 5, "hardware": "an abacus", "recipe": "full"}


def test_weights_that_half_precision_cannot_hold_are_refused(train):
    with pytest.raises(ValueError, match="spread"):
        train("export").check_half({"fine": torch.ones(2), "spread": torch.tensor(1e6)})


def test_a_codec_that_has_not_learned_its_codebooks_is_refused(train, tmp_path):
    from soundspring.codec.model import Codec

    with pytest.raises(ValueError, match="warm-steps"):
        train("export").export_codec({"codec": Codec().state_dict(), "config": {}}, tmp_path, {})


def test_licences_come_from_the_right_stanza(train):
    sources = train("sources")
    assert sources.licence("festvox-ru", COPYRIGHT) == ("CC-BY-SA-3.0", "2003-2010, A. Speaker")
    french = sources.licence("asterisk-core-sounds-fr-g722", COPYRIGHT)
    assert french == ("CC-BY-3.0", "2006, B. Speaker; 2007, C. Speaker")
    plain = "Upstream Authors:\n    D. Actor (d@example.org)\n\nsee /usr/share/common-licenses/GPL-2'.\n"
    assert sources.licence("fillets-ng-data-nl", plain) == ("GPL-2", "D. Actor")


def test_every_voice_has_its_package(train):
    corpus, sources = train("corpus"), train("sources")
    for voice in corpus.TEST | corpus.VALID | {"festvox-ru", "gcin", "klettres-pt_BR", "fillets-cs-m"}:
        assert sources.package_of(voice) in corpus.PACKAGES


def mean(value, ci95=0.1):
    return {"mean": value, "ci95": ci95, "n": 3}


def quality_figures(models):
    scores = {"pesq_wb": mean(2.5), "stoi": mean(0.9), "plcmos": mean(3.5), "si_sdr_db": mean(5.0)}
    bad = scores | {"stoi": mean(0.7, None)}
    layers = {k: {"kbps": k / 2, **scores, "perplexity": list(range(400, 400 + k)), "frames": 900,
                  "voices": {"alice": scores, "bob": bad}} for k in (6, 12, 24)}
    sha = {m: weights.sha256(models / m / "weights.safetensors") for m in ("codec", "lm")}
    speech = {"seconds": 18.0, "utterances": 4, "seconds_per_voice": {"alice": 9.0, "bob": 9.0}}
    return {"about": {"weights_sha256": sha, "speech": speech, "seed": 0}, "layers": layers,
            "original": {"plcmos": scores["plcmos"]}, "conditions_at_6_kbps": {"white noise": scores}}


@pytest.fixture
def work(tmp_path):
    """A corpus of three voices, without its packages."""
    for split, voice in (("train", "festvox-ru"), ("valid", "asterisk-fr"), ("test", "asterisk-en")):
        (tmp_path / f"{split}.json").write_text(json.dumps([[voice, "x.wav", 0, 16000 * 90]]))
    return tmp_path


def test_cards_hold_what_was_measured(train, exported, work, tmp_path):
    models, figures = exported[0], tmp_path / "figures"
    figures.mkdir()
    (figures / "quality.json").write_text(json.dumps(quality_figures(models)))
    train("card").main(["--models", str(models), "--figures", str(figures), "--corpus", str(work)])
    codec, lm = ((models / m / "CARD.md").read_text() for m in ("codec", "lm"))
    assert weights.sha256(models / "codec" / "weights.safetensors") in codec
    assert "| 6 | 12 | 2.50 ± 0.10 | 0.900 ± 0.100 | 3.50 ± 0.10 | 5.00 ± 0.10 |" in codec
    assert "layer to the last, counted over" in codec and ": 400, 401, 402," in codec
    assert "worst voice of the test at 6 kbps is bob" in codec and "an abacus, 7 steps, seed 5" in codec
    assert "| `festvox-ru` ? | 1.5 | 0.0 | 0.0 |" in codec and "test asterisk-en" in codec
    assert "Not measured with these weights." in lm and "Not measured" not in codec


def test_the_card_shows_opus_beside_us_under_the_same_losses(train):
    card = train("card")
    ours, theirs = ({m: mean(v) for m in ("pesq_wb", "stoi", "plcmos", "si_sdr_db")} for v in (2.5, 2.0))
    lossy = {"decodable_fraction": 0.9, "methods": {"model": ours, "mute": theirs},
             "systems": {"soundspring": {"kbps": 9.21} | ours, "opus 18 FEC": {"kbps": 18.0} | theirs},
             "ours_minus": {"opus 18 FEC": {m: mean(0.5) for m in ours}},
             "model_minus_peer": {"mute": {m: mean(0.05) for m in ours}}}
    setting = {"profile": "packet20", "policy": "layered", "window": 1, "lookahead": 0, "copies": 1, "layers": 12,
               "wait_ms": 20.0}
    speech = {"seconds": 18.0, "utterances": 4, "seconds_per_voice": {"alice": 18.0}}
    figures = {"about": {"speech": speech, "seed": 0, "opus": "libopus 1.6.1", "concealers_seconds": 9.0},
               "cases": {"datagrams": {"setting": setting, "losses": {"10 %": lossy}}}}
    text = card.loss(figures)
    assert "| 10 % | soundspring | 9.2 | 90.0 % | 2.50 ± 0.10 |" in text
    assert "| 10 % | opus 18 FEC | 18.0 |  | 2.00" in text
    assert "window 1, look-ahead 0, copies 1; a receiver waits 20 ms" in text and "| 10 % | mute | 2.00" in text
    weak = card.weak_spots(figures)
    assert "datagrams, 10 %: not better than `mute` in PESQ-WB (0.05 ± 0.10)" in weak and "opus 18" not in weak
    assert card.loss(None).endswith(card.MISSING)


def test_the_card_shows_the_analog_scheme_beside_the_digital_one(train):
    card, both = train("card"), {m: mean(2.0) for m in ("pesq_wb", "stoi", "plcmos")}
    speech = {"seconds": 18.0, "utterances": 4, "seconds_per_voice": {"alice": 18.0}}
    point = {"jscc": {"snr_db": -5, "pesq_wb": mean(1.5), "stoi": mean(0.8), "plcmos": mean(None)},
             "soundspring": both | {"packet_loss": 0.97}}
    figures = {"about": {"speech": speech, "seed": 0, "profile": "reference", "doppler_hz": 10.0, "symbols": 816,
                         "burst_samples": 2800},
               "real_time_factor": {"encoder": 0.01, "decoder": 0.02}, "channels": {"awgn": [point]}}
    text = card.against_digital(figures)
    assert "| awgn | -5 | 1.50 ± 0.10 | 0.800 ± 0.100 | - | 2.00 ± 0.10 |" in text and "| 97 % |" in text
    assert "2800 samples" in text and "816 analog symbols" in text and "encoder 0.010, decoder 0.020" in text
    assert card.against_digital(None).endswith(card.MISSING)


def test_figures_of_other_weights_are_refused(train, exported, work, tmp_path):
    models, figures = exported[0], quality_figures(exported[0])
    figures["about"]["weights_sha256"]["codec"] = "0" * 64
    (tmp_path / "quality.json").write_text(json.dumps(figures))
    with pytest.raises(ValueError, match="quality.json.*codec"):
        train("card").main(["--models", str(models), "--figures", str(tmp_path), "--corpus", str(work)])
