# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from soundspring.modem import Numerology


def test_default_is_that_of_802_11():
    n = Numerology()
    assert n.pilot_carriers.tolist() == [-21, -7, 7, 21]
    assert n.carriers.tolist() == [*range(-26, 0), *range(1, 27)]
    assert n.pilot_mask.sum() == 4
    assert n.symbol_length == 80 and np.isclose(n.symbol_duration, 80e-6)
    assert np.isclose(n.carrier_spacing, 15625) and np.isclose(n.occupied_bandwidth, 53 * 15625)
    assert [n.symbols_for(k) for k in (0, 1, 48, 49)] == [0, 1, 1, 2]


@pytest.mark.parametrize("data, pilots", [(48, 4), (44, 8), (46, 6), (10, 2), (20, 12), (54, 8)])
def test_pilots_are_distinct_active_carriers(data, pilots):
    n = Numerology(data_carriers=data, pilots=pilots)
    assert n.pilot_mask.sum() == pilots == len(set(n.pilot_carriers))
    assert np.array_equal(n.pilot_carriers, -n.pilot_carriers[::-1])


@pytest.mark.parametrize(
    "wrong",
    [{"fft": 63}, {"fft": 8}, {"cp": 0}, {"cp": 65}, {"pilots": 3}, {"pilots": 0}, {"data_carriers": 60},
     {"data_carriers": 47}, {"data_carriers": 2}, {"rate": 0.0}, {"rate": float("nan")}],
)  # fmt: skip
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Numerology(**wrong)
