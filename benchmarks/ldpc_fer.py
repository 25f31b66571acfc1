#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Frame error rates of the 5G LDPC codes over BPSK and AWGN, 20 iterations, beside theory and Sionna's decoder.

Theory is the normal approximation for the binary-input AWGN channel: Polyanskiy, Poor, Verdu, "Channel coding rate in
the finite blocklength regime", IEEE Trans. Inf. Theory 56 (2010). The peer is the belief propagation of Sionna
(`LDPC5GDecoder`, sum-product, flooding), fed where ours fails in 10 % and in 1 % of the frames; that takes an hour.

Usage: ldpc_fer.py --json FILE                  our curves; what else is already in FILE stays
       ldpc_fer.py --json FILE --sionna SITE    the peer's points, at the places that the curves in FILE give
       ldpc_fer.py --json FILE --floor          three million frames of k=512, rate 1/2, where 1 in 100,000 may fail
"""

import argparse
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from ldpc import LdpcCode, llr_of, machine
from scipy.special import ndtr
from tqdm import tqdm

KS = (128, 192, 256, 512, 1024, 4096)
RATES = {"1/3": 1 / 3, "1/2": 1 / 2, "2/3": 2 / 3, "5/6": 5 / 6}
FERS = (0.1, 0.01)
LOWEST = 2e-4  # the curves end below it
ITERATIONS = 20
FLOOR_DB, FLOOR_FRAMES = 2.5, 3_000_000
Point = list[float]  # [Eb/N0 in dB, frames, wrong frames, wrong bits]


def count_errors(code: LdpcCode, decode: Callable, eb_n0_db: float, frames: int, enough: int, batch: int) -> Point:
    """Decode until `enough` frames were wrong, at most `frames`; the same noise for every decoder."""
    rng = np.random.default_rng([code.k, code.e, round(1000 * (eb_n0_db + 20))])
    done = wrong = wrong_bits = 0
    while done < frames and wrong < enough:
        bits = rng.integers(0, 2, (batch, code.k), dtype=np.uint8)
        bad = decode(llr_of(code.encode(bits), code.rate, eb_n0_db, rng)) != bits
        wrong += int(bad.any(axis=1).sum())
        wrong_bits += int(bad.sum())
        done += batch
    return [round(eb_n0_db, 3), done, wrong, wrong_bits]


def ours(code: LdpcCode, quick: bool) -> list[Point]:
    """The curve from where half of the frames are lost down to LOWEST."""
    step = 0.25 if code.k < 1000 else 0.1
    most, enough = (2e6 / code.k, 50) if quick else (max(1e7 / code.k, 6000), 200)
    eb_n0_db = step * np.floor(eb_n0_of(0.5, code.k, code.e) / step)
    points = []
    while not points or points[-1][2] > max(LOWEST * points[-1][1], 3):
        batch = 64 if quick else 500
        points.append(count_errors(code, lambda x: code.decode(x, ITERATIONS).bits, eb_n0_db, most, enough, batch))
        eb_n0_db += step
    return points


def sionna_decoder(code: LdpcCode, schedule: str = "flooding") -> Callable:
    import torch
    from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder

    torch.set_num_threads(1)
    decoder = LDPC5GDecoder(LDPC5GEncoder(code.k, code.e), num_iter=ITERATIONS, cn_schedule=schedule)

    def decode(llr: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return decoder(torch.from_numpy(llr)).numpy()

    return decode


def sionna(code: LdpcCode, curve: list[Point]) -> list[Point]:
    """Sionna's errors at the places where `curve` has the error rates FERS."""
    decode = sionna_decoder(code)
    points = []
    for fer in FERS:
        frames = np.clip(1.5e6 / code.k, 300, 3000) if fer < 0.05 else np.clip(2e5 / code.k, 150, 500)
        points.append(count_errors(code, decode, eb_n0_at(curve, fer), int(frames), 60, 16))
    return points


def schedules(curve: list[Point]) -> dict[str, Point]:
    """Errors of k=512, rate 1/2, over the same noise: ours, and Sionna with both of its schedules."""
    code = LdpcCode(512, 1024)
    decoders = {"ours": lambda llr: code.decode(llr, ITERATIONS).bits}
    decoders |= {name: sionna_decoder(code, name) for name in ("flooding", "layered")}
    place = eb_n0_at(curve, FERS[0])
    return {name: count_errors(code, decode, place, 800, 800, 16) for name, decode in decoders.items()}


