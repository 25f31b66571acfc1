# SPDX-License-Identifier: GPL-3.0-or-later
"""Training of the analog scheme: its model of the air is that of the modem, and it learns, resumes and exports."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from soundspring import analog
from soundspring.analog import AnalogLink, AnalogModel
from soundspring.channel.factory import make_channel

EXAMPLE = Path(__file__).parents[2] / "examples" / "speech.wav"
TINY = {"dim": 16, "hidden": 32, "encoder_blocks": 1, "decoder_blocks": 1}


@pytest.fixture
def corpus(tmp_path):
    audio = (soundfile.read(EXAMPLE)[0] * 32767).astype(np.int16)
    for split in ("train", "valid"):
        np.save(tmp_path / f"{split}.npy", audio)
        (tmp_path / f"{split}.json").write_text(json.dumps([["voice", "speech", 0, len(audio)]]))
    return tmp_path


def options(corpus, steps):
    return ["--corpus", str(corpus), "--run", str(corpus / "run"), "--minutes", "5", "--steps", str(steps),
            "--eval-steps", "1000", "--batch", "2", "--segment", "0.8", "--eval-seconds", "2", "--eval-each", "1",
            "--lr", "2e-3", "--rise-steps", "5", "--sizes", json.dumps(TINY)]  # fmt: skip


def test_gains_have_unit_power_and_are_like_fading(train):
    air, rng = train("equalised"), np.random.default_rng(0)
    gains = [air.responses(rng, 30) for _ in range(600)]
    assert np.mean(gains) == pytest.approx(1.0, abs=0.06)
    assert 0.3 < np.mean([(g == 1).all() for g in gains]) < 0.5
    rayleigh = np.abs(air.gains(rng, 20000, 1, 0.0)) ** 2
    assert np.mean(rayleigh < 0.1) == pytest.approx(1 - np.exp(-0.1), abs=0.01)  # of an exponential distribution


def test_the_model_of_the_air_is_that_of_the_modem(train, tiny_models):
    """Noise as the modem states it in white noise, and bursts of which nothing comes at the same SNR."""
    air, link = train("equalised"), AnalogLink("reference", AnalogModel())
    rng = np.random.default_rng(1)
    sent = (rng.standard_normal((12, 1008, 2)) @ (1, 1j) / np.sqrt(2)).astype(np.complex64)
    samples = analog.modulate(link, sent).reshape(12, -1)[:, :12000].ravel()

    def received(snr):
        channel = make_channel("awgn", rate=2e6, snr_db=snr, oversampling=2, seed=2)
        return analog.demodulate(link, channel.process(samples))

    for snr in (-6.0, 8.0, 22.0):
        found = received(snr)
        assert len(found) >= 11
        stated = np.mean([b.noise_var.mean() for _, b in found])
        assert 10 * np.log10(stated * 10 ** (snr / 10) / (1 + air.ESTIMATE)) == pytest.approx(0, abs=0.5)
    assert len(received(air.HEADER_DB - 2.5)) < 6 < len(received(air.HEADER_DB + 2.0))
    noise = air.noise_variances(rng, 400, 4, 1008, (10.0, 10.0))
    assert noise.shape == (400, 4, 1008) and noise.dtype == np.float32
    steady = noise[(noise == noise[:, :1, :1]).all(axis=(1, 2))]
    assert 100 < len(steady) < 220 and steady[0, 0, 0] == pytest.approx(0.105, rel=1e-3)
    assert 0.01 < np.isinf(noise).all(axis=2).mean() < 0.12


def test_lost_symbols_are_zero_and_others_have_their_noise(train):
    torch.manual_seed(0)
    noise_var = torch.full((2, 3, 5000), 0.25)
    noise_var[1, 1] = torch.inf
    sent = torch.ones(2, 3, 5000, dtype=torch.complex64)
    received = train("train_jscc").through(sent, noise_var, torch.tensor([0.0, 0.75])[:, None, None])
    assert not received[1, 1].any()
    assert float((received - sent)[0].abs().pow(2).mean()) == pytest.approx(0.25, rel=0.05)
    assert float((received - sent)[1, 0].abs().pow(2).mean()) == pytest.approx(1.0, rel=0.05)


def test_it_learns_resumes_and_exports(train, corpus, monkeypatch):
    from soundspring.jscc import Receiver, Transmitter, load

    trainer = train("train_jscc")
    monkeypatch.setattr(trainer, "SNRS", (5, 25))
    monkeypatch.setattr(trainer, "LISTEN", (25,))
    trainer.main(options(corpus, 12))
    first = torch.load(corpus / "run/checkpoint.pt", weights_only=True)
    trainer.main(options(corpus, 20))
    saved = torch.load(corpus / "run/checkpoint.pt", weights_only=True)
    assert (first["step"], saved["step"]) == (12, 20)
    moved = [n for n, p in saved["model"].items() if not torch.equal(p, first["model"][n])]
    assert len(moved) > 0.9 * len(saved["model"])
    history = [json.loads(line) for line in (corpus / "run/history.jsonl").read_text().splitlines()]
    curves = history[-1]["curves"]["PESQ-WB"]
    assert history[-1]["step"] == 20 and curves["25 dB"] > curves["5 dB"] + 0.3
    train("export").main(["jscc", "--checkpoint", str(corpus / "run/checkpoint.pt"), "--models", str(corpus)])
    model = load(corpus / "jscc")
    assert model.config.dim == 16
    exported = dict(model.named_parameters())
    assert all(torch.allclose(exported[n], p, atol=2e-3) for n, p in saved["mean"].items() if n in exported)
    symbols = Transmitter(model).push(np.zeros(3200, np.float32))
    assert Receiver(model).push(symbols, np.full((2, 1008), 0.1, np.float32)).shape == (3200,)


def test_the_mean_of_the_weights_follows_them(train, corpus):
    trainer = train("train_jscc")
    args = trainer.arguments().parse_args(options(corpus, 3))
    one = trainer.Trainer(args)
    before = [p.clone() for p in one.model.parameters()]
    one.one_step()
    for mean, old, new in zip(one.mean.parameters(), before, one.model.parameters(), strict=True):
        assert torch.allclose(mean, old + (new - old) * (1 - 2 / 11), atol=1e-6)
    one.lock.close()
