# SPDX-License-Identifier: GPL-3.0-or-later
"""Receive gain by what is measured, against a radio that is only arithmetic."""

import numpy as np
import pytest
from soundspring.hier.gain_control import FAINT_DB, NEAR_DB, TARGET_DB, TOO_STRONG_DB, GainControl


def settle(control: GainControl, signal_db: float | None, noise_db: float = -100.0, seconds: int = 30) -> float:
    """The level that is reached with a signal so strong before the gain; a level clips at 0."""
    for _ in range(seconds):
        power = 10 ** (noise_db / 10) + (0 if signal_db is None else 10 ** (signal_db / 10))
        level = min(10 * np.log10(power) + control.gain, 0.0)
        control.push(level, signal_db is not None)
    return level


@pytest.mark.parametrize("signal_db", [-90.0, -60.0, -40.0, -28.0])
def test_a_signal_comes_near_the_target_and_the_gain_rests(signal_db):
    control = GainControl(0, 71)
    level = settle(control, signal_db)
    assert abs(level - TARGET_DB) <= NEAR_DB
    before = control.gain
    settle(control, signal_db)
    assert control.gain == before


def test_without_a_signal_noise_is_brought_into_the_converter_and_not_beyond():
    control = GainControl(0, 71, 0)
    assert FAINT_DB <= settle(control, None, -90) <= FAINT_DB + 6


def test_a_stranger_that_is_too_strong_turns_the_gain_down():
    control = GainControl(0, 71, 60)
    assert settle(control, None, -40) <= TOO_STRONG_DB


def test_the_range_of_the_radio_is_kept():
    control = GainControl(0, 40)
    assert control.gain == 20 and control.push(None, False) == 20
    settle(control, -130)
    assert control.gain == 40
    settle(control, 0)
    assert control.gain == 0
    with pytest.raises(ValueError, match="least"):
        GainControl(5, 4)
