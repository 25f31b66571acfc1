# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet loss: rates and bursts against theory, trace files, the words of the command line."""

import numpy as np
import pytest
from soundspring.channel import Bernoulli, GilbertElliott, MarkovLoss, Trace, Wlan, parse_loss


def _bursts(lost: np.ndarray) -> np.ndarray:
    """Lengths of the runs of losses."""
    edges = np.diff(np.concatenate([[0], lost.astype(int), [0]]))
    return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)


@pytest.mark.parametrize("p", [0.0, 0.05, 0.3, 1.0])
def test_bernoulli_rate_and_bursts(p):
    lost = Bernoulli(p, seed=1).step(100_000)
    assert lost.mean() == pytest.approx(p, abs=0.005)
    if 0 < p < 1:
        assert _bursts(lost).mean() == pytest.approx(1 / (1 - p), rel=0.02)


@pytest.mark.parametrize(("rate", "burst"), [(0.1, 3.0), (0.2, 1.25), (0.02, 8.0), (0.6, 1.5)])
def test_gilbert_from_rate_and_burst(rate, burst):
    process = GilbertElliott.from_rate(rate, burst, seed=2)
    assert process.loss_rate == pytest.approx(rate) and process.mean_burst == pytest.approx(burst)
    lost = process.step(150_000)
    bursts = _bursts(lost)
    assert lost.mean() == pytest.approx(rate, rel=0.07)
    assert bursts.mean() == pytest.approx(burst, rel=0.05)
    # Bursts of a Gilbert chain are geometric.
    assert np.mean(bursts > 1) == pytest.approx(1 - 1 / burst, abs=0.02)


def test_gilbert_elliott_with_partial_losses():
    process = GilbertElliott(0.05, 0.2, loss_good=0.02, loss_bad=0.6, seed=3)
    lost = process.step(150_000)
    assert process.loss_rate == pytest.approx(0.8 * 0.02 + 0.2 * 0.6)
    assert lost.mean() == pytest.approx(process.loss_rate, rel=0.05)
    assert _bursts(lost).mean() == pytest.approx(process.mean_burst, rel=0.05)


def test_wlan_has_the_published_loss_and_burst():
    process = Wlan(seed=4)
    assert process.loss_rate == pytest.approx(0.138, abs=0.0005)
    assert process.mean_burst == pytest.approx(1.69, abs=0.005)
    lost = process.step(150_000)
    assert lost.mean() == pytest.approx(0.138, abs=0.006)
    assert _bursts(lost).mean() == pytest.approx(1.69, abs=0.03)


def test_wlan_has_two_kinds_of_gap():
    """Short pauses within a group of bursts and long ones between groups: more spread than one geometric law."""
    gaps = _bursts(~Wlan(seed=5).step(100_000))
    assert gaps.var() > 1.5 * gaps.mean() * (gaps.mean() - 1)


def test_losses_start_in_the_stationary_state():
    first = [bool(GilbertElliott.from_rate(0.3, 5.0, seed=s).step(1)[0]) for s in range(2000)]
    assert np.mean(first) == pytest.approx(0.3, abs=0.04)


@pytest.mark.parametrize("build", [lambda s: Bernoulli(0.3, s), lambda s: GilbertElliott.from_rate(0.3, 2.0, s), Wlan])
def test_losses_do_not_depend_on_the_chunks_but_on_the_seed(build):
    whole = build(9).step(1000)
    process = build(9)
    assert whole.dtype == bool
    np.testing.assert_array_equal(np.concatenate([process.step(n) for n in (1, 0, 99, 500, 400)]), whole)
    assert not np.array_equal(build(10).step(1000), whole)


def test_trace_map_repeats(tmp_path):
    path = tmp_path / "map.txt"
    path.write_text("# five packets\n0 1,0\n01\n")
    process = Trace(path)
    assert process.loss_rate == pytest.approx(0.4)
    np.testing.assert_array_equal(np.concatenate([process.step(3), process.step(4)]), [0, 1, 0, 0, 1, 0, 1])


def test_trace_of_indices_ends(tmp_path):
    path = tmp_path / "indices.txt"
    path.write_text("indices 1 4 # and no more\n5, 4\n")
    process = Trace(path)
    np.testing.assert_array_equal(np.flatnonzero(process.step(50)), [1, 4, 5])
    assert not process.step(50).any()


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "0 1 2", "hello", "indices 1 x", "indices -1", "indices 1.5", "1 5 17"]
)
def test_broken_traces_are_refused(tmp_path, text):
    path = tmp_path / "broken.txt"
    path.write_text(text)
    with pytest.raises(ValueError, match="broken.txt"):
        Trace(path)


def test_binary_and_missing_traces_are_refused(tmp_path):
    path = tmp_path / "noise.bin"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(ValueError, match="noise.bin"):
        Trace(path)
    with pytest.raises(ValueError, match="absent"):
        Trace(tmp_path / "absent")


def test_parse_loss(tmp_path):
    path = tmp_path / "trace.txt"
    path.write_text("0010")
    assert not parse_loss("none").step(100).any()
    assert parse_loss("bernoulli:0.25").loss_rate == 0.25
    gilbert = parse_loss("gilbert:0.1,3", seed=6)
    assert (gilbert.loss_rate, gilbert.mean_burst) == (pytest.approx(0.1), pytest.approx(3.0))
    np.testing.assert_array_equal(parse_loss("wlan", seed=6).step(200), Wlan(6).step(200))
    np.testing.assert_array_equal(np.flatnonzero(parse_loss(str(path)).step(8)), [2, 6])


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ("", "none, bernoulli:P"),
        ("bernoulli", "bernoulli:P"),
        ("bernoulli:1.5", "from 0 to 1"),
        ("bernoulli:often", "often"),
        ("gilbert:0.1", "gilbert:RATE,BURST"),
        ("gilbert:0.1,0.5", "mean_burst"),
        ("gilbert:0.9,2", "mean_burst"),
        ("gilbert:1,2", "loss_rate"),
        ("wlan:3", "wlan"),
        ("no/such/file.txt", "no/such/file.txt"),
    ],
)
def test_parse_loss_says_what_is_wrong(spec, word):
    with pytest.raises(ValueError, match=word):
        parse_loss(spec)


def test_markov_arguments_are_checked():
    with pytest.raises(ValueError, match="rows sum to 1"):
        MarkovLoss([[0.5, 0.4], [0.5, 0.5]], [0.0, 1.0])
    with pytest.raises(ValueError, match="probabilities"):
        MarkovLoss([[1.5, -0.5], [0.5, 0.5]], [0.0, 1.0])
    with pytest.raises(ValueError, match="both be 0"):
        GilbertElliott(0.0, 0.0)


def test_a_large_index_costs_no_memory(tmp_path):
    (tmp_path / "far").write_text("indices 999999999 3")
    process = Trace(tmp_path / "far")
    assert process.step(5).tolist() == [False, False, False, True, False]
    assert process.loss_rate == pytest.approx(2e-9) and process._lost.nbytes < 100


def test_what_cannot_be_a_file_is_no_loss():
    with pytest.raises(ValueError, match="loss must be"):
        parse_loss("x" * 5000)