def error_floor(frames: int) -> dict:
    """Errors of k=512, rate 1/2, far down; `undetected` of them ended on a codeword, which a CRC would have found."""
    code, rng = LdpcCode(512, 1024), np.random.default_rng(38212)
    wrong = undetected = 0
    for _ in tqdm(range(0, frames, 2000), file=sys.stderr, mininterval=10):
        bits = rng.integers(0, 2, (2000, code.k), dtype=np.uint8)
        result = code.decode(llr_of(code.encode(bits), code.rate, FLOOR_DB, rng), ITERATIONS)
        bad = (result.bits != bits).any(axis=1)
        wrong += int(bad.sum())
        undetected += int((bad & result.ok).sum())
    return {"k": code.k, "e": code.e, "eb_n0_db": FLOOR_DB, "frames": frames, "wrong": wrong, "undetected": undetected}


def eb_n0_at(curve: list[Point], fer: float) -> float:
    """Eb/N0 in dB where a measured curve has this error rate, its logarithm taken as linear between points."""
    x, y = np.array([(x, np.log(max(wrong, 0.5) / frames)) for x, frames, wrong, *_ in curve]).T
    below = int(np.clip(np.argmax(y < np.log(fer)), 1, len(y) - 1))
    x, y = x[below - 1 : below + 1], y[below - 1 : below + 1]
    return float(x[0] + (np.log(fer) - y[0]) / (y[1] - y[0]) * (x[1] - x[0]))


def loss_db(curve: list[Point], peer: Point) -> float | None:
    """Eb/N0 that ours needs more than the peer for the peer's error rate; None where the peer made no error."""
    x, frames, wrong, *_ = peer
    return round(eb_n0_at(curve, wrong / frames) - x, 3) if wrong else None


@cache
def _hermite() -> tuple[np.ndarray, np.ndarray]:
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    return nodes, weights / weights.sum()


def normal_approximation(eb_n0_db: float, k: int, n: int) -> float:
    """Lowest frame error rate of any code of `n` BPSK symbols and `k` bits, to the accuracy of the approximation."""
    nodes, weights = _hermite()
    mean = 4 * k / n * 10 ** (eb_n0_db / 10)  # of the LLR; its variance is twice that
    density = 1 - np.logaddexp(0, -(mean + np.sqrt(2 * mean) * nodes)) / np.log(2)
    capacity = weights @ density
    dispersion = weights @ density**2 - capacity**2
    return float(ndtr((k - n * capacity - 0.5 * np.log2(n)) / np.sqrt(n * dispersion)))


def eb_n0_of(fer: float, k: int, n: int) -> float:
    """Eb/N0 in dB where the normal approximation gives this frame error rate."""
    grid = np.arange(-1.5, 12, 0.01)
    return float(grid[np.argmax([normal_approximation(x, k, n) < fer for x in grid])])


def measure(results: dict, arguments: argparse.Namespace) -> None:
    """Our curve, or the peer's points, of every code."""
    codes = [(k, name, LdpcCode(k, round(k / rate))) for k in KS for name, rate in RATES.items()]
    for k, name, code in tqdm(codes, file=sys.stderr):
        entry = results.setdefault(f"{k} {name}", {"k": k, "rate": name, "e": code.e, "base_graph": code.base_graph})
        if arguments.sionna:
            entry["sionna"] = sionna(code, entry["curve"])
        else:
            entry["curve"] = ours(code, arguments.quick)
            entry["eb_n0_db"] = {str(fer): round(eb_n0_at(entry["curve"], fer), 3) for fer in FERS}
            entry["theory_eb_n0_db"] = {str(fer): round(eb_n0_of(fer, k, code.e), 2) for fer in FERS}
        if "sionna" in entry:
            entry["loss_db_vs_sionna"] = [loss_db(entry["curve"], point) for point in entry["sionna"]]
        write(arguments.json, results)
    if arguments.sionna:
        results["schedules"] = schedules(results["512 1/2"]["curve"])
        write(arguments.json, results)


def write(path: Path, results: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [f"{json.dumps(name)}: {json.dumps(entry)}" for name, entry in results.items()]
    path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="figures; read first where it exists")
    parser.add_argument("--sionna", type=Path, metavar="SITE", help="folder with sionna-no-rt 2.2.0: measure the peer")
    parser.add_argument("--floor", action="store_true", help="look for an error floor")
    parser.add_argument("--quick", action="store_true", help="fewer frames")
    arguments = parser.parse_args()
    results = json.loads(arguments.json.read_text()) if arguments.json.exists() else {}
    results["machine"] = machine()
    if arguments.sionna:
        sys.path.append(str(arguments.sionna))
    if arguments.floor:
        results["floor"] = error_floor(FLOOR_FRAMES // 100 if arguments.quick else FLOOR_FRAMES)
        write(arguments.json, results)
    else:
        measure(results, arguments)


if __name__ == "__main__":
    main()
