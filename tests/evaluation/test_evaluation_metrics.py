# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics: right order, right scale, None where they mean nothing, no crash on awkward input."""

import importlib.util
import logging

import numpy as np
import pytest
from soundspring.evaluation import align, confidence95, metrics, pesq_wb, plcmos, score, si_sdr, stoi

RATE = 16_000


def needs(*modules):
    missing = [m for m in modules if importlib.util.find_spec(m) is None]
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not installed")


def speechlike(seconds: float, seed: int = 0) -> np.ndarray:
    """Harmonics of a gliding pitch under moving formants, in syllables with pauses; enough for PESQ and STOI."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 0.7 * t)) / RATE
    formant = 900 + 500 * np.sin(2 * np.pi * 1.7 * t)
    voice = sum(np.cos(k * phase) * np.exp(-(((k * 120 - formant) / 900) ** 2)) for k in range(1, 40))
    syllables = np.clip(np.sin(2 * np.pi * 2.5 * t), 0, 1) * (t % 3 < 2.4)
    x = syllables * (voice + 0.3 * rng.standard_normal(t.size))
    return (0.3 * x / np.max(np.abs(x))).astype(np.float32)


def noisy(x: np.ndarray, level: float) -> np.ndarray:
    return (x + level * np.random.default_rng(9).standard_normal(x.size)).astype(np.float32)


@needs("pesq")
def test_pesq_orders_and_tops():
    x = speechlike(6)
    values = [pesq_wb(x, noisy(x, level)) for level in (1e-5, 0.003, 0.03)]
    assert 4.6 < pesq_wb(x, x) <= 4.65
    assert values[0] > values[1] > values[2] >= 1.02


@needs("pesq")
def test_pesq_survives_hundreds_of_utterances():
    """The P.862 code aborts the process on this unless it is cut into pieces."""
    t = np.arange(60 * RATE) / RATE
    x = (0.1 * np.random.default_rng(1).standard_normal(t.size) * (t % 0.42 < 0.21)).astype(np.float32)
    assert 1.0 < pesq_wb(x, noisy(x, 0.001)) < 4.65


@needs("pesq")
def test_a_lost_piece_counts_as_bad_and_a_pause_does_not():
    x = speechlike(32)
    lost = np.where(np.arange(x.size) < 16 * RATE, x, 0).astype(np.float32)
    assert pesq_wb(x, lost) == pytest.approx((pesq_wb(x[: 16 * RATE], x[: 16 * RATE]) + 1.04) / 2, abs=0.02)
    assert pesq_wb(lost, lost) > 4.6


@needs("pystoi")
def test_stoi_orders_and_tops():
    x = speechlike(4)
    assert stoi(x, x) == pytest.approx(1.0, abs=1e-4)
    assert 1 > stoi(x, noisy(x, 0.01)) > stoi(x, noisy(x, 0.3)) > 0


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
def test_si_sdr_is_the_ratio_and_ignores_scale(snr_db):
    rng = np.random.default_rng(0)
    x, n = rng.standard_normal((2, RATE))
    x, n = x - x.mean(), n - n.mean()
    n -= (n @ x) / (x @ x) * x
    n *= np.sqrt((x @ x) / (n @ n)) * 10 ** (-snr_db / 20)
    assert si_sdr(x, 0.37 * (x + n)) == pytest.approx(snr_db, abs=1e-6)
    assert si_sdr(x, -2 * x + 0.1) == 100.0


@needs("speechmos", "onnxruntime")
def test_plcmos_repeats_and_leaves_the_random_state_alone():
    x = speechlike(2)
    np.random.seed(5)  # noqa: NPY002 - the global state is what this test is about
    expected = np.random.random()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    first = plcmos(x)
    assert np.random.random() == expected  # noqa: NPY002
    assert 1.0 <= first <= 5.0 and plcmos(x) == first
    assert plcmos(noisy(x, 0.1)) != first


def test_score_has_all_keys_and_fits_the_length():
    x = speechlike(2)
    full, cut = score(x, x), score(x, x[: RATE + RATE // 2])
    assert set(full) == {"pesq_wb", "stoi", "si_sdr_db", "plcmos"}
    assert full["si_sdr_db"] == 100.0
    assert cut["si_sdr_db"] == pytest.approx(10 * np.log10(np.sum(x[:24000] ** 2) / np.sum(x[24000:] ** 2)), abs=0.1)
    assert score(x, np.concatenate([x, x])) == full


@pytest.mark.parametrize(
    ("reference", "decoded", "reason"),
    [
        (np.zeros(RATE), np.ones(RATE), "silent"),
        (np.ones(RATE), np.zeros(RATE), "silent"),
        (np.ones(100), np.ones(100), "too short"),
        (np.ones(0), np.ones(0), "too short"),
        (np.ones(RATE), np.full(RATE, np.nan), "NaN"),
    ],
)
def test_what_cannot_be_measured_is_none_and_said(reference, decoded, reason, caplog):
    with caplog.at_level(logging.WARNING):
        assert pesq_wb(reference, decoded) is None
        assert stoi(reference, decoded) is None
        assert si_sdr(reference, decoded) is None
    assert reason in caplog.text
    assert all(v is None for k, v in score(reference, decoded).items() if k != "plcmos")


@needs("speechmos", "onnxruntime")
@pytest.mark.parametrize("decoded", [np.zeros(RATE), np.ones(10)])
def test_plcmos_of_nothing_is_none(decoded):
    assert plcmos(decoded) is None


@needs("pystoi")
def test_stoi_of_too_little_speech_is_none(caplog):
    x = np.zeros(RATE, np.float32)
    x[:1500] = noisy(x, 0.3)[:1500]
    with caplog.at_level(logging.WARNING):
        assert stoi(x, x) is None
    assert "STOI" in caplog.text


def test_a_missing_package_gives_none(monkeypatch, caplog):
    metrics._optional.cache_clear()
    monkeypatch.setattr(metrics.importlib, "import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    x = speechlike(1)
    with caplog.at_level(logging.WARNING):
        values = score(x, x)
        score(x, x)
    metrics._optional.cache_clear()
    assert values["pesq_wb"] is values["stoi"] is values["plcmos"] is None and values["si_sdr_db"] == 100.0
    assert caplog.text.count("PLCMOS not measured") == 1


@pytest.mark.parametrize("delay", [-250, 0, 104, 3000])
def test_align_finds_the_delay(delay):
    x = noisy(speechlike(2), 0.01)
    decoded = np.roll(x, delay)
    aligned, found = align(x, -0.5 * decoded)
    assert found == delay and aligned.size == x.size
    np.testing.assert_allclose(aligned[3000:-3000], -0.5 * x[3000:-3000], atol=1e-6)


def test_align_refuses_a_negative_range():
    with pytest.raises(ValueError, match="max_delay"):
        align(np.ones(10), np.ones(10), -1)


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="one length"):
        si_sdr(np.ones(RATE), np.ones(RATE + 1))


def test_confidence_interval():
    # Student's t: 97.5 % quantile with 4 degrees of freedom is 2.776.
    mean, half = confidence95([1.0, 2.0, 3.0, 4.0, 5.0, None])
    assert mean == 3.0 and half == pytest.approx(2.776 * np.sqrt(2.5 / 5), abs=1e-3)
    assert confidence95([2.0])[0] == 2.0 and np.isnan(confidence95([2.0])[1])
    assert np.isnan(confidence95([]) + confidence95([None])).all()


def test_confidence_interval_covers_the_mean_in_95_of_100_cases():
    rng = np.random.default_rng(2)
    intervals = [confidence95(rng.standard_normal(6)) for _ in range(2000)]
    assert np.mean([abs(m) <= h for m, h in intervals]) == pytest.approx(0.95, abs=0.015)


def test_visqol_falls_with_noise_and_gives_up_on_crumbs():
    pytest.importorskip("visqol")
    rng = np.random.default_rng(0)
    t = np.arange(32_000) / 16_000
    voice = sum(np.sin(2 * np.pi * 140 * h * t + h) / h for h in range(1, 12)) * (1.1 + np.sin(2 * np.pi * 3 * t)) * 0.1
    scores = [metrics.visqol(voice, voice + level * rng.standard_normal(len(t))) for level in (1e-4, 3e-3, 0.3)]
    assert 5 >= scores[0] > scores[1] > scores[2] >= 1
    assert metrics.visqol(0.01 * rng.standard_normal(8000), 0.01 * rng.standard_normal(8000)) is None
