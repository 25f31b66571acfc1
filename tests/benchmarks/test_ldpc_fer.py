# SPDX-License-Identifier: GPL-3.0-or-later
"""The yardsticks of the LDPC curves, and that the page of performance says what was recorded."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def load(monkeypatch):
    import importlib

    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    yield importlib.import_module
    for name in ("ldpc", "ldpc_fer", "performance"):
        sys.modules.pop(name, None)


def test_normal_approximation_of_long_codes_is_the_shannon_limit(load):
    """0.187 dB for binary input and rate 1/2, -0.495 dB for 1/3."""
    fer = load("ldpc_fer")
    assert fer.eb_n0_of(0.5, 5_000_000, 10_000_000) == pytest.approx(0.187, abs=0.02)
    assert fer.eb_n0_of(0.5, 4_000_000, 12_000_000) == pytest.approx(-0.495, abs=0.02)
    assert fer.normal_approximation(1.5, 512, 1024) < 1e-3 < fer.normal_approximation(0.8, 512, 1024)


def test_places_on_a_curve(load):
    fer = load("ldpc_fer")
    curve = [[1.0, 100, 100, 9], [1.5, 100, 10, 9], [2.0, 1000, 1, 9], [2.5, 1000, 0, 0]]
    assert fer.eb_n0_at(curve, 0.1) == pytest.approx(1.5)
    assert fer.eb_n0_at(curve, 0.01) == pytest.approx(1.75)
    assert fer.loss_db(curve, [1.25, 1000, 10]) == pytest.approx(0.5)
    assert fer.loss_db(curve, [1.25, 1000, 0]) is None


def test_page_of_performance_is_generated(load):
    pytest.importorskip("matplotlib")
    page = (ROOT / "docs" / "performance.md").read_text()
    assert page == load("performance").page(), "run benchmarks/performance.py"
