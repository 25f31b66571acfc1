# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from soundspring.fec.scramble import gold_sequence


def reference(c_init, n):
    """The recursions of the clause, as written there."""
    length = 1600 + n
    x1, x2 = [1] + [0] * 30, [(c_init >> i) & 1 for i in range(31)]
    for i in range(length):
        x1.append((x1[i + 3] + x1[i]) % 2)
        x2.append((x2[i + 3] + x2[i + 2] + x2[i + 1] + x2[i]) % 2)
    return [(x1[i + 1600] + x2[i + 1600]) % 2 for i in range(n)]


@pytest.mark.parametrize("c_init", [0, 1, 0x5053, 2**31 - 1])
def test_follows_the_recursions(c_init):
    assert gold_sequence(c_init, 300).tolist() == reference(c_init, 300)


def test_is_balanced():
    assert abs(gold_sequence(0x5053, 10000).mean() - 0.5) < 0.02


@pytest.mark.parametrize("c_init, n", [(-1, 5), (2**31, 5), (1, -1)])
def test_refuses_wrong_arguments(c_init, n):
    with pytest.raises(ValueError):
        gold_sequence(c_init, n)


def test_is_read_only():
    with pytest.raises(ValueError):
        gold_sequence(1, 10)[0] = np.uint8(1)
