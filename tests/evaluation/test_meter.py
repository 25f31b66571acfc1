# SPDX-License-Identifier: GPL-3.0-or-later
"""The quality meter: its own measure, and the process beside."""

import time

import numpy as np
import pytest
from soundspring.evaluation.meter import Meter, log_spectral_distance, measure

LIMIT_S = 240


def test_log_spectral_distance_is_that_of_the_levels(speech_like):
    noise = np.random.default_rng(1).standard_normal(16000)
    assert log_spectral_distance(noise, noise) == 0
    assert log_spectral_distance(noise, 2 * noise) == pytest.approx(6.02, abs=0.01)
    assert log_spectral_distance(speech_like, np.zeros_like(speech_like)) > 10
    assert np.isnan(log_spectral_distance(noise[:100], noise[:100]))


def test_silence_counts_no_more_than_the_floor():
    tone = np.sin(np.arange(16000) * 0.3)
    quiet, quieter = np.append(tone, np.full(16000, 1e-9)), np.append(tone, np.full(16000, 1e-12))
    assert log_spectral_distance(quiet, quieter) < 0.01


def test_measure_has_all_keys(speech_like):
    scores = measure(speech_like, speech_like)
    assert set(scores) == {"pesq_wb", "lsd_db"} and scores["lsd_db"] == 0
    assert scores["pesq_wb"] is None or scores["pesq_wb"] > 4


def test_the_process_scores_one_pair_at_a_time(speech_like):
    meter = Meter()
    try:
        assert meter.poll() is None
        assert meter.offer(speech_like, 0.5 * speech_like) and not meter.offer(speech_like, speech_like)
        end = time.monotonic() + LIMIT_S
        while (scores := meter.poll()) is None and time.monotonic() < end:
            time.sleep(0.05)
        assert scores["lsd_db"] == pytest.approx(log_spectral_distance(speech_like, 0.5 * speech_like))
        assert meter.poll() is None and meter.offer(speech_like, speech_like)
    finally:
        meter.close()
        meter.close()
