# SPDX-License-Identifier: GPL-3.0-or-later
"""Means, intervals, envelopes, cliffs and slopes of made-up results come out as they were made."""

import pytest
from comparison_rows import rows
from soundspring.comparison.curves import Fall, Point, fall, over_loss, over_snr, threshold, where


@pytest.fixture(scope="module")
def made():
    return rows()


def test_a_point_is_a_mean_with_its_interval(made):
    points = over_snr(where(made, scheme="opus"), "pesq_wb")
    assert [p.x for p in points] == [-4, 0, 4, 8]
    assert points[-1].mean == pytest.approx(2.5, abs=0.02) and 0 < points[-1].half < 0.05
    assert points[0].mean == pytest.approx(1.04) and points[0].half == pytest.approx(0)


def test_the_envelope_takes_the_best_mode_at_each_snr(made):
    points = over_snr(where(made, scheme="codec2"), "pesq_wb")
    assert [p.mode for p in points[1:]] == ["2.4", "2.4", "3.2"]


def test_a_measure_that_was_not_taken_makes_no_point(made):
    assert over_snr(made, "visqol") == []


def test_losses_are_what_was_lost(made):
    points = over_loss(where(made, scheme="jscc"), "pesq_wb")
    assert [p.x for p in points] == [10, 30] and points[0].mean > points[1].mean + 0.1


def test_a_cliff_is_narrow_and_a_slope_is_wide():
    cliff = [Point(x, 1.04 if x < 1 else 2.54, 0, "") for x in (-2, 0, 2, 4)]
    slope = [Point(x, 1.04 + 0.1 * x, 0, "") for x in range(0, 11)]
    assert fall(cliff, "pesq_wb").at[0.5] == pytest.approx(1) and fall(cliff, "pesq_wb").width_db == pytest.approx(1.6)
    assert fall(slope, "pesq_wb").width_db == pytest.approx(8)
    assert fall(slope[5:], "pesq_wb").at[0.1] is None and fall(slope[5:], "pesq_wb").width_db is None
    assert isinstance(fall(slope, "stoi"), Fall)
    with pytest.raises(ValueError, match="points"):
        fall([], "pesq_wb")


def test_a_dip_does_not_hide_the_last_rise():
    points = [Point(x, m, 0, "") for x, m in enumerate([1.04, 2.04, 1.04, 2.04])]
    assert fall(points, "pesq_wb").at[0.5] == pytest.approx(2.5)


def test_the_threshold_lies_where_a_tenth_is_lost(made):
    # All of opus is lost at 0 dB and nothing at 4: a tenth at 3.6.
    assert threshold(where(made, scheme="opus")) == pytest.approx(3.6)
    assert threshold(where(made, scheme="jscc")) is None
