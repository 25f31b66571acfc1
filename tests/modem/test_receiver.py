# SPDX-License-Identifier: GPL-3.0-or-later
import time
from fractions import Fraction

import numpy as np
import pytest
from modem_air import (
    CODE_BITS,
    NUMEROLOGY,
    calibration,
    decode_header,
    encode_header,
    make_burst,
    noise,
    offset,
    padded,
    receiver,
)
from scipy.signal import resample, resample_poly
from soundspring.channel.fading import TappedDelayLine
from soundspring.modem import BurstModulator, BurstReceiver, Numerology, demap, map_bits
from soundspring.modem.search import ChirpSearch, Detection, Place


def run(samples, **options):
    rx = receiver(**options)
    return rx.push(samples) + rx.flush(), rx


def send(rng, value, snr_db, cfo_hz=0.0, delay=1000, taps=(1.0,), payload=720):
    """One burst over one air at twice the critical rate: (received samples, payload symbols)."""
    samples, symbols = make_burst(rng, value, payload=payload)
    air = offset(np.convolve(padded(samples, delay, 2000), taps), cfo_hz, rng)
    return air + noise(rng, len(air), snr_db), symbols


@pytest.mark.parametrize("cfo_hz", [-150e3, -61e3, 0.0, 7.8e3, 150e3])
def test_acquires_at_minus_3_db_at_any_offset_time_and_phase(cfo_hz):
    rng = np.random.default_rng(abs(int(cfo_hz)))
    errors = []
    for value in range(8):
        delay = int(rng.integers(0, 9000))
        air, symbols = send(rng, value, -3, cfo_hz, delay)
        bursts, _ = run(air)
        assert [b.header for b in bursts] == [value]
        assert abs(bursts[0].start_sample - delay) <= 2
        errors.append(bursts[0].cfo_hz - cfo_hz)
        assert abs(bursts[0].snr_db + 3) < 2
        assert 0.8 < calibration(bursts[0], symbols) < 1.25
    assert np.sqrt(np.mean(np.square(errors))) < 40


def test_cost_of_synchronisation_and_calibration_over_awgn():
    """The equalised symbols are at most 0.5 dB noisier than the channel, and say so themselves."""
    for snr_db, loss_db in ((5, 0.5), (15, 0.4), (35, 0.5)):
        rng = np.random.default_rng(snr_db)
        error, ratio, stated = [], [], []
        for value in range(12):
            air, symbols = send(rng, value, snr_db, rng.uniform(-1e5, 1e5))
            burst = run(air)[0][0]
            error.append(np.mean(np.abs(burst.symbols - symbols) ** 2))
            ratio.append(calibration(burst, symbols))
            stated.append(burst.snr_db)
        assert 10 * np.log10(np.mean(error)) + snr_db < loss_db
        assert abs(np.mean(ratio) - 1) < 0.1
        assert abs(np.mean(stated) - snr_db) < 0.4


@pytest.mark.parametrize("taps", [[1, 0, 0, 0, 0, 0.6j], [0.7, *[0] * 15, 0.5j, *[0] * 8, -0.5], [0.3, *[0] * 19, 0.9]])
@pytest.mark.parametrize("snr_db", [8, 25])
def test_multipath_within_the_prefix(taps, snr_db):
    """Delays up to 12.5 of 16 critical samples; a faded carrier says that it is noisy."""
    rng = np.random.default_rng(len(taps) + snr_db)
    ratio = []
    for value in range(10):
        air, symbols = send(rng, value, snr_db, rng.uniform(-1e5, 1e5), taps=taps)
        bursts, _ = run(air)
        assert [b.header for b in bursts] == [value]
        ratio.append(calibration(bursts[0], symbols))
    assert abs(np.mean(ratio) - 1) < 0.15
    per_carrier = bursts[0].noise_var.reshape(-1, 48)[0]
    response = np.fft.fft(taps, 128)[NUMEROLOGY.carriers][~NUMEROLOGY.pilot_mask]
    expected = 10 ** (-snr_db / 10) / np.abs(response) ** 2
    assert np.corrcoef(np.log(per_carrier), np.log(expected))[0, 1] > 0.9


