# SPDX-License-Identifier: GPL-3.0-or-later
"""The rule is what the profile says, and no scheme gets past it."""

import numpy as np
import pytest
from soundspring.comparison.terms import Terms


@pytest.fixture(scope="module")
def terms():
    return Terms.of("reference", papr_db=9)


def burst(terms, symbols, power=1.0):
    """A burst of QPSK symbols of some power, as the common modulator makes it."""
    rng = np.random.default_rng(1)
    qpsk = (rng.choice([-1, 1], symbols) + 1j * rng.choice([-1, 1], symbols)) * np.sqrt(power / 2)
    return terms.modulator().modulate(rng.integers(0, 2, terms.profile.phy.header_code_bits, np.uint8), qpsk)


def test_the_terms_are_those_of_the_profile(terms):
    phy = terms.profile.phy
    payload = -(-sum(p.code_bits // p.bits_per_symbol for p in phy.packets) // 48)
    # Preamble of 10 symbol lengths, header and payload of 48 carriers, 80 samples each, ten times a second.
    assert terms.symbols == 48 * payload
    assert terms.uses_per_s == (10 + phy.header_code_bits / 48 + payload) * 80 * 10
    assert terms.profile.phy.papr_db == 9 and terms.profile.phy.packets == Terms.of("reference").profile.phy.packets


def test_what_fits_is_measured(terms):
    used = terms.check("x", [burst(terms, terms.symbols) for _ in range(3)])
    assert used.uses_per_s == terms.uses_per_s
    assert abs(used.power_db) < 0.05 and 6 < used.peak_db <= 9.001


def test_a_shorter_burst_uses_less(terms):
    assert terms.check("x", [burst(terms, 400)]).uses_per_s < 0.8 * terms.uses_per_s


@pytest.mark.parametrize(("bursts", "what"), [
    (lambda t: [burst(t, t.symbols + 1)], "channel uses a second"),
    (lambda t: [burst(t, 100), burst(t, t.symbols + 1)], "channel uses a second"),
    (lambda t: [burst(t, t.symbols, power=1.1)], "mean power"),
    (lambda t: [np.append(burst(t, t.symbols)[:-1], np.complex64(3))], "peak power"),
])
def test_more_than_the_terms_is_refused(terms, bursts, what):
    with pytest.raises(ValueError, match=f"scheme greedy: {what} of .* exceeds"):
        terms.check("greedy", bursts(terms))


def test_nothing_sent_is_no_error(terms):
    assert terms.check("x", []).uses_per_s == 0


def test_wrong_terms_are_named():
    with pytest.raises(ValueError, match="papr_db: expected 3 to 30"):
        Terms.of("reference", 1)
    with pytest.raises(ValueError, match="no radio part"):
        Terms.of("packet20")
