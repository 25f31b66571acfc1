# SPDX-License-Identifier: GPL-3.0-or-later
"""CRCs of TS 38.212: published check values, an independent encoder, and what a CRC promises to catch."""

from pathlib import Path

import numpy as np
import pytest
from soundspring.fec import crc

GOLDEN = np.load(Path(__file__).with_name("golden") / "ldpc.npz")


@pytest.mark.parametrize("name, value", [("CRC24A", 0xCDE703), ("CRC24B", 0x23EF52), ("CRC16", 0x31C3)])
def test_published_check_values(name, value):
    """Check values over the ASCII string 123456789 (CRC-24/LTE-A, CRC-24/LTE-B, CRC-16/XMODEM)."""
    bits = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
    expected = [int(bit) for bit in f"{value:0{crc.length(name)}b}"]
    assert crc.crc(bits, name).tolist() == expected


@pytest.mark.parametrize("name", crc.NAMES)
def test_equals_independent_encoder(name):
    for n in GOLDEN["crc_lengths"]:
        assert np.array_equal(crc.crc(GOLDEN[f"crc_bits{n}"], name), GOLDEN[f"{name}_{n}"])


@pytest.mark.parametrize("name", crc.NAMES)
def test_finds_every_burst_up_to_its_length(name):
    rng = np.random.default_rng(1)
    block = crc.attach(rng.integers(0, 2, 60), name)
    assert crc.check(block, name)
    degree = crc.length(name)
    bad = []
    for start in range(block.size):
        for width in range(1, min(degree, block.size - start) + 1):
            word = block.copy()
            word[start : start + width] ^= rng.integers(0, 2, width, dtype=np.uint8)
            word[[start, start + width - 1]] = 1 - block[[start, start + width - 1]]
            bad.append(word)
    assert not crc.check(np.array(bad), name).any()


def test_batches_of_any_shape():
    bits = np.random.default_rng(2).integers(0, 2, (3, 4, 50), dtype=np.uint8)
    blocks = crc.attach(bits, "CRC11")
    assert blocks.shape == (3, 4, 61) and blocks.dtype == np.uint8
    assert np.array_equal(blocks[1, 2], crc.attach(bits[1, 2], "CRC11"))
    blocks[2, 0, 7] ^= 1
    expected = np.ones((3, 4), bool)
    expected[2, 0] = False
    assert np.array_equal(crc.check(blocks, "CRC11"), expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="name"):
        crc.crc(np.zeros(5), "CRC32")
    with pytest.raises(ValueError, match="bits"):
        crc.crc(np.array([0, 1, 2]), "CRC16")
    with pytest.raises(ValueError, match="bits"):
        crc.attach(np.uint8(1), "CRC16")
    with pytest.raises(ValueError, match="at least 24"):
        crc.check(np.zeros(23), "CRC24A")
