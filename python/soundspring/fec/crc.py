# SPDX-License-Identifier: GPL-3.0-or-later
"""Cyclic redundancy checks of 3GPP TS 38.212 clause 5.1: systematic, register initially zero, no final inversion.

Because the register starts at zero, an all-zero block carries an all-zero, thus valid, CRC: where silence on the
air may read as zeros, scramble the block or look at `DecodeResult.ok` as well.
"""

import functools

import numpy as np

# Generator polynomials as (degree, bits below the leading term; bit i is the coefficient of D^i).
_GENERATORS = {
    "CRC24A": (24, 0x864CFB),
    "CRC24B": (24, 0x800063),
    "CRC24C": (24, 0xB2B117),
    "CRC16": (16, 0x1021),
    "CRC11": (11, 0x621),
    "CRC6": (6, 0x21),
}
NAMES = tuple(_GENERATORS)


def length(name: str) -> int:
    """Number of parity bits L of the CRC `name`, one of `NAMES`. Raises ValueError for an unknown name."""
    return _generator(name)[0]


def crc(bits: np.ndarray, name: str) -> np.ndarray:
    """Parity bits p_0 .. p_{L-1}, most significant first, of each block of bits.

    Args:
        bits: 0/1, shape [..., n], first bit first.
        name: one of `NAMES`.

    Returns:
        uint8 [..., L].

    Raises:
        ValueError: unknown name, or `bits` is not an array of 0 and 1 with at least one dimension.
    """
    degree = length(name)
    bits = _as_bits(bits)
    words = np.bitwise_xor.reduce(bits * _remainders(bits.shape[-1], name), axis=-1)
    return (words[..., None] >> np.arange(degree - 1, -1, -1, dtype=np.uint32) & 1).astype(np.uint8)


def attach(bits: np.ndarray, name: str) -> np.ndarray:
    """The blocks `bits` [..., n] followed by their parity bits: uint8 [..., n + L]. Raises as `crc` does."""
    return np.concatenate([_as_bits(bits), crc(bits, name)], axis=-1)


def check(bits: np.ndarray, name: str) -> bool | np.ndarray:
    """Whether the last L bits of each block are the CRC of those before.

    Args:
        bits: 0/1, shape [..., n + L].
        name: one of `NAMES`.

    Returns:
        bool for one block, bool [...] for a batch.

    Raises:
        ValueError: as `crc`, or a block shorter than L.
    """
    degree = length(name)
    bits = _as_bits(bits)
    if bits.shape[-1] < degree:
        raise ValueError(f"bits: a block with {name} has at least {degree} bits, not {bits.shape[-1]}")
    payload = bits.shape[-1] - degree
    valid = (crc(bits[..., :payload], name) == bits[..., payload:]).all(axis=-1)
    return bool(valid) if bits.ndim == 1 else valid


def _generator(name: str) -> tuple[int, int]:
    if name not in _GENERATORS:
        raise ValueError(f"name: {name!r} is no CRC of TS 38.212, take one of {', '.join(NAMES)}")
    return _GENERATORS[name]


def _as_bits(bits: np.ndarray) -> np.ndarray:
    bits = np.asarray(bits)
    if bits.ndim == 0 or bits.dtype.kind not in "buif" or not ((bits == 0) | (bits == 1)).all():
        raise ValueError("bits: an array of 0 and 1, shape [..., n], is needed")
    return bits.astype(np.uint8)


@functools.lru_cache(maxsize=64)
def _remainders(n: int, name: str) -> np.ndarray:
    """Remainder of D^(L + n - 1 - i) for each bit i of a block of n: the CRC is linear, so the block's is their sum."""
    degree, generator = _generator(name)
    remainders = np.empty(n, dtype=np.uint32)
    register = generator  # remainder of D^L, the weight of the last bit
    for i in range(n - 1, -1, -1):
        remainders[i] = register
        register <<= 1
        if register >> degree:
            register ^= 1 << degree | generator
    remainders.setflags(write=False)
    return remainders
