# SPDX-License-Identifier: GPL-3.0-or-later
"""Regenerate ldpc.npz from the 5G encoder of Sionna, an independent implementation of TS 38.212.

Usage: pip install --no-deps --target SITE sionna-no-rt==2.2.0 h5py importlib-resources
       PYTHONPATH=SITE python tests/fec/golden/make.py      (torch and numpy must be importable)
"""

from pathlib import Path

import numpy as np
import torch
from sionna.phy.fec.crc import CRCEncoder
from sionna.phy.fec.ldpc import LDPC5GEncoder

# k, e, bits per symbol, base graph (0: chosen), redundancy version
CASES = [
    (13, 61, 1, 0, 0), (20, 25, 1, 0, 0), (32, 160, 2, 0, 0), (47, 213, 3, 0, 0),  # smallest sizes
    (192, 384, 4, 0, 0), (193, 385, 1, 0, 0), (292, 330, 6, 0, 0), (293, 400, 1, 0, 0), (293, 438, 2, 0, 0),
    (512, 1024, 1, 0, 0), (560, 1200, 2, 0, 0), (561, 1200, 4, 0, 0), (640, 960, 6, 0, 0), (641, 960, 8, 0, 0),
    (1001, 3001, 1, 0, 0), (1500, 1600, 4, 0, 0), (3824, 5708, 2, 0, 0), (3824, 5706, 6, 0, 0), (3840, 19200, 1, 2, 0),
    (100, 300, 1, 1, 0), (2222, 6666, 2, 1, 0), (4000, 6000, 6, 0, 0), (8448, 12672, 8, 0, 0), (8448, 9000, 2, 0, 0),
    (512, 1024, 1, 0, 1), (512, 1024, 2, 0, 2), (512, 1024, 4, 0, 3), (77, 300, 1, 0, 3), (77, 120, 1, 0, 1),
    (4000, 6000, 2, 0, 1), (4000, 6000, 1, 0, 2), (4000, 8000, 4, 0, 3),
]  # fmt: skip
# Every lifting size with both graphs, at the lowest rate that the encoder takes; one filler bit where k allows it.
SIZES = sorted(a << j for a in (2, 3, 5, 7, 9, 11, 13, 15) for j in range(8) if a << j <= 384)
COLUMNS = [10 if z >= 72 else 8 if z > 32 else 6 for z in SIZES]
CASES += [(22 * z - 1, 66 * z - 3, 1, 1, 0) for z in SIZES]
CASES += [(max(c * z - 1, 12), 5 * max(c * z - 1, 12), 1, 2, 0) for z, c in zip(SIZES, COLUMNS, strict=True)]
CRCS = ["CRC24A", "CRC24B", "CRC24C", "CRC16", "CRC11", "CRC6"]
CRC_LENGTHS = [1, 5, 24, 100, 1001]


def code_bits(bits: np.ndarray, e: int, bits_per_symbol: int, graph: int, rv: int) -> np.ndarray:
    encoder = LDPC5GEncoder(len(bits), e, bits_per_symbol if rv == 0 else None, f"bg{graph}" if graph else None)
    block = torch.tensor(bits[None], dtype=torch.float32)
    if rv == 0:
        return encoder(block)[0].numpy().astype(np.uint8)
    # The interleaver is applied here, after the redundancy version has been selected.
    selected = encoder(block, rv=[rv])[0, 0].numpy().astype(np.uint8)
    return selected.reshape(bits_per_symbol, -1).T.reshape(-1)


def main() -> None:
    rng = np.random.default_rng(38212)
    out = {"cases": np.array(CASES), "crc_lengths": np.array(CRC_LENGTHS)}
    for i, (k, e, bits_per_symbol, graph, rv) in enumerate(CASES):
        bits = rng.integers(0, 2, k, dtype=np.uint8)
        out[f"bits{i}"] = np.packbits(bits)
        out[f"code{i}"] = np.packbits(code_bits(bits, e, bits_per_symbol, graph, rv))
    for n in CRC_LENGTHS:
        bits = rng.integers(0, 2, n, dtype=np.uint8)
        out[f"crc_bits{n}"] = bits
        for name in CRCS:
            block = torch.tensor(bits[None], dtype=torch.float32)
            out[f"{name}_{n}"] = CRCEncoder(name)(block)[0, n:].numpy().astype(np.uint8)
    np.savez_compressed(Path(__file__).with_name("ldpc.npz"), **out)


if __name__ == "__main__":
    main()
