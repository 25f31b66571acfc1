# SPDX-License-Identifier: GPL-3.0-or-later
"""The burst header at SNRs where belief propagation is at its end."""

import numpy as np
import pytest
from soundspring.burst_header import HeaderCode
from soundspring.coding.packet import BurstHeader, PacketError, WrongModel

BITS = 288  # shorter than any in use
CODE = HeaderCode(BITS)


def sent(rng, snr_db, model=None):
    """A random header and its LLRs."""
    model = int(rng.integers(64)) if model is None else model
    header = BurstHeader(int(rng.integers(8)), model, int(rng.integers(256)))
    energy = 10 ** (snr_db / 10)
    received = np.sqrt(energy) * (2.0 * CODE.encode(header) - 1) + rng.standard_normal(BITS) * np.sqrt(0.5)
    return header, (4 * np.sqrt(energy) * received).astype(np.float32)


def received(llr, model=None):
    try:
        return CODE.decode(llr, model)
    except PacketError:
        return None


@pytest.mark.parametrize("known", [True, False])
def test_most_likely_headers_are_found_at_minus_8_5_db(known):
    """Belief propagation alone fails in 1 of 25 here."""
    rng = np.random.default_rng(1)
    trials = [sent(rng, -8.5) for _ in range(150)]
    assert all(received(llr, header.model if known else None) == header for header, llr in trials)


def test_noise_is_no_header():
    rng = np.random.default_rng(2)
    assert sum(received(3 * rng.standard_normal(BITS).astype(np.float32), 5) is not None for _ in range(1000)) <= 4
    assert received(np.zeros(BITS)) is None and received(np.full(BITS, np.nan), 5) is None


def test_a_header_of_another_model_is_refused_at_any_snr():
    rng = np.random.default_rng(3)
    for snr_db in (-10, -8.5, -7, 0):
        assert all(received(sent(rng, snr_db, 7)[1], 6) is None for _ in range(50))
    with pytest.raises(WrongModel, match="07"):
        CODE.decode(sent(rng, 3.0, 7)[1], 6)


def test_infinite_and_missing_llrs():
    rng = np.random.default_rng(4)
    header, llr = sent(rng, -3.0)
    llr[::9], llr[1::9] = np.nan, np.inf * (2.0 * CODE.encode(header)[1::9] - 1)
    assert received(llr, header.model) == header
