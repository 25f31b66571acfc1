# SPDX-License-Identifier: GPL-3.0-or-later
"""Products of integers: what they round, and that nothing else is lost."""

import numpy as np
import pytest
from soundspring.product import LARGEST, linear, product

SHAPES = [(1, 1, 1), (3, 7, 130), (5, 64, 300), (2, 6, 128), (14, 33, 65), (2, 1024, 9)]


def whole(x):
    """Rows as the product rounds them, int64, and their units, by numpy."""
    largest = np.abs(x).max(1, keepdims=True)
    return np.rint(x * (LARGEST / largest)).astype(np.int64), largest / LARGEST


@pytest.mark.parametrize("shape", SHAPES)
def test_sums_are_exact(shape):
    rng, (n, inner, m) = np.random.default_rng(0), shape
    x, layer = rng.standard_normal((n, inner)), linear(rng.standard_normal((inner, m)), rng.standard_normal(m))
    got, (rows, unit) = product(x, layer), whole(x)
    assert np.array_equal(got, (rows @ layer.weights.T.astype(np.int64)) * (unit * layer.scale) + layer.bias)
    for i in range(n):
        assert np.array_equal(got[i : i + 1], product(x[i : i + 1], layer)), "a row does not depend on its neighbours"


@pytest.mark.parametrize("shape", SHAPES)
def test_little_is_lost_by_rounding(shape):
    rng, (n, inner, m) = np.random.default_rng(1), shape
    x, w = rng.standard_normal((n, inner)), rng.standard_normal((inner, m)) * np.logspace(-6, 6, m)
    error = np.abs(product(x, linear(w)) - x @ w)
    assert (error <= 2e-2 * np.linalg.norm(x, axis=1)[:, None] * np.linalg.norm(w, axis=0)).all()


@pytest.mark.parametrize("inner", [1, 50, 256, 1024, 2064])
@pytest.mark.parametrize("kind", ["alike", "one of them", "signs"])
def test_no_sum_leaves_its_32_bits(inner, kind):
    """Weights and rows that add up to the most there can be."""
    rng = np.random.default_rng(2)
    w = {"alike": np.ones(inner), "one of them": np.eye(inner)[0], "signs": np.sign(rng.standard_normal(inner))}[kind]
    layer = linear(np.stack([w, -w, 3e-7 * w, 0.999 * w], 1))
    x = np.where(w < 0, -1.0, 1.0)[None] * [[4.0]]
    exact = x @ layer.dense
    assert np.allclose(product(x, layer), exact, rtol=1e-12)
    assert np.allclose(exact, x @ np.stack([w, -w, 3e-7 * w, 0.999 * w], 1), rtol=1e-2)


def test_too_deep_a_product_is_refused():
    with pytest.raises(ValueError, match="2064"):
        linear(np.ones((2065, 1)))


def test_rows_without_a_size():
    layer = linear(np.ones((3, 2)), np.array([5.0, 6.0]))
    x = np.array([[0, 0, 0], [np.nan, 1, 1], [1, np.nan, 1], [1, 1, np.nan], [np.inf, 0, 0], [-np.inf, np.nan, 0],
                  [1e-310, 0, 0], [1, 2, 3]])
    got = product(x, layer)
    assert np.array_equal(got[[0, 6]], [[5.0, 6.0]] * 2)
    assert np.isnan(got[1:6]).all() and np.allclose(got[7], [11.0, 12.0], rtol=1e-3)
