# SPDX-License-Identifier: GPL-3.0-or-later
"""Inputs that fuzzing kept, once more: none ends in an error of the wrong kind, takes long or much memory."""

import random
import time
import tracemalloc

import pytest
from seeds import seeds
from targets import TARGETS, corpus

AT_MOST = 100  # inputs of a target, those of the corpus first by chance: all of them take `fuzz.py` itself
NEED_GNURADIO = {"pdus"}
MEMORY = 400e6  # bytes
SECONDS = 10


@pytest.fixture(autouse=True)
def _leave_the_models_as_they_were(monkeypatch):
    """Targets point at tiny models of their own."""
    monkeypatch.setenv("SOUNDSPRING_MODELS", "")
    monkeypatch.delenv("SOUNDSPRING_MODELS")


@pytest.mark.parametrize("name", TARGETS)
def test_every_kept_input_is_survived(name):
    if name in NEED_GNURADIO:
        pytest.importorskip("gnuradio.gr")
    kept = list(corpus(name).values())
    random.Random(1).shuffle(kept)
    inputs = seeds(name) + kept[:AT_MOST]
    assert inputs
    TARGETS[name](inputs[0])  # loads what it needs
    tracemalloc.start()
    try:
        for data in inputs:
            begin = time.process_time()
            tracemalloc.reset_peak()
            TARGETS[name](data)
            assert time.process_time() - begin < SECONDS, data
            assert tracemalloc.get_traced_memory()[1] < MEMORY, data
    finally:
        tracemalloc.stop()

