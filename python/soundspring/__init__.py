# SPDX-License-Identifier: GPL-3.0-or-later
"""SoundSpring: speech over radio with a neural codec and one masked language model.

From the source tree this package is `soundspring`, installed it is `gnuradio.soundspring`. Importing it loads nothing
heavy: a block is imported when its name is first used (PEP 562), so that a machine without torch or without GNU Radio
can still use the rooms it has the means for.
"""

from importlib import import_module as _import_module

__version__ = "0.1.0.0"

# public name -> the module that has it: the GNU Radio blocks, one file each
_HOME: dict[str, str] = {
    name: f".blocks.{name}"
    for name in (
        "burst_modulator",
        "burst_receiver",
        "channel_model",
        "codec_decoder",
        "codec_encoder",
        "concealer",
        "entropy_decoder",
        "entropy_encoder",
        "jscc_decoder",
        "jscc_encoder",
        "ldpc_decoder",
        "ldpc_encoder",
        "packet_formatter",
        "packet_loss",
        "packet_opener",
        "packet_parser",
        "packet_sealer",
        "qam_mapper",
        "rate_controller",
        "soft_demapper",
    )
} | {name: f".hier.{name}" for name in ("jscc_receiver", "jscc_transmitter", "receiver", "transmitter")} | {
    name: ".hier.radio" for name in ("radio_sink", "radio_source")
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(_import_module(_HOME[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
