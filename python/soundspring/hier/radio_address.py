# SPDX-License-Identifier: GPL-3.0-or-later
"""One syntax for all radios: KIND:TARGET,key=value,key=value.

    pluto:ip:192.168.2.1,frequency=433.9M,attenuation=30
    usrp:type=b200,frequency=2.45G,gain=40,antenna=RX2     what is no option of ours is an argument of the device
    zmq:tcp://127.0.0.1:5555
    file:capture.sigmf-meta
    loopback,channel=rayleigh,snr=15
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_UNITS = {"k": 1e3, "M": 1e6, "G": 1e9}
LICENCE = (
    "neither frequency nor power has a default, because most frequencies need a licence and all have a power limit: "
    "use those that you may use, or a cable with attenuators (docs/radios.md)"
)


def number(text: str) -> float:
    """"433.92M" -> 433920000.0; k, M and G are understood. ValueError for what is no finite number."""
    scale = _UNITS.get(text[-1:], 1.0)
    value = float(text[:-1] if text[-1:] in _UNITS else text)
    if not abs(value) < 1e15:
        raise ValueError("not finite")
    return value * scale


def whole(text: str) -> int:
    """A whole number, with a unit or without."""
    value = number(text)
    if value != int(value):
        raise ValueError("not whole")
    return int(value)


def truth(text: str) -> bool:
    if text not in ("yes", "no"):
        raise ValueError("neither yes nor no")
    return text == "yes"


def one_of(*words: str) -> Callable[[str], str]:
    """A converter that takes only these words."""

    def convert(text: str) -> str:
        if text not in words:
            raise ValueError(f"none of {', '.join(words)}")
        return text

    return convert


_RADIO = {"frequency": number, "rate": number, "bandwidth": number, "level": number}
_CHANNEL = {"channel": one_of("none", "awgn", "rayleigh", "rician", "tdl-a", "tdl-c"), "snr": number, "cfo": number,
            "clock_ppm": number, "doppler": number, "seed": whole}
CHANNEL_OPTIONS = frozenset(_CHANNEL)
_BOARD = {"clock": one_of("internal", "external", "gpsdo", "mimo"), "antenna": str, "gain": number}


@dataclass(frozen=True)
class Kind:
    """What an address of one kind may say: an example of its target, its options, and those that must be given."""

    example: str
    source: dict[str, Callable[[str], Any]]
    sink: dict[str, Callable[[str], Any]]
    source_needs: tuple[str, ...] = ()
    sink_needs: tuple[str, ...] = ()
    target_needed: bool = True


KINDS = {
    "pluto": Kind(
        "pluto:ip:192.168.2.1",
        _RADIO | {"gain": number, "agc": one_of("slow", "fast", "hybrid", "measured"), "buffer": whole},
        _RADIO | {"attenuation": number, "buffer": whole},
        ("frequency",),
        ("frequency", "attenuation"),
        target_needed=False,
    ),
    "usrp": Kind(
        "usrp:type=b200",
        _RADIO | _BOARD | {"agc": one_of("device", "measured")},
        _RADIO | _BOARD,
        ("frequency",),
        ("frequency", "gain"),
        target_needed=False,
    ),
    "zmq": Kind(
        "zmq:tcp://127.0.0.1:5555",
        {"rate": number, "level": number, "pattern": one_of("pub", "push")} | _CHANNEL,
        {"rate": number, "level": number, "pattern": one_of("pub", "push"), "pace": truth},
    ),
    "file": Kind(
        "file:capture.sigmf-meta",
        {"level": number, "repeat": truth, "pace": truth} | _CHANNEL,
        {"level": number, "rate": number, "frequency": number, "format": one_of("ci16_le", "cf32_le")},
    ),
    "loopback": Kind("loopback", _CHANNEL | {"level": number}, {"level": number}, target_needed=False),
}


@dataclass(frozen=True)
class Address:
    """A radio as the user named it; `options` has only what was given, as numbers, words or truths."""

    kind: str
    target: str
    options: dict[str, Any] = field(default_factory=dict)


def parse(text: str, direction: str) -> Address:
    """Read an address for `direction` "source" (to receive) or "sink" (to send).

    Raises:
        ValueError: naming what is wrong with it, or what is missing.
    """
    name, _, rest = text.strip().partition(":")
    if not rest and "," in name:  # loopback,snr=12
        name, _, rest = name.partition(",")
        rest = "," + rest
    if name not in KINDS:
        examples = ", ".join(kind.example for kind in KINDS.values())
        raise ValueError(f"radio: {text!r} begins with none of {', '.join(KINDS)}; addresses look like {examples}")
    known = getattr(KINDS[name], direction)
    target, options = [], {}
    for part in filter(None, rest.split(",")):
        key, equals, value = part.partition("=")
        if equals and key in known:
            options[key] = _convert(name, key, value, known[key])
        elif equals and name != "usrp":
            raise ValueError(f"radio: {name} has no option {key!r} to {_verb(direction)}; it has {', '.join(known)}")
        else:
            target.append(part)
    _check(name, direction, ",".join(target), options)
    return Address(name, ",".join(target), options)


def _verb(direction: str) -> str:
    return "receive" if direction == "source" else "send"


def _convert(name: str, key: str, value: str, convert: Callable[[str], Any]) -> Any:
    if not value:
        raise ValueError(f"radio: {name}: {key}= is empty; give it a value, or leave it out where it has a default")
    try:
        return convert(value)
    except ValueError as error:
        wrong = "no number; 433.92M is one" if convert in (number, whole) else str(error)
        raise ValueError(f"radio: {name}: {key}={value} is {wrong}") from error


def _check(name: str, direction: str, target: str, options: dict) -> None:
    kind = KINDS[name]
    if kind.target_needed and not target:
        raise ValueError(f"radio: {name} needs more, such as {kind.example}")
    missing = [key for key in getattr(kind, direction + "_needs") if key not in options]
    if missing:
        also = f"; {LICENCE}" if direction == "sink" else ""
        wanted = " and ".join(f"{key}=..." for key in missing)
        raise ValueError(f"radio: to {_verb(direction)} with {name} add {wanted}{also}")
    for key in ("rate", "frequency", "bandwidth", "buffer"):
        if options.get(key, 1) <= 0:
            raise ValueError(f"radio: {name}: {key} must be above 0")
    if "gain" in options and "agc" in options:
        raise ValueError(f"radio: {name}: gain and agc exclude each other; leave one out")
