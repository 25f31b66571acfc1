#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of the 5G LDPC code k=512, rate 1/2, decoded where 1 % of the frames fail (BPSK, AWGN, 20 iterations).

The peer is GNU Radio's in-tree fec.ldpc_decoder with its code 1800/902, fed in the same run at the Eb/N0 of its own
1 % frame error rate, as true LLRs (sigma = 0.7071 undoes its internal scaling); ours is measured at that length too.
Times are CPU seconds of this process, the least of several parts, so that other work on the machine disturbs little.
Ours is called as a function with the batch; the peer runs in a flowgraph over one long stream.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from soundspring.fec.ldpc import LdpcCode  # noqa: E402

BATCHES = (1, 4, 64)
PEER_ALIST = "n_1800_k_0902_gap_28.alist"
PEER_N, PEER_K = 1800, 902
GRID_DB = np.arange(1.0, 3.01, 0.25)
TARGET_FER = 0.01
PARTS = 16


def machine() -> dict:
    """What a figure depends on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
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


def samples(code: LdpcCode, eb_n0_db: float, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """(bits, LLRs) of `frames` frames."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (frames, code.k), dtype=np.uint8)
    return bits, llr_of(code.encode(bits), code.rate, eb_n0_db, rng)


def ours(code: LdpcCode, eb_n0_db: float, frames: int) -> dict:
    """Frame error rate and mean iterations of `frames` frames."""
    bits, llr = samples(code, eb_n0_db, frames)
    result = code.decode(llr)
    return {"fer": float((result.bits != bits).any(axis=1).mean()), "iterations": float(result.iterations.mean())}


def mbps(function: Callable, blocks: np.ndarray, batch: int, k: int) -> float:
    """Information bits a CPU second of `function` over `blocks`, `batch` blocks at a time, in Mb/s."""
    parts = np.split(blocks, PARTS)
    function(blocks[:batch])
    fastest = np.inf
    for part in parts:
        start = time.process_time()
        for i in range(0, len(part), batch):
            function(part[i : i + batch])
        fastest = min(fastest, time.process_time() - start)
    return len(part) * k / fastest / 1e6


def in_tree_decoder(make, alist: Path):
    """The peer's decoder by `fec.ldpc_decoder.make` of this GNU Radio, whose arguments changed."""
    try:
        return make(str(alist), 0.7071, 20)
    except TypeError:  # GNU Radio 3.10.8 and later take LLRs as they are
        return make(str(alist), 20)


def peer(eb_n0_db: float, frames: int) -> tuple[float, float]:
    """The same of the in-tree decoder, with the all-zero word: code and channel are symmetric."""
    from gnuradio import blocks, fec, gr

    alist = Path(gr.prefix()) / "share/gnuradio/fec/ldpc" / PEER_ALIST
    decoder = in_tree_decoder(fec.ldpc_decoder.make, alist)
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
    code, frames = LdpcCode(512, 1024), 2048 if quick else 16384
    point = threshold(lambda eb_n0_db: ours(code, eb_n0_db, frames)["fer"])
    figures = {"k": code.k, "e": code.e, "eb_n0_db_at_fer_0.01": round(point, 2), "frames": frames}
    figures |= ours(code, point, frames)
    bits, llr = samples(code, point, frames)
    for batch in BATCHES:
        figures[f"decode_mbps_batch_{batch}"] = round(mbps(code.decode, llr, batch, code.k), 2)
        figures[f"encode_mbps_batch_{batch}"] = round(mbps(code.encode, bits, batch, code.k), 2)
    figures["decode_mbps"] = figures["decode_mbps_batch_64"]
    figures |= against_peer(100 if quick else 500, frames // 4)
    for batch in BATCHES:
        ratio = figures[f"decode_mbps_batch_{batch}"] / figures["gr_fec_decode_mbps"]
        figures[f"ratio_vs_gr_fec_batch_{batch}"] = round(ratio, 1)
    figures["ratio_vs_gr_fec"] = figures["ratio_vs_gr_fec_batch_64"]
    return figures | {"machine": machine()}


def against_peer(peer_frames: int, frames: int) -> dict:
    """The peer at its own 1 % point, and ours with a code of the same length at ours."""
    point = threshold(lambda eb_n0_db: peer(eb_n0_db, peer_frames)[0])
    runs = [peer(point, peer_frames) for _ in range(3)]
    speed = peer_frames * PEER_K / min(seconds for _, seconds in runs) / 1e6
    same = LdpcCode(PEER_K, PEER_N)
    same_point = threshold(lambda eb_n0_db: ours(same, eb_n0_db, frames)["fer"])
    same_speed = mbps(same.decode, samples(same, same_point, frames)[1], 64, same.k)
    return {
        "gr_fec_eb_n0_db_at_fer_0.01": round(point, 2), "gr_fec_fer": runs[0][0], "gr_fec_decode_mbps": round(speed, 4),
        "same_length_eb_n0_db_at_fer_0.01": round(same_point, 2), "same_length_decode_mbps": round(same_speed, 2),
        "same_length_ratio_vs_gr_fec": round(same_speed / speed, 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    arguments = parser.parse_args()
    figures = measure(arguments.quick)
    for name, value in figures.items():
        print(f"{name:32} {value}")
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