@pytest.mark.parametrize("ppm", [-60, 60])
@pytest.mark.parametrize("payload", [720, 9600])
def test_clock_error_of_60_ppm(ppm, payload):
    rng = np.random.default_rng(payload)
    samples, symbols = make_burst(rng, 3, payload=payload)
    samples = padded(samples, 1000, 1000)
    size = -(-len(samples) // 50000) * 50000
    samples = padded(samples, 0, size - len(samples))
    air = offset(resample(samples, size + round(size * ppm * 1e-6)), 40e3, rng)
    bursts, _ = run(air + noise(rng, len(air), 20), payload=payload)
    assert [b.header for b in bursts] == [3]
    error = np.abs(bursts[0].symbols - symbols) ** 2
    assert 10 * np.log10(error[-480:].mean()) < -19
    assert abs(calibration(bursts[0], symbols) - 1) < 0.2
    assert abs(bursts[0].clock_ppm - ppm) < (40 if payload == 720 else 3)


def test_phase_noise_is_followed():
    """A random walk of 0.03 rad a symbol would turn a burst of 60 symbols by 0.23 rad; the pilots take it out."""
    rng = np.random.default_rng(5)
    samples, symbols = make_burst(rng, 3, payload=48 * 60)
    walk = np.cumsum(rng.standard_normal(len(samples)) * 0.03 / np.sqrt(160))
    air = padded(samples * np.exp(1j * walk), 500, 500)
    bursts, _ = run(air + noise(rng, len(air), 25), payload=48 * 60)
    assert np.mean(np.abs(bursts[0].symbols - symbols) ** 2) < 2 * 10**-2.5
    assert abs(calibration(bursts[0], symbols) - 1) < 0.3


def test_slow_fading_within_a_burst_is_followed():
    """Walking pace and more: two paths that beat at 40 Hz during a burst of 17 ms."""
    rng = np.random.default_rng(5)
    samples, symbols = make_burst(rng, 3, payload=9600)
    t = np.arange(len(samples)) / 2e6
    gain = 0.8 + 0.5 * np.exp(2j * np.pi * (40 * t + 0.3))
    air = padded(samples * gain, 500, 500)
    bursts, _ = run(air + noise(rng, len(air), 25), payload=9600)
    assert [b.header for b in bursts] == [3]
    assert abs(calibration(bursts[0], symbols) - 1) < 0.15


@pytest.mark.parametrize("model, gain_db", [(("TDL-C", 300e-9, 50.0), 1.5), (None, 0.05)])
def test_a_decoded_header_shows_the_channel_once_more(model, gain_db):
    """Of a short burst at 30 dB, which asks most of the estimate: the symbols are less noisy, and say so."""
    rng = np.random.default_rng(15)
    errors, ratios = {encode_header: [], None: []}, []
    for value in range(16):
        air, symbols = make_burst(rng, value, payload=144)
        air = padded(offset(air, rng.uniform(-1e5, 1e5), rng), 500, 900).astype(np.complex64)
        if model:
            air = TappedDelayLine(*model, 2e6, int(rng.integers(1 << 31))).process(air)
        air = air + noise(rng, len(air), 30)
        for encode, found in errors.items():
            burst = run(air, payload=144, encode_header=encode)[0][0]
            found.append(np.mean(np.abs(burst.symbols - symbols) ** 2))
            ratios += [calibration(burst, symbols)] if encode else []
    with_header, without = (10 * np.log10(np.median(e)) for e in errors.values())
    assert with_header < without - gain_db and 0.8 < np.mean(ratios) < 1.25


def test_llrs_are_calibrated_over_a_faded_channel():
    """16-QAM over three paths: bits with an LLR near x are ones with probability 1 / (1 + exp(-x))."""
    rng = np.random.default_rng(12)
    sent, llrs = [], []
    for value in range(12):
        bits = rng.integers(0, 2, 4 * 2400).astype(np.uint8)
        samples = BurstModulator(NUMEROLOGY, CODE_BITS, 2).modulate(encode_header(value), map_bits(bits, 4))
        air = offset(np.convolve(padded(samples, 900, 900), [0.7, *[0] * 9, 0.6j, *[0] * 8, -0.4]), 2e4, rng)
        burst = run(air + noise(rng, len(air), 11), payload=2400)[0][0]
        sent.append(bits)
        llrs.append(demap(burst.symbols, burst.noise_var, 4, "exact"))
    sent, llrs = np.concatenate(sent), np.concatenate(llrs)
    for x in (-3.0, -1.5, 1.5, 3.0):
        near = np.abs(llrs - x) < 0.25
        assert near.sum() > 500 and abs(sent[near].mean() - 1 / (1 + np.exp(-x))) < 0.035


@pytest.mark.parametrize("gain", [1e-5, 16, 1e4])
def test_the_scale_of_the_input_does_not_matter(gain):
    rng = np.random.default_rng(13)
    air, symbols = send(rng, 8, 20, 5e4)
    (reference,), (scaled,) = run(air)[0], run(air * np.float32(gain))[0]
    assert np.allclose(scaled.symbols, reference.symbols, atol=1e-3)
    assert np.allclose(scaled.noise_var, reference.noise_var, rtol=1e-3)


def test_a_burst_without_noise_stays_finite():
    rng = np.random.default_rng(14)
    samples, symbols = make_burst(rng, 8)
    (burst,), _ = run(padded(samples, 700, 700))
    assert np.max(np.abs(burst.symbols - symbols)) < 1e-2
    assert np.all(np.isfinite(burst.noise_var)) and np.all(burst.noise_var > 0)


def test_bursts_come_within_the_stated_latency():
    rng = np.random.default_rng(15)
    air, _ = send(rng, 8, 15)
    air = np.concatenate([air, noise(rng, 40_000, 15)])
    rx = receiver()
    end = 1000 + BurstModulator(NUMEROLOGY, CODE_BITS, 2).samples_per_burst(720)
    assert [b.header for b in rx.push(air[: end + rx.latency])] == [8]


def test_searching_takes_less_than_a_third_of_a_core_at_1_ms_per_s():
    """A tenth on a core that has nothing else to do."""
    rng = np.random.default_rng(16)
    air, rx = noise(rng, 1_000_000, 0), receiver()
    rx.push(air[:100_000])
    begin = time.process_time()
    rx.push(air)
    assert time.process_time() - begin < 0.3 * len(air) / 2e6


def same(a, b):
    return (
        a.header == b.header
        and a.start_sample == b.start_sample
        and np.array_equal(a.symbols, b.symbols)
        and np.array_equal(a.noise_var, b.noise_var)
    )


@pytest.mark.parametrize("chunk", [1, 7, 997, 7552, 40000])
def test_chunks_do_not_matter(chunk):
    rng = np.random.default_rng(9)
    parts = [send(rng, v, 6, rng.uniform(-1e5, 1e5), int(rng.integers(0, 4000)))[0] for v in range(3)]
    air = np.concatenate(parts)[: 26_000 if chunk == 1 else None]
    batch, _ = run(air)
    rx = receiver()
    pieces = [b for i in range(0, len(air), chunk) for b in rx.push(air[i : i + chunk])] + rx.flush()
    assert len(batch) >= 2 and len(pieces) == len(batch)
    assert all(same(a, b) for a, b in zip(batch, pieces, strict=True))


@pytest.mark.parametrize("oversampling, up, down", [(1.5, 3, 2), (2.5, 5, 2), (4, 4, 1)])
def test_other_oversamplings_after_an_ordinary_resampler(oversampling, up, down):
    rng = np.random.default_rng(up)
    samples, symbols = make_burst(rng, 77, oversampling=1)
    air = resample_poly(padded(samples, 300, 300), up, down, window=("kaiser", 8.0))
    air = offset(air, 1e5, rng, 1e6 * oversampling)
    bursts, _ = run(air + noise(rng, len(air), 15, oversampling), oversampling=oversampling)
    assert [b.header for b in bursts] == [77]
    assert 0.75 < calibration(bursts[0], symbols) < 1.25
    assert 10 * np.log10(np.mean(np.abs(bursts[0].symbols - symbols) ** 2)) < -14


def test_back_to_back_bursts_at_any_strength():
    rng = np.random.default_rng(4)
    parts = [offset(make_burst(rng, v)[0], rng.uniform(-1e5, 1e5), rng) * g for v, g in enumerate((1, 1, 3, 1, 10, 1))]
    air = np.concatenate(parts)
    bursts, rx = run(air + noise(rng, len(air), 12))
    assert [b.header for b in bursts] == list(range(6))
    assert rx.detections == 6 and rx.header_failures == 0 and rx.truncated == 0


def test_a_burst_cut_off_does_not_hide_the_next():
    rng = np.random.default_rng(6)
    first, _ = make_burst(rng, 1)
    second, symbols = make_burst(rng, 2)
    for cut in (700, 1200, 1500, 2300, len(first) // 2, len(first) - 300):
        air = np.concatenate([np.zeros(600), first[:cut], second, np.zeros(600)])
        bursts, _ = run(air + noise(rng, len(air), 15))
        good = [b for b in bursts if b.header == 2]
        assert len(good) == 1 and abs(calibration(good[0], symbols) - 1) < 0.3


def test_a_burst_unfinished_at_the_end_is_counted_and_the_next_stream_is_clean():
    rng = np.random.default_rng(7)
    air, _ = send(rng, 1, 15)
    rx = receiver()
    assert rx.push(air[: len(air) // 2]) + rx.flush() == []
    assert rx.truncated == 1 and rx.detections == 1
    assert [b.header for b in rx.push(air) + rx.flush()] == [1]


def test_a_burst_may_begin_with_the_first_sample_and_end_with_the_last():
    rng = np.random.default_rng(8)
    for cfo_hz in (-150e3, 0, 150e3):
        samples, _ = make_burst(rng, 5)
        bursts, _ = run(offset(samples, cfo_hz, rng) + noise(rng, len(samples), 10))
        assert [b.header for b in bursts] == [5]


def test_a_place_before_the_stream_is_no_burst():
    """Chance may pair answers so that the burst would have begun where nothing was received."""
    rx = receiver()
    rx._search.step = lambda samples: [Detection([Place(-5000, 0.0)], False)]
    assert rx.push(np.zeros(40_000)) == [] and rx.detections == 0


def test_a_false_answer_long_before_does_not_hide_a_pair():
    """Its partner may be that of a burst with the largest offset, which begins four times the reach later."""
    search = ChirpSearch(NUMEROLOGY, Fraction(2), 150e3, 29.0, 0)
    search._up, search._down = np.ones((2, 4000), np.float32)
    reach = search._reach
    search._up[[100, 100 + 4 * reach]] = 20, 25
    search._down[100 + 2 * reach + search._chirp] = 25
    (found,) = search._decide()
    assert found == Detection([search._place(100 + 3 * reach, -reach)], False)


def test_two_seconds_of_noise_hold_no_burst():
    rng = np.random.default_rng(1)
    rx = receiver()
    found = []
    for _ in range(20):
        found += rx.push(noise(rng, 200_000, 0))
    assert found + rx.flush() == [] and rx.detections == 0


@pytest.mark.parametrize("kind", ["zeros", "tone", "dc", "coloured", "impulses", "ofdm", "nan"])
def test_other_signals_are_not_bursts(kind):
    rng = np.random.default_rng(2)
    n = 400_000
    quiet = noise(rng, n, 0)
    body = make_burst(rng, 1, payload=48 * 1200)[0][1600:]
    signal = {
        "zeros": np.zeros(n),
        "tone": 10 * np.exp(2j * np.pi * 0.123 * np.arange(n)) + quiet,
        "dc": 30 + quiet,
        "coloured": np.convolve(quiet, np.ones(4), mode="same"),
        "impulses": quiet + 1e4 * (rng.uniform(size=n) < 1e-4),
        "ofdm": padded(body, 0, n)[:n],
        "nan": np.where(rng.uniform(size=n) < 1e-5, np.nan, quiet),
    }[kind]
    bursts, rx = run(signal)
    assert bursts == [] and rx.detections == 0


def test_dc_offset():
    """An offset 6 dB above the burst, on a carrier that is in use because of the carrier offset."""
    rng = np.random.default_rng(3)
    symbols, air = [], []
    for value in range(6):
        samples, payload = send(rng, value, 15, 5 * 15625, 4000)
        air.append(samples)
        symbols.append(payload)
    bursts, _ = run(np.concatenate(air) + np.complex64(1.3 - 1.3j))
    assert [b.header for b in bursts] == list(range(6))
    ratio = [calibration(b, s) for b, s in zip(bursts, symbols, strict=True)]
    assert abs(np.mean(ratio[2:]) - 1) < 0.15


@pytest.mark.parametrize("cfo_hz", [-150e3, -41e3, 12e3, 150e3])
@pytest.mark.parametrize("faded", [slice(0, 640), slice(640, 1280)])
def test_one_chirp_is_enough(faded, cfo_hz):
    """Fading hides the up-chirp or the down-chirp, by 25 dB: the other one leaves the carrier offset open."""
    rng = np.random.default_rng(17)
    samples, symbols = make_burst(rng, 9)
    samples[faded] *= 10 ** (-25 / 20)
    air = offset(padded(samples, 700, 900), cfo_hz, rng)
    bursts, rx = run(air + noise(rng, len(air), -2))
    assert [b.header for b in bursts] == [9] and rx.detections == 1
    assert abs(bursts[0].start_sample - 700) <= 8 and abs(bursts[0].cfo_hz - cfo_hz) < 200
    assert 0.75 < calibration(bursts[0], symbols) < 1.35


def test_one_chirp_without_a_header_is_nothing():
    rng = np.random.default_rng(18)
    samples, _ = make_burst(rng, 9)
    for part in (slice(0, 640), slice(640, 1280)):
        air = padded(samples[part], 3000, 9000)
        bursts, rx = run(air + noise(rng, len(air), 5))
        assert bursts == [] and rx.detections == rx.header_failures == rx.truncated == 0


def test_a_failed_header_is_reported_and_counted():
    rng = np.random.default_rng(3)
    samples, _ = make_burst(rng, 9)
    samples[1600 : 1600 + 8 * 160] = 0
    bursts, rx = run(padded(samples, 500, 500) + noise(rng, len(samples) + 1000, 10))
    assert [b.header for b in bursts] == [None] and len(bursts[0].symbols) == len(bursts[0].noise_var) == 0
    assert rx.detections == rx.header_failures == 1


def test_an_absurd_length_is_a_failed_header():
    rng = np.random.default_rng(3)
    samples, _ = send(rng, 9, 10)
    bursts, rx = run(samples, payload=10**9)
    assert [b.header for b in bursts] == [None] and rx.header_failures == 1


def test_samples_that_are_not_finite_are_ignored():
    rng = np.random.default_rng(3)
    air, _ = send(rng, 9, 15)
    air[[100, 5000, 8000]] = np.nan, np.inf, -np.inf
    assert [b.header for b in run(air)[0]] == [9]


@pytest.mark.parametrize(
    "options, name",
    [
        ({"oversampling": 1}, "oversampling"),
        ({"oversampling": 1.7}, "oversampling"),
        ({"threshold": 0}, "threshold"),
        ({"max_cfo_hz": 4e5}, "max_cfo_hz"),
    ],
)
def test_wrong_arguments_are_named(options, name):
    with pytest.raises(ValueError, match=name):
        receiver(**options)


def test_a_header_has_a_bit():
    options = {"decode_header": decode_header, "payload_symbols": lambda _: 0}
    with pytest.raises(ValueError, match="header_code_bits"):
        BurstReceiver(NUMEROLOGY, 0, **options)
    assert BurstReceiver(NUMEROLOGY, 1, **options).detections == 0


def test_the_largest_offset_of_a_slow_signal():
    """Its search blocks are shorter than what has to be seen before anything can be settled."""
    numerology, rng = Numerology(cp=8, rate=31250.0), np.random.default_rng(19)
    samples = BurstModulator(numerology, CODE_BITS, 2).modulate(encode_header(5), np.ones(480))
    air = offset(padded(samples, 700, 900), 7500.0, rng, 62_500.0)
    rx = BurstReceiver(numerology, CODE_BITS, decode_header, lambda _: 480, max_cfo_hz=0.25 * numerology.rate)
    assert [b.header for b in rx.push(air + noise(rng, len(air), 10)) + rx.flush()] == [5]


def test_other_numerologies():
    """A wider DFT, another prefix, other pilots and rate, a receiver from the same two numbers."""
    rng = np.random.default_rng(3)
    for numerology in (Numerology(128, 24, 88, 8, 2e6), Numerology(32, 8, 20, 4, 250e3)):
        modulator = BurstModulator(numerology, 30, 2)
        bits = rng.integers(0, 2, 30).astype(np.uint8)
        symbols = np.exp(2j * np.pi * rng.uniform(size=500))
        air = padded(modulator.modulate(bits, symbols), 900, 900)
        air = offset(air, 0.1 * numerology.rate, rng, 2 * numerology.rate)
        rx = BurstReceiver(numerology, 30, lambda llr: (llr > 0).astype(np.uint8), lambda _: 500)
        bursts = rx.push(air + noise(rng, len(air), 20)) + rx.flush()
        assert len(bursts) == 1 and np.array_equal(bursts[0].header, bits)
        assert 0.7 < calibration(bursts[0], symbols) < 1.3
