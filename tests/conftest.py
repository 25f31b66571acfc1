# SPDX-License-Identifier: GPL-3.0-or-later
"""Tiny seeded models, made in a second, for every test that asks about mechanism and not about quality."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pytest


def write_tiny_models(folder):
    """models/codec, lm and jscc of the real structure, few random parameters each; jscc begins linear and so works."""
    import torch
    from soundspring import weights
    from soundspring.codec.model import Codec, CodecConfig
    from soundspring.lm.model import LmConfig, MaskedLm

    torch.manual_seed(7)
    codec = Codec(CodecConfig(latent=16, dim=16, hidden=32, encoder_blocks=2, decoder_blocks=2))
    shrink = 0.9 ** torch.arange(24.0)[:, None, None]
    codec.quantizer.codebooks.copy_(torch.randn(24, 1024, 16) * 0.5 * shrink)
    weights.save(folder / "codec", "codec", codec.to_dict(), codec.state_dict())
    config = weights.load(folder / "codec", "codec")[1]
    books = weights.load(folder / "codec", "codec")[0]["quantizer.codebooks"].float()
    lm = MaskedLm(LmConfig(latent=16, dim=32, blocks=2, heads=2, hidden=64, head_hidden=32, learned=3), books)
    histogram = torch.randint(1, 100, (24, 1024))
    weights.save(
        folder / "lm",
        "lm",
        lm.to_dict(),
        lm.state_dict() | {"histogram": histogram},
        codec_sha256=weights.identity(config),
    )
    jscc = tiny_jscc()
    weights.save(folder / "jscc", "jscc", jscc.to_dict(), jscc.state_dict())


def tiny_jscc():
    """The analog scheme before training: its linear part sends each coefficient in the bursts of `reference`."""
    import torch
    from soundspring.jscc.model import Jscc, JsccConfig

    torch.manual_seed(7)
    model = Jscc(JsccConfig(dim=16, hidden=32, encoder_blocks=1, decoder_blocks=2))
    model.begin_linear(torch.randn(2, 16000).cumsum(1) * 0.002)  # spectrum falls by 6 dB an octave
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="session")
def tiny_models_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    write_tiny_models(folder)
    return folder


@pytest.fixture
def tiny_models(tiny_models_dir, monkeypatch):
    """Models of random weights: right shapes, right mechanism, no quality."""
    import torch
    from soundspring.link import Models

    torch.set_num_threads(1)
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tiny_models_dir))
    return Models()


@pytest.fixture
def speech_like():
    """1.33 s of a harmonic, amplitude-modulated signal with pauses, float32 at 16 kHz; not a whole number of frames."""
    t = np.arange(21333) / 16000
    voice = sum(np.sin(2 * np.pi * 140 * h * t + h) / h for h in range(1, 12))
    envelope = np.clip(np.sin(2 * np.pi * 2.3 * t), 0, 1)
    noise = np.random.default_rng(3).standard_normal(len(t)) * 0.01
    return (0.2 * voice * envelope + noise).astype(np.float32)


@pytest.fixture
def voice():
    """Two seconds of a voice-like sound whose pitch and loudness move."""
    t = np.arange(32000) / 16000
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 1.3 * t)) / 16000
    sound = sum(np.sin(h * pitch) / h for h in range(1, 20)) * (1 + np.sin(2 * np.pi * 4 * t))
    return (0.05 * sound).astype(np.float32)
