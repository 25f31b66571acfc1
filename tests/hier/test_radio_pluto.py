# SPDX-License-Identifier: GPL-3.0-or-later
"""gr-iio, and pyadi-iio where it is installed, against a FAKE Pluto. Says nothing about a real one's radio."""

import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr")
pytest.importorskip("gnuradio.iio")
import fake_pluto  # noqa: E402
from gnuradio import blocks  # noqa: E402
from soundspring.hier.radio import radio_sink, radio_source  # noqa: E402


@pytest.fixture
def fake():
    board = fake_pluto.board()
    board.ask("RESET")
    return board


def test_what_is_asked_for_is_set_on_the_board(fake):
    radio_sink(f"pluto:{fake.uri},frequency=433.92M,attenuation=30.5,bandwidth=1.5M", 2e6)
    radio_source(f"pluto:{fake.uri},frequency=433.95M,gain=42", 2e6)
    written = fake.written
    wanted = {
        "phy/out_altvoltage1_TX_LO_frequency": 433.92e6,
        "phy/out_altvoltage0_RX_LO_frequency": 433.95e6,
        "phy/out_voltage0_hardwaregain": -30.5,
        "phy/out_voltage_rf_bandwidth": 1.5e6,
        "phy/out_voltage_sampling_frequency": 2e6,
        "phy/in_voltage0_hardwaregain": 42,
        "phy/in_out_voltage_filter_fir_en": 1,  # 2 MS/s need the FIR filter
    }
    assert {name: float(written[name]) for name in wanted} == wanted
    assert written["phy/filter_fir_config"].startswith("RX 3 GAIN") and len(written["phy/filter_fir_config"]) > 500
    assert written["phy/in_voltage0_gain_control_mode"] == "manual"


@pytest.mark.parametrize(
    ("option", "mode"), [("", "slow_attack"), (",agc=fast", "fast_attack"), (",agc=hybrid", "hybrid")]
)
def test_gain_control_of_the_board(fake, option, mode):
    radio_source(f"pluto:{fake.uri},frequency=1G{option}", 2e6)
    assert fake.written["phy/in_voltage0_gain_control_mode"] == mode


def test_the_receivers_analog_filter_is_set(fake):
    radio_source(f"pluto:{fake.uri},frequency=1G,bandwidth=1.2M", 2e6)
    assert float(fake.written["phy/in_voltage_rf_bandwidth"]) == 1.2e6
    radio_source(f"pluto:{fake.uri},frequency=1G", 2e6)
    assert float(fake.written["phy/in_voltage_rf_bandwidth"]) == 2e6


def test_a_measured_gain_can_be_set_while_the_radio_runs(fake):
    source = radio_source(f"pluto:{fake.uri},frequency=1G,agc=measured", 2e6)
    gain = source.end.gain
    gain.set(31.0)
    assert fake.written["phy/in_voltage0_gain_control_mode"] == "manual" and gain.least < 31 < gain.most
    assert float(fake.written["phy/in_voltage0_hardwaregain"]) == 31
    assert radio_source(f"pluto:{fake.uri},frequency=1G,agc=fast", 2e6).end.gain is None


def test_samples_come_back_at_the_level_they_were_sent(fake):
    rng = np.random.default_rng(3)
    sent = (0.2 * (rng.standard_normal(60000) + 1j * rng.standard_normal(60000))).astype(np.complex64)
    top, out = gr.top_block(), blocks.vector_sink_c()
    sink = radio_sink(f"pluto:{fake.uri},frequency=1G,attenuation=10,level=0,buffer=4096", 2e6)
    source = radio_source(f"pluto:{fake.uri},frequency=1G,buffer=4096", 2e6)
    top.connect(blocks.vector_source_c(sent.tolist(), True), sink)
    top.connect(source, blocks.head(gr.sizeof_gr_complex, 150000), out)
    end = time.monotonic() + 60
    top.start()
    while len(out.data()) < 150000 and time.monotonic() < end:
        time.sleep(0.05)
    top.stop()
    top.wait()
    got = np.array(out.data(), np.complex64)[:150000]
    begin = int(np.flatnonzero(np.abs(got) > 0)[0])
    whole = got[begin : begin + 60000]
    clipped = np.clip(sent.real, -1, 2047 / 2048) + 1j * np.clip(sent.imag, -1, 2047 / 2048)
    assert np.abs(whole - clipped).max() < 2 / 2048  # of the converter's 12 bits


def test_a_rate_below_the_boards_is_resampled(fake):
    source = radio_source(f"pluto:{fake.uri},frequency=1G", 250e3)
    assert source.end.rate == 525e3
    sink = radio_sink(f"pluto:{fake.uri},frequency=1G,attenuation=10,rate=4M", 2e6)
    assert sink.end.rate == 4e6 and float(fake.written["phy/out_voltage_sampling_frequency"]) == 4e6


@pytest.mark.parametrize(
    ("options", "says"),
    [("attenuation=90", "89.75"), ("attenuation=-1", "89.75"), ("attenuation=9,rate=9k", "rate must be")],
)
def test_what_the_board_cannot_do_is_refused(fake, options, says):
    with pytest.raises(ValueError, match=says):
        radio_sink(f"pluto:{fake.uri},frequency=1G,{options}", 2e6)


def test_a_board_that_does_not_answer():
    with pytest.raises(OSError, match="iio_info"):
        radio_source("pluto:ip:127.0.0.1:1,frequency=1G", 2e6)


def test_pyadi_iio_reads_what_gr_iio_set(fake):
    adi = pytest.importorskip("adi")
    radio_source(f"pluto:{fake.uri},frequency=915M,gain=33", 2e6)
    board = adi.Pluto(fake.uri)
    assert (board.rx_lo, board.gain_control_mode_chan0, board.rx_hardwaregain_chan0) == (915000000, "manual", 33)


def test_sensors(fake):
    pytest.importorskip("iio")
    from soundspring.hier.radio_pluto import sensors

    seen = {"rssi_db": 95.25, "temperature_c": 36.842, "overflow": False, "underflow": False}
    assert sensors(fake.uri) == seen
    assert radio_source(f"pluto:{fake.uri},frequency=1G", 2e6).end.sensors() == seen
    assert radio_sink(f"pluto:{fake.uri},frequency=1G,attenuation=60", 2e6).end.sensors() == seen
