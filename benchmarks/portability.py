#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether packets decode to the same tokens whatever computes them: threads, libraries, instruction sets, releases.

    benchmarks/portability.py                                     # the golden files of the frozen tiny model
    benchmarks/portability.py --shipped examples/speech.wav       # and a sound coded with the shipped models
    benchmarks/portability.py --python OTHER=/path/to/python      # and by another Python with its own torch and numpy

Each setting is a process of its own, which decodes every file and prints what came out; it must be the same to the bit.
The other Python may be one of another processor family under emulation (docs/testing.md).
"""

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "tests" / "portability")]
OLDEST = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "ATEN_CPU_CAPABILITY": "default",
          "OPENBLAS_CORETYPE": "Prescott"}

# name -> (environment, options of the worker)
SETTINGS: dict[str, tuple[dict[str, str], list[str]]] = {
    "as it is, 1 thread": ({}, []),
    "2 threads": ({}, ["--threads", "2"]),
    "4 threads": ({}, ["--threads", "4"]),
    "oneDNN off": ({}, ["--no-onednn"]),
    "numba, little optimised": ({"NUMBA_OPT": "1"}, []),
    "all of the oldest kind, 4 threads": (OLDEST, ["--threads", "4", "--no-onednn"]),
}
# What other processors do not know.
X86 = {
    "torch without vectors": ({"ATEN_CPU_CAPABILITY": "default"}, []),
    "torch with AVX2": ({"ATEN_CPU_CAPABILITY": "avx2"}, []),
    "MKL in its compatible mode": ({"MKL_CBWR": "COMPATIBLE", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}, []),
    "OpenBLAS and numpy without AVX": ({"OPENBLAS_CORETYPE": "Prescott", "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3"}, []),
    "numba for any x86-64 (SSE2)": ({"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}, []),
    "numba for Haswell (AVX2, FMA)": ({"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2,+fma"}, []),
}
if platform.machine() == "x86_64":
    SETTINGS |= X86


def decoded(path: Path, models) -> dict:
    """What a .ssp file decodes to: {"tokens": SHA-256 over tokens and which are known, fate: how many packets}."""
    from soundspring.coding.ssp import read_ssp
    from soundspring.link import Counts, Link, from_packets
    from soundspring.profile import from_dict

    meta, packets, _ = read_ssp(path, models.sha256)
    link, counts, digest = Link(from_dict(meta.settings), models), Counts(), hashlib.sha256()
    coder = link.entropy_decoder()
    for frame in from_packets(link, packets, -(-(meta.samples + 320) // link.profile.superframe_samples)):
        got = coder.push(*frame)
        counts.add(got)
        for part in (got.tokens.astype("<i2"), got.received, *(copy.astype("<i2") for copy in got.copies)):
            digest.update(part.tobytes())
    return {"tokens": digest.hexdigest(), **dict(sorted(counts.fates.items()))}


def work(args: argparse.Namespace) -> dict:
    """A worker: decode the files with the models of the environment."""
    import numba
    import numpy as np
    import torch
    from soundspring.link import Models

    torch.set_num_threads(args.threads)
    if args.no_onednn:
        torch._C._set_mkldnn_enabled(False)
    models = Models()
    return {"files": {path.stem: decoded(path, models) for path in args.files},
            "versions": {m.__name__: m.__version__ for m in (np, numba, torch)}
            | {"python": sys.version.split()[0], "machine": platform.machine()}}


def ask(files: list[Path], models: Path | None, python: str, environment: dict, options: list[str]) -> dict:
    """What a worker says; {"error": its last words} where it failed."""
    own = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "ATEN_", "MKL_", "OPENBLAS_", "NPY_"))}
    own |= environment | {"OMP_NUM_THREADS": options[1] if options[:1] == ["--threads"] else "1"}
    own |= {"SOUNDSPRING_MODELS": str(models)} if models else {}
    command = [python, str(Path(__file__).resolve()), "--worker", *options, *map(str, files)]
    with tempfile.TemporaryDirectory() as cache:
        if any(name.startswith("NUMBA_") for name in environment) or python != sys.executable:
            own["NUMBA_CACHE_DIR"] = cache  # what is compiled is for this setting alone
        done = subprocess.run(command, env=own, capture_output=True, text=True, timeout=1800)
    if done.returncode:
        return {"error": (done.stderr.strip() or "no words").splitlines()[-1]}
    return json.loads(done.stdout)


def compare(files: list[Path], models: Path | None, wanted: dict, runs: dict) -> dict:
    """{setting: {"same": bool, "differ": names, "versions": ..}}; runs: {setting: (python, environment, options)}."""
    rows = {}
    for name, run in runs.items():
        said = ask(files, models, *run)
        differ = [f for f in wanted if said.get("files", {}).get(f) != wanted[f]]
        rows[name] = {"same": not differ, "differ": differ} | {k: v for k, v in said.items() if k != "files"}
        print(f"{'same     ' if not differ else 'DIFFERENT'}  {name:36} {said.get('error', '')}"
              f"{' '.join(differ)} {' '.join(said.get('versions', {}).values())}", flush=True)
    return rows


def encoded(sound: Path, folder: Path) -> list[Path]:
    """A .ssp file of `sound` for each of three profiles, by the shipped models."""
    from soundspring.cli.main import main as command

    for name in ("reference", "chained", "packet20"):
        if command(["encode", str(sound), str(folder / f"{name}.ssp"), "--profile", name]):
            raise RuntimeError(f"{sound} could not be encoded")
    return sorted(folder.glob("*.ssp"))


def main(argv=None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--shipped", type=Path, metavar="SOUND", help="a sound to code with the shipped models as well")
    parser.add_argument("--python", action="append", default=[], metavar="NAME=PATH", help="another Python to ask")
    parser.add_argument("--only", metavar="WORD", default="", help="settings whose name has this word")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    for flag in ("--worker", "--no-onednn"):
        parser.add_argument(flag, action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        print(json.dumps(work(args)))
        return {}
    runs = {name: (sys.executable, *setting) for name, setting in SETTINGS.items() if args.only in name}
    runs |= {name: (path, {}, []) for name, path in (p.split("=", 1) for p in args.python)}
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        from make_ssp import GOLDEN, unpack

        golden, models = json.loads(GOLDEN.read_text()), unpack(Path(folder) / "models")
        files = [GOLDEN.with_name(f"{name}.ssp") for name in golden["files"]]
        print("golden files of the frozen tiny model:")
        figures["golden"] = compare(files, models, golden["files"], runs)
        if args.shipped:
            print("the shipped models:")
            files = encoded(args.shipped, Path(folder))
            first = ask(files, None, sys.executable, {}, [])
            figures["shipped"] = compare(files, None, first["files"], runs)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    return figures


if __name__ == "__main__":
    results = main()
    sys.exit(any(not row["same"] for rows in results.values() for row in rows.values()))
