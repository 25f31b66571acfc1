# SPDX-License-Identifier: GPL-3.0-or-later
from decimal import Decimal, getcontext

import numpy as np
import pytest
from soundspring.coding import pmf


def test_table_is_the_rounded_exponential():
    getcontext().prec = 50
    for step in (0.125, 0.25, 0.5, 1.0):
        table = pmf._exp_table(step)
        exact = [(Decimal(-step) * i).exp() * 2**pmf.PEAK_BITS for i in range(len(table))]
        want = [max(1, int(x.to_integral_value(rounding="ROUND_HALF_UP"))) for x in exact]
        assert table.tolist() == want
        assert exact[-1] < Decimal("0.5") < exact[-2]  # reaches the floor, and no further


def test_frequencies_fit_the_range_coder():
    freqs = pmf.frequencies(pmf.quantise_logits(np.zeros((3, 1024))))
    assert freqs.dtype == np.int64 and (freqs == 1 << 20).all() and freqs.sum(axis=-1).max() <= 1 << 31
    peaked = np.full(1024, -1e9)
    peaked[7] = 50.0
    freqs = pmf.frequencies(pmf.quantise_logits(peaked))
    assert freqs[7] == 1 << 20 and freqs.min() == 1 and freqs.sum() == (1 << 20) + 1023


def test_adding_a_constant_on_the_grid_or_large_offsets_changes_nothing():
    logits = np.random.default_rng(1).normal(0, 3, (20, 1024))
    q = pmf.quantise_logits(logits)
    assert q.dtype == np.int32 and (q.max(axis=-1) == 0).all()
    np.testing.assert_array_equal(q, pmf.quantise_logits(logits + 1024 * pmf.STEP))


def test_kl_cost_of_the_grid():
    """Expected extra bits a token when p is coded with the integer PMF, for peaked, typical and flat predictions."""
    rng = np.random.default_rng(2)
    for spread in (0.5, 1.0, 2.0, 3.0, 5.0):
        logits = rng.normal(0, spread, (400, 1024))
        p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        freqs = pmf.frequencies(pmf.quantise_logits(logits))
        kl = np.sum(p * np.log2(p * freqs.sum(axis=-1, keepdims=True) / freqs), axis=-1).mean()
        assert 0 <= kl < 0.005


def test_guard_rate_is_as_computed():
    """A logit lies within g of a boundary with probability 2 g / step."""
    logits = np.random.default_rng(3).normal(0, 2, (4000, 1024))
    guard = 1e-5
    rate = np.mean([pmf.near_boundary(row[None], guard) for row in logits])
    want = 1 - (1 - 2 * guard / pmf.STEP) ** 1024
    assert abs(rate - want) < 4 * np.sqrt(want * (1 - want) / len(logits))


def test_what_the_guard_passes_cannot_change():
    rng = np.random.default_rng(4)
    guard, passed = 1e-5, 0
    for row in rng.normal(0, 2, (300, 1, 1024)):
        if not pmf.near_boundary(row, guard):
            passed += 1
            moved = row + rng.choice([-0.99, 0.99], row.shape) * guard
            np.testing.assert_array_equal(pmf.quantise_logits(row), pmf.quantise_logits(moved))
    assert passed > 200


def test_guard_minds_only_what_matters():
    logits = np.zeros((1, 1024))
    assert not pmf.near_boundary(logits)
    logits[0, 5] = 0.125 - 5e-9
    assert pmf.near_boundary(logits)
    logits[0, 5] -= 100.0  # far below the floor: either side gives frequency 1
    assert not pmf.near_boundary(logits)
    for bad in (np.nan, np.inf):
        logits[0, 5] = bad
        assert pmf.near_boundary(logits)
        with pytest.raises(ValueError, match="logits"):
            pmf.quantise_logits(logits)
    logits[0, 5] = -np.inf
    assert pmf.frequencies(pmf.quantise_logits(logits))[0, 5] == 1


def test_code_length():
    freqs = np.array([[1, 1, 2], [4, 2, 2]])
    assert pmf.code_length(freqs, np.array([0, 1])) == pytest.approx(4.0)
    assert pmf.code_length(np.ones((0, 4), int), np.zeros(0, int)) == 0.0


def test_static_pmf():
    counts = np.zeros((3, 1024), np.int64)
    counts[0, 3], counts[1, :2] = 10, (3, 1)
    static = pmf.StaticPmf(counts)
    assert static.frequencies(0)[3] > 2**20 and static.frequencies(0).min() == 1
    assert static.frequencies(1)[0] == pytest.approx(3 * static.frequencies(1)[1], rel=1e-5)
    tokens = np.array([[0, 900], [1, 5]])
    bits = static.code_length(tokens, first_layer=1)
    assert bits == pytest.approx([-np.log2(0.75) - np.log2(0.25), 20], abs=0.01)
    assert pmf.StaticPmf.flat(2).code_length(tokens) == pytest.approx([20, 20])
    for bad in (np.zeros(3, int), np.zeros((2, 3)), np.array([[-1, 2]])):
        with pytest.raises(ValueError, match="counts"):
            pmf.StaticPmf(bad)


def test_step_must_divide_exactly():
    for step in (0.3, 0.0, -0.25, 2.0):
        with pytest.raises(ValueError, match="step"):
            pmf.quantise_logits(np.zeros(4), step)


@pytest.mark.parametrize("spread", [0.1, 3.0, 20.0])
def test_the_compiled_way_gives_the_same_frequencies(spread):
    rng = np.random.default_rng(4)
    logits = rng.normal(0, spread, (7, 1024))
    logits[0, 3], logits[1, :1000] = -1e30, -1e30
    table, near = pmf.cumulative(logits)
    np.testing.assert_array_equal(np.diff(table, axis=1), pmf.frequencies(pmf.quantise_logits(logits)))
    assert not table[:, 0].any() and table.dtype == np.int64
    for guard in (1e-8, 1e-6, 1e-5, 1e-4):
        for row in logits:
            assert pmf.cumulative(row[None], guard)[1] == pmf.near_boundary(row[None], guard)
    edge = np.floor(logits / pmf.STEP) * pmf.STEP + pmf.STEP / 2
    assert pmf.cumulative(edge)[1] and not near
    for bad in (np.nan, np.inf):
        logits[5, 5] = bad
        with pytest.raises(ValueError, match="logits"):
            pmf.cumulative(logits)
    with pytest.raises(ValueError, match="logits"):
        pmf.cumulative(np.full((1, 4), -np.inf))
