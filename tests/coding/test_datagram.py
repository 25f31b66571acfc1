# SPDX-License-Identifier: GPL-3.0-or-later
"""Datagrams give back what was put in, in as few bits as the wire format says, and say what is wrong with others."""

import numpy as np
import pytest
from soundspring.coding.datagram import HEADER_BITS, pack_datagram, unpack_datagram
from soundspring.coding.packet import BurstHeader, PacketError, Truncated, WrongModel, WrongVersion

HEADER = BurstHeader(2, 0x2A, 200)


def payloads(*sizes):
    rng = np.random.default_rng(sum(sizes))
    return [rng.integers(0, 2, n).astype(np.uint8) for n in sizes]


@pytest.mark.parametrize("sizes", [(36, 36, 80), (0, 0), (5,), (62, 63, 64), (4095, 0, 4095), (36, 0, 6000)])
def test_what_goes_in_comes_out(sizes):
    sent = payloads(*sizes)
    data = pack_datagram(HEADER, sent)
    header, got = unpack_datagram(data, len(sizes), HEADER.model)
    assert header == HEADER
    for one, other in zip(got[:-1], sent[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(got[-1][: sizes[-1]], sent[-1])
    assert not got[-1][sizes[-1] :].any() and len(got[-1]) - sizes[-1] < 8


def test_a_datagram_is_as_short_as_told():
    assert len(pack_datagram(HEADER, payloads(36, 36, 79))) == -(-(HEADER_BITS + 2 * 6 + 151) // 8)
    assert len(pack_datagram(HEADER, payloads(63, 1))) == -(-(HEADER_BITS + 6 + 12 + 64) // 8)


def test_wrong_ones_are_told_apart():
    data = pack_datagram(HEADER, payloads(36, 36, 79))
    with pytest.raises(WrongModel, match="2a"):
        unpack_datagram(data, 3, 1)
    with pytest.raises(WrongVersion):
        unpack_datagram(bytes([data[0] ^ 0x80]) + data[1:], 3)
    for cut in range(1, 8):
        with pytest.raises(Truncated):
            unpack_datagram(data[:cut], 3)


def test_random_bytes_end_in_an_error_or_in_bits():
    rng = np.random.default_rng(0)
    for _ in range(300):
        try:
            _, got = unpack_datagram(rng.bytes(int(rng.integers(0, 60))), 3)
        except PacketError:
            continue
        assert len(got) == 3


@pytest.mark.parametrize(("header", "bits", "names"), [
    (BurstHeader(8, 0, 0), (1,), "profile"), (BurstHeader(0, 64, 0), (1,), "model"),
    (BurstHeader(0, 0, 256), (1,), "sequence"), (HEADER, (4096, 1), "payloads"), (HEADER, (), "payloads")])
def test_what_does_not_fit_is_named(header, bits, names):
    with pytest.raises(ValueError, match=names):
        pack_datagram(header, payloads(*bits))
