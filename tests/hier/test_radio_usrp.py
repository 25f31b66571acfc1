# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call to gr-uhd, against a recording FAKE of it. Says nothing about a real device."""

import sys
import types

import pytest

gr = pytest.importorskip("gnuradio.gr")
import gnuradio  # noqa: E402
from gnuradio import blocks  # noqa: E402
from soundspring.hier import radio_usrp  # noqa: E402
from soundspring.hier.radio import radio_sink, radio_source  # noqa: E402


class FakeDevice(gr.hier_block2):
    """A FAKE USRP: notes the calls; its samples come from and go nowhere. Rates come in steps of 100 MS/s / n."""

    def __init__(self, calls: list, kind: str, *arguments):
        one, none = gr.io_signature(1, 1, gr.sizeof_gr_complex), gr.io_signature(0, 0, 0)
        gr.hier_block2.__init__(self, kind, *((none, one) if kind == "usrp_source" else (one, none)))
        self._calls, self._rate = calls, 0.0
        self._part = (blocks.null_source if kind == "usrp_source" else blocks.null_sink)(gr.sizeof_gr_complex)
        self.connect(*((self._part, self) if kind == "usrp_source" else (self, self._part)))
        calls.append((kind, *arguments))

    def __getattr__(self, name):
        if not name.startswith("set_"):
            return super().__getattr__(name)
        return lambda *arguments: self._calls.append((name, *arguments))

    def set_samp_rate(self, rate):
        self._calls.append(("set_samp_rate", rate))
        self._rate = 100e6 / round(100e6 / rate)

    def get_samp_rate(self):
        return self._rate

    def get_sensor_names(self, channel):
        return ("lo_locked",)

    def get_mboard_sensor_names(self, board):
        return ("ref_locked",)

    def get_sensor(self, name, channel):
        return types.SimpleNamespace(value="true")

    get_mboard_sensor = get_sensor


@pytest.fixture
def calls(monkeypatch):
    """gnuradio.uhd replaced by a fake that notes its calls here; one device is found."""
    calls: list = []
    uhd = types.ModuleType("gnuradio.uhd")
    uhd.stream_args = lambda **arguments: arguments
    uhd.tune_request = lambda frequency: ("tune", frequency)
    for kind in ("usrp_source", "usrp_sink"):
        setattr(uhd, kind, lambda *arguments, kind=kind: FakeDevice(calls, kind, *arguments))
    monkeypatch.setitem(sys.modules, "gnuradio.uhd", uhd)
    monkeypatch.setattr(gnuradio, "uhd", uhd, raising=False)
    monkeypatch.setattr(radio_usrp, "find", lambda arguments: [{"type": "fake"}])
    return calls


STREAM = {"cpu_format": "fc32", "channels": [0]}


def test_every_option_to_receive(calls):
    radio = radio_source("usrp:type=b200,frequency=2.45G,gain=40,antenna=RX2,bandwidth=1M,clock=external", 2e6)
    assert calls == [
        ("usrp_source", "type=b200", STREAM),
        ("set_clock_source", "external", 0),
        ("set_time_source", "external", 0),
        ("set_samp_rate", 2e6),
        ("set_center_freq", ("tune", 2.45e9), 0),
        ("set_gain", 40, 0),
        ("set_antenna", "RX2", 0),
        ("set_bandwidth", 1e6, 0),
    ]
    assert radio.end.rate == 2e6


def test_no_more_than_is_asked_for(calls):
    radio_source("usrp:,frequency=1G,agc=device", 2e6)
    assert [name for name, *_ in calls] == ["usrp_source", "set_samp_rate", "set_center_freq", "set_rx_agc"]
    assert calls[-1] == ("set_rx_agc", True, 0)


def test_a_measured_gain(calls, monkeypatch):
    limits = types.SimpleNamespace(start=lambda: 0.0, stop=lambda: 76.0)
    monkeypatch.setattr(FakeDevice, "get_gain_range", lambda self, channel: limits, raising=False)
    gain = radio_source("usrp:,frequency=1G,agc=measured", 2e6).end.gain
    gain.set(40.0)
    assert (gain.least, gain.most) == (0.0, 76.0) and calls[-1] == ("set_gain", 40.0, 0)


def test_sending(calls):
    radio = radio_sink("usrp:addr=192.168.10.2,frequency=433.92M,gain=10", 2e6)
    assert calls[0] == ("usrp_sink", "addr=192.168.10.2", STREAM, "") and ("set_gain", 10, 0) in calls
    assert radio.end.level < -6  # room for the peaks of OFDM


def test_a_rate_that_the_device_does_not_have_is_resampled(calls):
    radio = radio_source("usrp:,frequency=1G", 3e6)
    assert radio.end.rate == pytest.approx(100e6 / 33) and len(radio._blocks) == 3  # it, a resampler, what gathers


def test_sensors(calls):
    device = FakeDevice(calls, "usrp_source")
    locked = {"lo_locked": "true", "ref_locked": "true"}
    assert radio_usrp.sensors(device) == locked
    assert radio_source("usrp:,frequency=1G", 2e6).end.sensors() == locked
    assert radio_sink("usrp:,frequency=1G,gain=10", 2e6).end.sensors() == locked


def test_a_device_that_does_not_answer(monkeypatch, calls):
    monkeypatch.setattr(radio_usrp, "find", lambda arguments: [])
    with pytest.raises(OSError, match="uhd_find_devices"):
        radio_source("usrp:serial=1,frequency=1G", 2e6)
    assert calls == []


def test_a_device_that_cannot_be_used(monkeypatch, calls):
    """Found, but held by another program, for instance."""
    def refuse(*arguments):
        raise RuntimeError("someone else has it")

    monkeypatch.setattr(gnuradio.uhd, "usrp_sink", refuse)
    with pytest.raises(OSError, match="serial=1 is there but cannot be used: someone else has it"):
        radio_sink("usrp:serial=1,frequency=1G,gain=0", 2e6)


def test_without_python3_uhd_the_device_is_tried(monkeypatch, calls):
    monkeypatch.setattr(radio_usrp, "find", lambda arguments: None)
    radio_source("usrp:serial=1,frequency=1G", 2e6)
    assert calls[0][1] == "serial=1"


@pytest.mark.parametrize(
    ("code", "out", "error", "found"),
    [
        (0, '[INFO] hello\n[{"type": "b200"}]\n', "", [{"type": "b200"}]),
        (0, "[]\n", "", []),
        (1, "", "ModuleNotFoundError: No module named 'uhd'", None),
        (1, "", "Killed", []),
    ],
)
def test_devices_are_looked_for_in_another_process(monkeypatch, code, out, error, found):
    commands = []

    def run(command, **more):
        commands.append(command)
        return types.SimpleNamespace(returncode=code, stdout=out, stderr=error)

    monkeypatch.setattr(radio_usrp.subprocess, "run", run)
    assert radio_usrp.find("type=b200") == found
    assert commands[0][0] == sys.executable and commands[0][-1] == "type=b200"
