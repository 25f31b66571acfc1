#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Decoding speed of the 5G LDPC code k=512, rate 1/2, where 1 % of the frames fail (BPSK, AWGN, 20 iterations).

The peer is GNU Radio's in-tree fec.ldpc_decoder with its code 1800/902, fed in the same run at the Eb/N0 of its
own 1 % frame error rate, as true LLRs (sigma = 0.7071 undoes its internal scaling). Times are CPU seconds of this
process. Ours is called as a function with the batch; the peer runs in a flowgraph over one long stream.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from soundspring.fec.ldpc import LdpcCode  # noqa: E402

BATCHES = (1, 4, 64)
PEER_ALIST = "n_1800_k_0902_gap_28.alist"
PEER_N, PEER_K = 1800, 902
GRID_DB = np.arange(1.0, 3.01, 0.25)
TARGET_FER = 0.01


def machine() -> dict:
    """What a figure depends on."""
    cpu = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line]
    versions = {package: importlib.metadata.version(package) for package in ("numpy", "numba")}
    return {"cpu": cpu[0] if cpu else platform.machine(), "cores": os.cpu_count(), "threads": 1,
            "system": platform.platform(), "python": platform.python_version()} | versions  # fmt: skip


def llr_of(code_bits: np.ndarray, rate: float, eb_n0_db: float, rng: np.random.Generator) -> np.ndarray:
    """LLRs, float32 and positive for bit 1, of BPSK symbols of unit energy in real noise of variance N0/2."""
    n0 = 10 ** (-eb_n0_db / 10) / rate
    llr = rng.standard_normal(code_bits.shape, dtype=np.float32)
    llr *= np.float32(np.sqrt(8 / n0))
    llr += np.float32(4 / n0) * (2 * code_bits.astype(np.float32) - 1)
    return llr


def ours(code: LdpcCode, eb_n0_db: float, frames: int, batch: int) -> tuple[float, float]:
    """(frame error rate, CPU seconds) of `frames` frames decoded `batch` at a time."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (frames, code.k), dtype=np.uint8)
    llr = llr_of(code.encode(bits), code.rate, eb_n0_db, rng).reshape(-1, batch, code.e)
    start = time.process_time()
    decoded = [code.decode(block).bits for block in llr]
    seconds = time.process_time() - start
    return float((np.concatenate(decoded) != bits).any(axis=1).mean()), seconds


def peer(eb_n0_db: float, frames: int) -> tuple[float, float]:
    """The same of the in-tree decoder, with the all-zero word: code and channel are symmetric."""
    from gnuradio import blocks, fec, gr

    alist = Path(gr.prefix()) / "share/gnuradio/fec/ldpc" / PEER_ALIST
    try:
        decoder = fec.ldpc_decoder.make(str(alist), 0.7071, 20)
    except TypeError:  # GNU Radio 3.10.8 and later take LLRs as they are
        decoder = fec.ldpc_decoder.make(str(alist), 20)
    llr = llr_of(np.zeros((frames, PEER_N)), PEER_K / PEER_N, eb_n0_db, np.random.default_rng(2))
    top = gr.top_block()
    sink = blocks.vector_sink_b()
    top.connect(blocks.vector_source_f(llr.ravel().tolist()), fec.decoder(decoder, 4, 1), sink)
    start = time.process_time()
    top.run()
    seconds = time.process_time() - start
    decoded = np.array(sink.data(), dtype=np.uint8)
    words = decoded[: decoded.size // PEER_K * PEER_K].reshape(-1, PEER_K)
    return float(words.any(axis=1).mean()), seconds * frames / max(len(words), 1)


def threshold(fer_at) -> float:
    """Eb/N0 in dB of the target frame error rate, by interpolation of the logarithm between grid points."""
    above = None
    for eb_n0_db in GRID_DB:
        fer = max(fer_at(eb_n0_db), 1e-6)
        if fer <= TARGET_FER:
            if above is None:
                return float(eb_n0_db)
            part = np.log(above / TARGET_FER) / np.log(above / fer)
            return float(eb_n0_db - 0.25 * (1 - part))
        above = fer
    return float(GRID_DB[-1])


def measure(quick: bool) -> dict:
    code = LdpcCode(512, 1024)
    code.decode(np.ones(code.e))  # compiles, or loads what was compiled before
    frames = 1024 if quick else 8192
    peer_frames = 100 if quick else 500
    figures = {"k": code.k, "e": code.e, "frames": frames}
    point = threshold(lambda eb_n0_db: ours(code, eb_n0_db, frames, 64)[0])
    figures["eb_n0_db_at_fer_0.01"] = round(point, 2)
    for batch in BATCHES:
        figures["fer"], seconds = ours(code, point, frames, batch)
        figures[f"decode_mbps_batch_{batch}"] = round(frames * code.k / seconds / 1e6, 3)
    figures["decode_mbps"] = figures["decode_mbps_batch_64"]
    peer_point = threshold(lambda eb_n0_db: peer(eb_n0_db, peer_frames)[0])
    figures["gr_fec_eb_n0_db_at_fer_0.01"] = round(peer_point, 2)
    figures["gr_fec_fer"], seconds = peer(peer_point, peer_frames)
    figures["gr_fec_decode_mbps"] = round(peer_frames * PEER_K / seconds / 1e6, 4)
    for batch in BATCHES:
        ratio = figures[f"decode_mbps_batch_{batch}"] / figures["gr_fec_decode_mbps"]
        figures[f"ratio_vs_gr_fec_batch_{batch}"] = round(ratio, 1)
    figures["ratio_vs_gr_fec"] = figures["ratio_vs_gr_fec_batch_64"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--json", metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures = measure(arguments.quick)
    for name, value in figures.items():
        print(f"{name:28} {value}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
