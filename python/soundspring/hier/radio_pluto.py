# SPDX-License-Identifier: GPL-3.0-or-later
"""ADALM-Pluto and its relatives by GNU Radio's own gr-iio, which also loads the FIR filter that low rates need."""

import ctypes
import logging
from functools import partial

from gnuradio import iio

from .radio_address import Address
from .radio_end import End, Gain

_log = logging.getLogger(__name__)
MINIMUM_RATE, MAXIMUM_RATE = 525e3, 61.44e6  # below 2.084e6 gr-iio loads the FIR filter
TRANSMIT_LEVEL = -12.0  # room for the peaks of OFDM below full scale
BUFFER_S = 0.01
AGC = {"slow": "slow_attack", "fast": "fast_attack", "hybrid": "hybrid"}
GAINS = (0.0, 71.0)  # dB, in the whole range of frequencies
STATUS = 0x80000088  # register of the converters: what was lost on the way
CHANNELS = [True, True]  # I and Q of the first channel


def source(address: Address, rate: float) -> End:
    """Receive. Full scale of the converter is 1."""
    o = address.options
    rate = _rate(o.get("rate", max(rate, MINIMUM_RATE)))
    _narrow(_uri(address), int(o.get("bandwidth", rate)))
    block = _make(iio.fmcomms2_source_fc32, address, rate)
    _immortal(block)
    block.set_frequency(o["frequency"])
    block.set_samplerate(int(rate))
    agc = AGC.get(o.get("agc", "slow"))
    for _ in range(2):  # gr-iio writes the mode of the call before
        block.set_gain_mode(0, "manual" if "gain" in o or agc is None else agc)
    if "gain" in o:
        block.set_gain(0, o["gain"])
    for correct in (block.set_quadrature, block.set_rfdc, block.set_bbdc):
        correct(True)
    block.set_filter_params("Auto", "", 0.0, 0.0)
    gain = None if agc else Gain(*GAINS, lambda decibels: block.set_gain(0, decibels))
    return End([block], rate, gain=gain, sensors=partial(sensors, _uri(address)))


def _narrow(uri: str, hertz: int) -> None:
    """Set the receiver's analog filter: gr-iio's source leaves it at its widest, 18 MHz, and has no call for it.

    By the library that gr-iio itself uses, before gr-iio takes the board: by USB only one may have it.
    """
    try:
        lib = ctypes.CDLL("libiio.so.0")
        for call in ("iio_create_context_from_uri", "iio_context_find_device", "iio_device_find_channel"):
            getattr(lib, call).restype = ctypes.c_void_p
        lib.iio_channel_attr_write.restype = ctypes.c_ssize_t
        context = ctypes.c_void_p(lib.iio_create_context_from_uri(uri.encode()))
    except (OSError, AttributeError) as error:
        _log.warning("the analog filter of the receiver stays as it is: %s", error)
        return
    if not context:
        return  # who makes the block says why
    phy = ctypes.c_void_p(lib.iio_context_find_device(context, b"ad9361-phy"))
    channel = phy and ctypes.c_void_p(lib.iio_device_find_channel(phy, b"voltage0", False))
    if not channel or lib.iio_channel_attr_write(channel, b"rf_bandwidth", str(hertz).encode()) < 0:
        _log.warning("the analog filter of the receiver cannot be set to %d Hz and stays as it is", hertz)
    lib.iio_context_destroy(context)


def _uri(address: Address) -> str:
    return address.target or iio.get_pluto_uri()


def sink(address: Address, rate: float) -> End:
    """Send. `attenuation` is that of the board, 0 to 89.75 dB below its full power of some 7 dBm."""
    o = address.options
    rate = _rate(o.get("rate", max(rate, MINIMUM_RATE)))
    if not 0 <= o["attenuation"] <= 89.75:
        raise ValueError(f"radio: pluto: attenuation must be from 0 to 89.75 dB, not {o['attenuation']:g}")
    block = _make(iio.fmcomms2_sink_fc32, address, rate, False)
    block.set_attenuation(0, o["attenuation"])
    block.set_bandwidth(int(o.get("bandwidth", rate)))
    block.set_frequency(o["frequency"])
    block.set_samplerate(int(rate))
    block.set_filter_params("Auto", "", 0.0, 0.0)
    return End([block], rate, level=TRANSMIT_LEVEL, sensors=partial(sensors, _uri(address)))


def sensors(uri: str) -> dict[str, float | bool]:
    """What the board says now: `rssi_db` (dB below full scale), `temperature_c`, and whether samples were lost.

    Needs libiio's Python module (`apt install python3-libiio`; pyadi-iio brings it too). `overflow` and `underflow`
    are since the last look, which is this function's or gr-iio's own, once a second.
    """
    import iio as libiio

    context = libiio.Context(uri)
    phy = context.find_device("ad9361-phy")
    seen = {
        "rssi_db": float(phy.find_channel("voltage0", False).attrs["rssi"].value.split()[0]),
        "temperature_c": float(phy.find_channel("temp0", False).attrs["input"].value) / 1000,
    }
    for name, device, bit in (("overflow", "cf-ad9361-lpc", 4), ("underflow", "cf-ad9361-dds-core-lpc", 1)):
        converter = context.find_device(device)
        seen[name] = bool(converter.reg_read(STATUS) & bit)
        converter.reg_write(STATUS, bit)
    return seen


def _immortal(block) -> None:
    """Never let go of a source: before GNU Radio 3.10.8 its destructor may wait for ever (pull request 6776)."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(block))


def _rate(rate: float) -> float:
    if not MINIMUM_RATE <= rate <= MAXIMUM_RATE:
        raise ValueError(f"radio: pluto: rate must be from {MINIMUM_RATE:g} to {MAXIMUM_RATE:g}, not {rate:g}")
    return round(rate)


def _make(block, address: Address, rate: float, *more):
    """gr-iio says what failed only in its log; say what to look at."""
    size = int(address.options.get("buffer", 1 << max(int(rate * BUFFER_S) - 1, 1).bit_length()))
    try:
        return block(_uri(address), CHANNELS, size, *more)
    except RuntimeError as error:
        where = address.target or "on USB or the network"
        raise OSError(f"radio: no Pluto answers {where} ({error}); is it plugged in? Try `iio_info -s`") from error
