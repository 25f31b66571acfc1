# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate control: falls at once, climbs with patience, never rocks in noise."""

import numpy as np
import pytest
from soundspring.profile import load, load_ladder
from soundspring.rate_control import RateControl, pick

WIDE = load_ladder("wide")
THRESHOLDS = [p.phy.threshold_db for p in WIDE.rungs]
TOP = len(THRESHOLDS) - 1


@pytest.fixture
def control():
    return RateControl(WIDE, margin_db=2.0, hysteresis_db=1.0, patience=4)


def climbed(control, snr_db):
    for _ in range(4):
        control.push(snr_db)
    return control.rung


@pytest.mark.parametrize("place", range(1, TOP + 1))
def test_the_highest_rung_with_its_margin_is_picked(place):
    assert pick(WIDE, THRESHOLDS[place] + 2.01, 2.0) == place and pick(WIDE, THRESHOLDS[place] + 1.99, 2.0) == place - 1


def test_below_everything_the_most_robust_is_picked():
    assert pick(WIDE, -40.0) == 0 and pick(WIDE, 60.0) == TOP


def test_it_climbs_after_its_patience_and_over_several_rungs(control):
    assert [control.push(30.0) for _ in range(4)] == [0, 0, 0, TOP]


def test_one_weak_burst_among_the_last_keeps_it_down(control):
    for snr in (30.0, 30.0, THRESHOLDS[2] + 3.1, 30.0):
        control.push(snr)
    assert control.rung == 2
    assert [control.push(30.0) for _ in range(3)] == [2, 2, TOP]


def test_it_falls_at_once_and_as_far_as_it_must(control):
    climbed(control, 30.0)
    assert control.push(THRESHOLDS[3] + 2.1) == 3 and control.push(-20.0) == 0


def test_a_burst_that_did_not_come_costs_a_rung_and_the_patience_begins_anew(control):
    climbed(control, 30.0)
    assert [control.push(None), control.push(float("nan"))] == [TOP - 1, TOP - 2]
    assert [control.push(30.0) for _ in range(4)] == [TOP - 2] * 3 + [TOP]
    assert [control.push(None) for _ in range(TOP + 2)][-1] == 0


@pytest.mark.parametrize("offset_db", [0.0, 0.5, 1.0, 1.5])
def test_scatter_within_the_hysteresis_does_not_make_it_rock(control, offset_db):
    rng, rungs = np.random.default_rng(3), []
    for snr in THRESHOLDS[4] + 2.0 + offset_db + rng.uniform(-0.45, 0.45, 400):
        rungs.append(control.push(float(snr)))
    assert np.count_nonzero(np.diff(rungs[5:])) <= 1


def test_a_rung_is_left_below_its_margin_and_taken_again_above_the_hysteresis(control):
    control.rung = 4
    assert control.push(THRESHOLDS[4] + 1.9) == 3
    assert climbed(control, THRESHOLDS[4] + 2.9) == 3 and climbed(control, THRESHOLDS[4] + 3.1) == 4


@pytest.mark.parametrize(
    ("change", "names"),
    [({"margin_db": 99}, "margin_db"), ({"hysteresis_db": -1}, "hysteresis_db"), ({"patience": 0}, "patience"),
     ({"rung": 9}, "rung"), ({"ladder": load_ladder("chained")}, "threshold_db")],
)
def test_wrong_arguments_are_named(change, names):
    with pytest.raises(ValueError, match=names):
        RateControl(**{"ladder": WIDE} | change)


def test_a_single_profile_is_a_ladder_without_a_choice():
    one = load_ladder(load("wide-5"))
    assert pick(one, -50.0) == pick(one, 50.0) == 0
