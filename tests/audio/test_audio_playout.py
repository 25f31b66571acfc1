# SPDX-License-Identifier: GPL-3.0-or-later
"""The playout buffer: order, gaps, duplicates, late arrivals, wrapped numbers, restarts."""

import numpy as np
import pytest
from soundspring.audio import Playout, PlayoutBuffer


def _played(buffer, ticks):
    return [buffer.pop() for _ in range(ticks)]


def test_in_order_after_the_depth():
    buffer = PlayoutBuffer(depth=2)
    assert buffer.pop() is None
    out = []
    for k in range(5):
        assert buffer.push(k, f"s{k}")
        out.append(buffer.pop())
    assert out == [None, None, Playout(0, "s0"), Playout(1, "s1"), Playout(2, "s2")]
    assert buffer.drain() == [Playout(3, "s3"), Playout(4, "s4")]


def test_gaps_are_reported_and_disorder_is_mended():
    buffer = PlayoutBuffer(depth=3)
    for k in (10, 12, 11, 14):
        buffer.push(k, k)
    assert _played(buffer, 3) == [None] * 3
    assert _played(buffer, 5) == [(10, 10), (11, 11), (12, 12), (13, None), (14, 14)]
    assert buffer.counts.missing == 1 and buffer.counts.played == 4


def test_duplicates_and_late_arrivals_are_dropped_and_counted():
    buffer = PlayoutBuffer(depth=0)
    assert buffer.push(5, "a") and not buffer.push(5, "b")
    assert buffer.pop() == (5, "a")
    assert buffer.pop() == (6, None)
    assert not buffer.push(6, "too late") and not buffer.push(5, "again")
    assert (buffer.counts.duplicates, buffer.counts.late) == (1, 2)
    assert len(buffer) == 0


def test_an_earlier_superframe_may_still_come_first():
    buffer = PlayoutBuffer(depth=2)
    buffer.push(0, "second")
    assert buffer.push(255, "first")
    assert _played(buffer, 3) == [None, (255, "first"), (0, "second")]


def test_numbers_wrap_many_times_with_losses_and_jitter():
    """1000 superframes with 20 % lost and delays of 0 to 3 ticks: everything that arrived is played, in order."""
    rng = np.random.default_rng(3)
    arrived = rng.random(1000) > 0.2
    arrived[0] = True
    delay = rng.integers(0, 4, 1000)
    delay[0] = 0
    buffer, out = PlayoutBuffer(depth=3), []
    for tick in range(1004):
        for k in range(max(0, tick - 3), min(tick + 1, 1000)):
            if arrived[k] and k + delay[k] == tick:
                assert buffer.push(k % 256, k)
        out.append(buffer.pop())
    out = [p for p in out if p is not None][:1000]
    assert [p.sequence for p in out] == [k % 256 for k in range(1000)]
    assert [p.payload for p in out] == [k if arrived[k] else None for k in range(1000)]


def test_a_restarted_sender_is_followed():
    buffer = PlayoutBuffer(depth=1)
    for k in range(3):
        buffer.push(k, k)
        buffer.pop()
    assert buffer.push(150, "anew")
    assert _played(buffer, 2) == [None, (150, "anew")]
    assert buffer.counts.jumps == 1


def test_silence_puts_the_buffer_to_sleep():
    buffer = PlayoutBuffer(depth=0, patience=5)
    buffer.push(7, "last")
    out = _played(buffer, 8)
    assert out[0] == (7, "last")
    assert out[1:6] == [(k, None) for k in range(8, 13)]
    assert out[6:] == [None, None]
    assert buffer.push(9, "next call") and buffer.pop() == (9, "next call")


def test_a_gap_before_something_waiting_is_no_silence():
    buffer = PlayoutBuffer(depth=0, patience=3)
    buffer.push(0, "a")
    buffer.push(30, "b")
    out = _played(buffer, 31)
    assert [p.payload for p in out] == ["a"] + [None] * 29 + ["b"]


@pytest.mark.parametrize(
    ("arguments", "word"),
    [({"depth": -1}, "depth"), ({"modulus": 2}, "modulus"), ({"reach": 128}, "reach"), ({"patience": 0}, "patience")],
)
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        PlayoutBuffer(**arguments)


def test_wrong_superframes_are_refused():
    with pytest.raises(ValueError, match="sequence"):
        PlayoutBuffer().push(256, "x")
    with pytest.raises(ValueError, match="payload"):
        PlayoutBuffer().push(0, None)
