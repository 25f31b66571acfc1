# SPDX-License-Identifier: GPL-3.0-or-later
import binascii

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from soundspring.coding import packet as p
from soundspring.coding.crc import POLYNOMIALS, crc, to_bits, to_int

bits_arrays = st.lists(st.integers(0, 1), min_size=1, max_size=200).map(lambda b: np.array(b, np.uint8))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(bits_arrays, st.sampled_from(sorted(POLYNOMIALS)), st.data())
def test_crc_is_the_remainder_and_finds_bursts(bits, width, data):
    """A message followed by its CRC leaves remainder 0, and any error burst up to the CRC's width is found."""
    code = np.concatenate([bits, to_bits(crc(bits, width), width)])
    assert crc(code, width) == 0
    burst = data.draw(st.integers(1, (1 << min(width, len(code))) - 1))
    start = data.draw(st.integers(0, len(code) - burst.bit_length()))
    code[start:start + burst.bit_length()] ^= to_bits(burst, burst.bit_length())
    assert crc(code, width) != 0


def test_crc16_is_the_packets_crc():
    data = b"123456789"
    assert crc(np.unpackbits(np.frombuffer(data, np.uint8)), 16) == 0x29B1 == binascii.crc_hqx(data, 0xFFFF)
    with pytest.raises(ValueError, match="width"):
        crc(np.ones(3, np.uint8), 7)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.integers(0, 65535), st.integers(0, 65535), st.integers(0, 7), st.binary(max_size=300))
def test_packet_round_trip(model, sequence, group, payload):
    packet = p.Packet(model, sequence, group, payload)
    data = packet.to_bytes()
    assert len(data) == len(payload) + p.OVERHEAD <= len(payload) + 10
    assert p.parse(data, model) == packet
    two = data + data
    assert p.parse_at(two, p.parse_at(two, 0)[1]) == (packet, len(two))


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.binary(max_size=40), st.data())
def test_damage_is_always_an_error_of_ours(junk, data):
    good = p.Packet(0x1234, 7, 1, b"payload").to_bytes()
    at, flip = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(1, 255))
    bad = good[:at] + bytes([good[at] ^ flip]) + good[at + 1:]
    for received in (bad, good[:at], good + junk + b"x"):
        with pytest.raises(p.PacketError):
            p.parse(received)
    with pytest.raises(p.PacketError):
        p.parse(junk)


def test_each_reason_is_named_and_tells_what_to_do():
    good = p.Packet(0x1234, 7, 1, b"payload").to_bytes()
    version = bytes([p.MAGIC | p.VERSION + 1]) + good[1:]
    reserved = bytearray(good[:-2])
    reserved[1] |= 0x08
    reserved += binascii.crc_hqx(bytes(reserved), 0xFFFF).to_bytes(2, "big")
    for data, error, text in ((b"", p.Truncated, "drop it"), (good[:-1], p.Truncated, "drop it"),
                              (b"RIFF" + good, p.NotAPacket, "is 0x52, not 0xa5: no"),
                              (good[:-1] + b"\0", p.BadCrc, "damaged"), (version, p.WrongVersion, "same release"),
                              (bytes(reserved), p.WrongVersion, "newer"), (good, p.WrongModel, "same weights")):
        with pytest.raises(error, match=text):
            p.parse(data, model=0x4321)


def test_fields_that_do_not_fit_are_named():
    for field, value in (("model", 1 << 16), ("sequence", -1), ("group", 8), ("payload", bytes(2048))):
        with pytest.raises(ValueError, match=field):
            p.Packet(**{"model": 1, "sequence": 1, "group": 1, "payload": b"", field: value}).to_bytes()
    for field, value in (("profile", 8), ("model", 64), ("sequence", 256)):
        with pytest.raises(ValueError, match=field):
            p.pack_burst_header(p.BurstHeader(**{"profile": 1, "model": 1, "sequence": 1, field: value}))


def test_payload_bits_come_back_with_padding():
    bits = np.array([1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0], np.uint8)
    packet = p.Packet(1, 1, 0, p.payload_bytes(bits))
    assert packet.bits[:11].tolist() == bits.tolist() and len(packet.bits) == 16 and not packet.bits[11:].any()
    assert len(p.Packet(1, 1, 0, b"").bits) == 0


def test_model_id_is_the_leading_bits_at_any_width():
    sha = "c0ffee" + "0" * 58
    assert p.model_id(sha, 16) == 0xC0FF and p.model_id(sha, 6) == 0b110000 == p.model_id(sha, 16) >> 10
    for bad in ("c0", "not hexadecimal"):
        with pytest.raises(ValueError, match="sha256"):
            p.model_id(bad, 16)


def test_burst_header_round_trip_and_errors():
    for profile, model, sequence in ((0, 0, 0), (7, 63, 255), (1, 42, 200)):
        header = p.BurstHeader(profile, model, sequence)
        bits = p.pack_burst_header(header)
        assert len(bits) == p.BURST_BITS == 25 and bits.any() and p.parse_burst_header(bits, model) == header
        assert p.parse_burst_header(np.concatenate([bits, [1, 0]])) == header
        for i in range(25):
            for width in range(1, min(6, 25 - i) + 1):
                bad = bits.copy()
                bad[i:i + width] ^= 1
                with pytest.raises(p.BadCrc):
                    p.parse_burst_header(bad)
        with pytest.raises(p.WrongModel, match="same weights"):
            p.parse_burst_header(bits, model ^ 1)
        with pytest.raises(p.Truncated):
            p.parse_burst_header(bits[:24])
    body = np.concatenate([to_bits(p.VERSION + 1, 2), bits[2:19]])
    with pytest.raises(p.WrongVersion, match="same release"):
        p.parse_burst_header(np.concatenate([body, to_bits(crc(body, 6), 6)]))
    assert to_int(bits[:2]) == p.VERSION % 4
