# SPDX-License-Identifier: GPL-3.0-or-later
"""The modem's benchmark, and with it a few bursts through everything: real headers and codes, both oscillators' errors
and the channel filter."""

import json
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def sync(monkeypatch):
    import importlib

    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("sync")


@pytest.mark.parametrize("name, snr_db", [("BPSK 1/5", -7.5), ("narrow-0", -7.0)])
def test_bursts_are_found_below_the_lowest_threshold(sync, name, snr_db):
    """These are more than 1 dB below what the lowest profile of each width needs."""
    out = sync.Air(sync.Radio(sync.layers()[name], payload=False), 5).send(60, snr_db)
    assert all(o.found and o.header for o in out)


@pytest.mark.parametrize("name, channel, snr_db, at_most", [
    ("64-QAM 5/6", "tdl-c", 28.5, 4), ("BPSK 1/5", "tdl-c", 2.0, 4), ("narrow-0", "tdl-c 10 Hz", 3.0, 5)])
def test_little_is_lost_against_a_receiver_that_knows_the_channel(sync, name, channel, snr_db, at_most):
    """About 2 dB above that one's threshold in fading; lost is what it does receive and ours does not."""
    out = sync.Air(sync.Radio(sync.layers()[name]), 8, channel, genie=True).send(50, snr_db)
    assert sum(o.genie[0] and not o.packets[0] for o in out) <= at_most


def test_headers_fail_less_often_than_payloads(sync):
    """Each physical layer a little below its threshold."""
    ends = [sync.ENDS[sync.LOWEST], sync.ENDS[sync.FASTEST]]
    for snr_db, phy in zip((-1.0, -6.8, 16.8), [sync.load("reference").phy, *ends], strict=True):
        out = sync.Air(sync.Radio(phy), 6, genie=True).send(30, snr_db)
        lost = [not all(o.packets) for o in out]
        assert sum(not o.header for o in out) == 0 and sum(lost) >= 3
        assert sum(not all(o.genie) for o in out) <= sum(lost) + 4  # its noise is another


def test_a_genie_makes_no_errors_where_there_is_no_noise(sync):
    radio = sync.Radio(sync.load("reference").phy)
    for channel in ("awgn", "tdl-a", "tdl-c"):
        out = sync.Air(radio, 7, channel, genie=True).send(4, 60.0)
        assert all(all(o.genie) and all(o.packets) for o in out)


def test_crossing_of_a_curve(sync):
    assert sync.crossing([0.0, 1.0, 2.0], [1.0, 0.2, 0.05]) == pytest.approx(1.5)
    assert sync.crossing([0.0, 1.0], [0.9, 0.5]) is None


def test_noise_holds_no_burst(sync):
    figures = sync.false_bursts(4.0)
    assert figures["bursts"] == 0 and figures["detections"] <= 1


def test_parts_are_kept_and_drawn(sync, tmp_path, monkeypatch):
    """One part measured anew, the others as the file has them."""
    rows = {"snr_db": [0.0, 1.0], "loss": [[0.5, 0.9], [0.0, 0.1]], "genie": [[0.4, 0.8], [0.0, 0.05]]}
    file, image = tmp_path / "sync.json", tmp_path / "sync.png"
    known = {"genie": {c: rows for c in ("awgn", "tdl-a", "tdl-c")}, "in_tree_ofdm": {"10": 0.0, "20": 1.0},
             "detection": {w: {"-7.0": {"bursts": 10, "missed": 0, "header_failures": 1}} for w in ("wide", "narrow")}}
    file.write_text(json.dumps(known))
    monkeypatch.setitem(sync.PARTS, "noise", lambda quick, figures: {"bursts": 0})
    figures = sync.main(["--part", "noise", "--json", str(file), "--image", str(image)])
    assert json.loads(file.read_text()) == figures and figures["noise"] == {"bursts": 0}
    assert figures["genie"] == known["genie"] and image.stat().st_size > 10_000
    assert np.isfinite(figures["ppm"])
