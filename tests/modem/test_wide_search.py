# SPDX-License-Identifier: GPL-3.0-or-later
"""Receivers of a narrow band look for carriers several times its width away, and then follow one."""

import numpy as np
import pytest
from modem_air import CODE_BITS, decode_header, encode_header
from soundspring.modem import Numerology, map_bits
from soundspring.modem.burst import BurstModulator
from soundspring.modem.receiver import BurstReceiver
from soundspring.modem.wide_search import HOLD_S, WideReceiver, make_receiver

NUMEROLOGY = Numerology(cp=8, rate=31250.0)  # 26 kHz in 250 kS/s
OVERSAMPLING, RATE_HZ, PAYLOAD = 8, 250e3, 480
MAX_CFO_HZ = 80e3


def receiver(**options):
    values = {"oversampling": OVERSAMPLING, "max_cfo_hz": MAX_CFO_HZ, "encode_header": encode_header} | options
    return make_receiver(NUMEROLOGY, CODE_BITS, decode_header, lambda _: PAYLOAD, **values)


def transmission(rng, gaps, cfo_hz, snr_db):
    """Bursts numbered from 0 with silence of these lengths before them: (samples in noise, starts, symbols)."""
    modulator, parts, starts, sent = BurstModulator(NUMEROLOGY, CODE_BITS, OVERSAMPLING), [], [], []
    for n, gap in enumerate(gaps):
        symbols = map_bits(rng.integers(0, 2, 2 * PAYLOAD), 2)
        burst = modulator.modulate(encode_header(n), symbols)
        starts.append(sum(map(len, parts)) + gap)
        parts += [np.zeros(gap), burst]
        sent.append(symbols)
    clean = np.concatenate([*parts, np.zeros(130_000)])
    turned = clean * np.exp(2j * np.pi * (cfo_hz / RATE_HZ * np.arange(len(clean)) + rng.uniform()))
    scale = np.sqrt(OVERSAMPLING / 2 * 10 ** (-snr_db / 10))
    noise = scale * (rng.standard_normal(len(clean)) + 1j * rng.standard_normal(len(clean)))
    return (turned + noise).astype(np.complex64), starts, sent


@pytest.mark.parametrize("cfo_hz", [0.0, 79e3, -52.3e3, 4687.5])
def test_bursts_are_found_at_any_offset_and_nothing_is_lost_by_the_bank(cfo_hz):
    samples, starts, sent = transmission(np.random.default_rng(1), (7001, 12_000, 900, 5000), cfo_hz, 8.0)
    wide = receiver()
    bursts = [b for b in [*wide.push(samples), *wide.flush()] if b.header is not None]
    assert [b.header for b in bursts] == [0, 1, 2, 3]
    for b, start, symbols in zip(bursts, starts, sent, strict=True):
        assert abs(b.start_sample - start) < 12 and abs(b.cfo_hz - cfo_hz) < 3 and abs(b.snr_db - 8.0) < 1
        error = np.mean(np.abs(b.symbols - symbols) ** 2)
        assert error < 1.4 * 10**-0.8  # 1.5 dB of loss in all


def test_it_is_the_same_as_one_receiver_that_was_told_the_offset():
    """The bank costs no more than a twentieth of a decibel against a receiver without one at the right frequency."""
    cfo_hz, errors = 37e3, []
    samples, _, sent = transmission(np.random.default_rng(2), (8000,) * 6, cfo_hz, 5.0)
    back = (samples * np.exp(-2j * np.pi * cfo_hz / RATE_HZ * np.arange(len(samples)))).astype(np.complex64)
    for one, x in ((receiver(), samples), (receiver(max_cfo_hz=None), back)):
        bursts = [b for b in [*one.push(x), *one.flush()] if b.header is not None]
        errors.append(np.mean([np.abs(b.symbols - s) ** 2 for b, s in zip(bursts, sent, strict=True)]))
    assert isinstance(one, BurstReceiver) and errors[0] < 1.012 * errors[1]


def test_the_cut_into_chunks_makes_no_difference():
    samples, _, _ = transmission(np.random.default_rng(3), (5000, 9000), -60e3, 10.0)
    results = []
    for size in (len(samples), 7919, 333):
        wide, bursts = receiver(), []
        for at in range(0, len(samples), size):
            bursts += wide.push(samples[at : at + size])
        results.append([(b.start_sample, b.cfo_hz, b.symbols.tobytes()) for b in [*bursts, *wide.flush()]])
    assert results[0] == results[1] == results[2] and len(results[0]) >= 2


def test_it_tracks_after_a_burst_and_looks_everywhere_again_when_there_are_none():
    samples, _, _ = transmission(np.random.default_rng(4), (5000, 5000), 60e3, 10.0)
    other, _, _ = transmission(np.random.default_rng(5), (5000, 5000), -70e3, 10.0)
    wide = receiver()
    assert not wide.tracking
    assert [b.header for b in wide.push(samples) if b.header is not None] == [0, 1] and wide.tracking
    assert not [b for b in wide.push(other) if b.header is not None] and wide.tracking  # of another sender, elsewhere
    silence = np.zeros(int(HOLD_S * RATE_HZ), np.complex64)
    assert not wide.push(silence) and not wide.tracking
    assert [b.header for b in wide.push(other) if b.header is not None] == [0, 1] and wide.tracking


def test_counts_go_on_when_receivers_are_given_up():
    samples, _, _ = transmission(np.random.default_rng(6), (5000,) * 3, 20e3, 10.0)
    wide = receiver()
    wide.push(samples)
    before = wide.detections
    wide.flush()
    assert before >= 3 and wide.detections >= before and not wide.tracking
    assert wide.truncated == 0 and wide.latency > 0


def test_narrow_offsets_need_no_bank():
    assert isinstance(receiver(max_cfo_hz=7812.5), BurstReceiver) and isinstance(receiver(), WideReceiver)


@pytest.mark.parametrize(("change", "names"), [({"oversampling": 7}, "oversampling"), ({"max_cfo_hz": 94e3}, "max_cfo"),
                                               ({"threshold": 0.0}, "threshold")])
def test_wrong_arguments_are_named(change, names):
    with pytest.raises(ValueError, match=names):
        receiver(**change)
    with pytest.raises(ValueError, match="one row"):
        receiver().push(np.zeros((2, 2)))
