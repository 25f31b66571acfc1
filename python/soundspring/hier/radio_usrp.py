# SPDX-License-Identifier: GPL-3.0-or-later
"""USRPs by GNU Radio's own gr-uhd. Python's `uhd` cannot live in one process with it: it looks from another."""

import json
import subprocess
import sys
from functools import partial

from .radio_address import Address
from .radio_end import End, Gain

TRANSMIT_LEVEL = -12.0
FIND_S = 60
_FIND = "import json, sys, uhd; print(json.dumps([dict(a.to_dict()) for a in uhd.find(sys.argv[1])]))"


def find(arguments: str = "") -> list[dict] | None:
    """The devices that answer to `arguments`, each a dictionary; None where python3-uhd is not installed."""
    command = [sys.executable, "-c", _FIND, arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FIND_S)
    if "No module named 'uhd'" in done.stderr:
        return None
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if not done.returncode and lines else []


def source(address: Address, rate: float) -> End:
    """Receive. Full scale of the converter is 1."""
    from gnuradio import uhd

    device = _open(uhd.usrp_source, address, uhd.stream_args(cpu_format="fc32", channels=[0]))
    rate = _set_up(uhd, device, address, rate)
    agc = address.options.get("agc")
    if agc == "device":
        device.set_rx_agc(True, 0)
    gain = _gain(device) if agc == "measured" else None
    return End([device], rate, gain=gain, sensors=partial(sensors, device))


def _gain(device) -> Gain:
    limits = device.get_gain_range(0)
    return Gain(limits.start(), limits.stop(), lambda decibels: device.set_gain(decibels, 0))


def sink(address: Address, rate: float) -> End:
    """Send. `gain` in dB as of the device; its power is not calibrated."""
    from gnuradio import uhd

    device = _open(uhd.usrp_sink, address, uhd.stream_args(cpu_format="fc32", channels=[0]), "")
    rate = _set_up(uhd, device, address, rate)
    return End([device], rate, level=TRANSMIT_LEVEL, sensors=partial(sensors, device))


def sensors(device) -> dict[str, str]:
    """What the device's sensors say now: LO locked, temperature, RSSI, reference locked, as far as it has them."""
    readings = {name: device.get_sensor(name, 0) for name in device.get_sensor_names(0)}
    readings |= {name: device.get_mboard_sensor(name, 0) for name in device.get_mboard_sensor_names(0)}
    return {name: reading.value for name, reading in readings.items()}


def _arguments(address: Address) -> str:
    """The device arguments, when a device answers to them or nobody can tell."""
    found = find(address.target)
    if found is not None and not found:
        raise OSError(f"radio: no USRP answers to {address.target or 'any address'}; is it plugged in? "
                      "Try `uhd_find_devices`")
    return address.target


def _open(make, address: Address, *arguments):
    """The block; what UHD says where a device is found and cannot be used."""
    try:
        return make(_arguments(address), *arguments)
    except RuntimeError as error:
        raise OSError(f"radio: the USRP {address.target} is there but cannot be used: {error}") from error


def _set_up(uhd, device, address: Address, rate: float) -> float:
    """Apply the options; the rate that the device chose."""
    o = address.options
    if "clock" in o:
        device.set_clock_source(o["clock"], 0)
        device.set_time_source(o["clock"], 0)
    device.set_samp_rate(o.get("rate", rate))
    device.set_center_freq(uhd.tune_request(o["frequency"]), 0)
    if "gain" in o:
        device.set_gain(o["gain"], 0)
    if "antenna" in o:
        device.set_antenna(o["antenna"], 0)
    if "bandwidth" in o:
        device.set_bandwidth(o["bandwidth"], 0)
    return device.get_samp_rate()
