# SPDX-License-Identifier: GPL-3.0-or-later
"""Addresses of radios: what they may say, and what a wrong one is answered."""

import pytest
from soundspring.hier.radio_address import KINDS, number, parse


def test_a_board_with_its_options():
    radio = parse("pluto:ip:192.168.2.1,frequency=433.92M,attenuation=30,bandwidth=1M", "sink")
    assert (radio.kind, radio.target) == ("pluto", "ip:192.168.2.1")
    assert radio.options == {"frequency": 433.92e6, "attenuation": 30, "bandwidth": 1e6}


def test_what_is_no_option_of_ours_is_an_argument_of_the_usrp():
    radio = parse("usrp:type=b200,frequency=2.45G,serial=31,gain=40,antenna=RX2,clock=external", "source")
    assert radio.target == "type=b200,serial=31"
    assert radio.options == {"frequency": 2.45e9, "gain": 40, "antenna": "RX2", "clock": "external"}


@pytest.mark.parametrize(
    ("text", "target", "options"),
    [
        ("loopback", "", {}),
        ("loopback,snr=12,channel=rayleigh", "", {"snr": 12, "channel": "rayleigh"}),
        ("loopback:a,cfo=-1k,seed=3", "a", {"cfo": -1000, "seed": 3}),
        ("zmq:tcp://127.0.0.1:5555,pattern=push", "tcp://127.0.0.1:5555", {"pattern": "push"}),
        ("file:a, b.sigmf-meta,repeat=yes", "a, b.sigmf-meta", {"repeat": True}),
        ("pluto:,frequency=1G,agc=fast", "", {"frequency": 1e9, "agc": "fast"}),
    ],
)
def test_targets_and_options(text, target, options):
    radio = parse(text, "source")
    assert (radio.target, radio.options) == (target, options)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("1.5k", 1500), ("433.92M", 433.92e6), ("-2G", -2e9)])
def test_numbers(text, value):
    assert number(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "k", "nan", "inf", "1MM", "0x10"])
def test_no_numbers(text):
    with pytest.raises(ValueError):
        number(text)


@pytest.mark.parametrize(
    ("text", "direction", "says"),
    [
        ("radio:1", "sink", "pluto, usrp, zmq, file, loopback"),
        ("", "sink", "addresses look like"),
        ("zmq", "sink", "tcp://127.0.0.1:5555"),
        ("pluto:ip:1.2.3.4,frequency=fast", "source", "433.92M"),
        ("pluto:ip:1.2.3.4,frequency=-1", "source", "frequency must be above 0"),
        ("pluto:ip:1.2.3.4,frequency=1G,antenna=A", "source", "no option 'antenna'"),
        ("pluto:ip:1.2.3.4,frequency=1G,attenuation=3", "source", "no option 'attenuation' to receive"),
        ("usrp:,frequency=1G,gain=3,agc=device", "source", "exclude each other"),
        ("zmq:tcp://x,pattern=sub", "source", "pub, push"),
        ("file:x.sigmf-meta,repeat=true", "source", "neither yes nor no"),
        ("loopback,seed=1.5", "source", "seed=1.5"),
    ],
)
def test_a_wrong_address_is_explained(text, direction, says):
    with pytest.raises(ValueError, match="radio: ") as error:
        parse(text, direction)
    assert says in str(error.value)


@pytest.mark.parametrize("kind", ["pluto", "usrp"])
def test_frequency_and_power_have_no_default(kind):
    with pytest.raises(ValueError, match="add frequency=...$"):
        parse(kind, "source")
    for given, missing in (("frequency=1G", r"add (attenuation|gain)=\.\.\."), ("", r"add frequency=\.\.\. and ")):
        with pytest.raises(ValueError, match=missing) as error:
            parse(f"{kind}:,{given}", "sink")
        assert "licence" in str(error.value)


def test_every_option_is_explained():
    from pathlib import Path

    page = (Path(__file__).parents[2] / "docs/radios.md").read_text("utf-8")
    names = {name for kind in KINDS.values() for name in (*kind.source, *kind.sink)}
    assert [name for name in sorted(names | set(KINDS)) if f"`{name}`" not in page] == []
