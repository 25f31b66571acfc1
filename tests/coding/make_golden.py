# SPDX-License-Identifier: GPL-3.0-or-later
"""Golden vectors of the wire format: `python tests/coding/make_golden.py` writes golden.json again.

They change only together with the version (docs/wire-format.md, "Versions").
"""
from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("golden.json")


def text(bits) -> str:
    return "".join(map(str, bits))


def vectors() -> dict[str, object]:
    """Every layer of the format, from inputs made with integers only."""
    from coding_fakes import IntegerSource
    from soundspring.coding import crc, packet, pmf, range_coder, ssp, transcode

    i = np.arange(1024)
    coder = range_coder.Encoder()
    for n in range(12):
        freqs = pmf.frequencies(-((i * (n + 3) * 97 + n) % 70 % len(pmf._exp_table(pmf.STEP))))
        symbol = n * 83 + 5
        coder.encode(freqs[:symbol].sum(), freqs[symbol], freqs.sum())
    digits = np.unpackbits(np.frombuffer(b"123456789", np.uint8))
    out: dict[str, object] = {
        "exp_table": pmf._exp_table(pmf.STEP).tolist(),
        "range_code": text(coder.finish()),
        "crc": {width: crc.crc(digits, width) for width in (6, 8, 11, 16)},
        "burst_header": text(packet.pack_burst_header(packet.BurstHeader(1, 0x2A, 77))),
    }
    tokens = ((i[:60] * 37 + i[:60] ** 2 * 11) % 1024).reshape(10, 6).astype(np.int16)
    visible = np.zeros((10, 6), bool)
    visible[:5, :2] = True
    groups = {"base": transcode.Group(0, (0, 2)), "fine": transcode.Group(1, (2, 6), check_bits=8, elastic=True)}
    payloads = {}
    for name, group in groups.items():
        payloads[name] = transcode.encode_group(IntegerSource(), tokens, visible, group, offset=5, sequence=300).bits
        visible[5:, slice(*group.layers)] = True
    visible[5:, 2:] = False
    payloads["fine_in_200_bits"] = transcode.encode_group(IntegerSource(), tokens, visible, groups["fine"], offset=5,
                                                          sequence=300, max_bits=200).bits
    copying = transcode.Group(1, (2, 6), check_bits=8, elastic=True, copies=(3,), copy_schedule=((0, 2, 4), (1, 3)))
    base = visible & (np.arange(10) >= 5)[:, None]
    payloads["fine_with_a_copy"] = transcode.encode_group(IntegerSource(), tokens, base, copying, offset=5,
                                                          sequence=300, max_bits=600, earlier=[3]).bits
    static = pmf.StaticPmf(((i * 31 + 7) % 50 + np.arange(6)[:, None]).astype(np.int64))
    broken = IntegerSource()
    broken.logits = lambda *_: np.full((5, 1024), np.nan)
    payloads["fine_by_table"] = transcode.encode_group(broken, tokens, visible, groups["fine"], offset=5, sequence=300,
                                                       static=static).bits
    out["payloads"] = {name: text(bits) for name, bits in payloads.items()}
    sent = [packet.Packet(0xC0FF, 300, 0, packet.payload_bytes(payloads["base"])),
            packet.Packet(0xC0FF, 300, 1, packet.payload_bytes(payloads["fine"]))]
    out["packets"] = [p.to_bytes().hex() for p in sent]
    with tempfile.TemporaryDirectory() as folder:
        ssp.write_ssp(Path(folder) / "x.ssp", ssp.SspMeta("c0ffee00c0ffee00", "reference", 1600,
                                                          settings={"groups": [2, 6]}), sent)
        out["ssp"] = (Path(folder) / "x.ssp").read_bytes().hex()
    return json.loads(json.dumps(out))


if __name__ == "__main__":
    sys.path[:0] = [str(PATH.parent), str(PATH.parents[2] / "python")]
    PATH.write_text(json.dumps(vectors(), indent=1) + "\n")
