# SPDX-License-Identifier: GPL-3.0-or-later
"""How fading goes on: the prediction by itself, and what it brings to bursts."""

import numpy as np
from modem_air import make_burst, noise, padded, receiver
from soundspring.channel.fading import TappedDelayLine
from soundspring.modem import equalise
from soundspring.modem.burst import PREAMBLE_SYMBOLS
from soundspring.modem.track import DOPPLERS, WALKS, processes, trend

KNOWN, N = 8, 30


def test_slow_fading_goes_on_in_a_straight_line():
    """From the middle of the preamble to that of the header is one step; how many are there from here to symbol t?"""
    variance, covariance, power = trend(N, KNOWN)
    middle = (KNOWN - 1) / 2
    steps = (np.arange(N) - middle) / (middle + (PREAMBLE_SYMBOLS + 1) / 2)
    slowest = len(DOPPLERS) - 1
    assert np.allclose(covariance[slowest] / variance[slowest], steps, atol=0.02)
    foreseen = covariance[: slowest + 1] ** 2 / (variance[: slowest + 1, None] * power[: slowest + 1])
    assert foreseen.max() <= 1 and foreseen[slowest, -1] > 0.99  # of its power
    assert foreseen[0].min() < 0.05  # within a fade or so


def test_walks_do_not_go_on_and_without_a_header_nothing_does():
    assert not trend(N, KNOWN)[1][len(DOPPLERS) :].any() and trend(N, KNOWN)[0].shape == (len(DOPPLERS + WALKS),)
    assert not any(part.any() for part in trend(N, 0))


def test_rows_that_were_left_out_held_nothing():
    """With all of them a process's covariance has the power that `trend` gives its changes."""
    _, _, amplitude, owner, values, _, _, squared, count, *_, power = processes(N, KNOWN, 4 / 52)
    for c in range(count):
        mine = owner == c
        assert np.allclose(amplitude**2 * (squared[:, mine] @ values[mine]), power[c], atol=1e-7)


def error_db(monkeypatch, foresee):
    """Of 8 payload symbols behind the header, at 35 dB, over TDL-C 300 ns with 50 Hz of Doppler: median in each burst,
    which leaves out carriers in fades; the mean of these."""
    if not foresee:
        blind = {}
        monkeypatch.setattr(equalise, "processes", lambda *a: blind.setdefault(a, _blind(processes(*a))))
    total = []
    for value in range(24):
        rng = np.random.default_rng(value)
        samples, symbols = make_burst(rng, value, payload=48 * 8)
        fading = TappedDelayLine("TDL-C", 300e-9, 50.0, 2e6, value)
        air = fading.process(padded(samples, 500, 700).astype(np.complex64))
        rx = receiver(payload=48 * 8)
        for burst in [b for b in rx.push(air + noise(rng, len(air), 35)) + rx.flush() if b.header == value]:
            total.append(np.median(np.abs(burst.symbols - symbols) ** 2))
    assert len(total) >= 22
    return 10 * np.log10(np.mean(total))


def _blind(found):
    return (*found[:-2], 0 * found[-2], found[-1])


def test_foreseeing_fading_makes_symbols_cleaner(monkeypatch):
    with_it = error_db(monkeypatch, True)
    assert with_it < error_db(monkeypatch, False) - 0.7  # 1.1 dB were measured
