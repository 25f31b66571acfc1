#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzz what reads bytes that others made, guided by coverage (atheris).

    python tests/fuzz/fuzz.py                      every target, 100000 executions each
    python tests/fuzz/fuzz.py ssp_files --runs 1e6 --seed 3 --keep

Prints for each target how many executions there were and what was found; ends with 1 after a fault, whose input lies
in --faults. With --keep the inputs that cover more than those kept so far are added to corpus/, which CI replays.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "python"), str(HERE), str(HERE.parent)]

MEMORY_MB, SECONDS = 3000, 20  # more than that for one input is a fault
KEEP_BYTES = 1024  # longer inputs are not kept


def child(name: str, options: list[str]) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    package = HERE.parents[1] / "python" / "soundspring"
    compiled = [".".join(path.relative_to(package.parent).with_suffix("").parts) for path in package.rglob("*.py")
                if "numba" in path.read_text("utf-8")]  # numba cannot compile what is instrumented
    with atheris.instrument_imports(include=["soundspring"], exclude=compiled):
        import targets
        from seeds import seeds

        for data in seeds(name)[:3]:
            targets.TARGETS[name](data)  # imports the rest of what it needs
    atheris.Setup([sys.argv[0], *options], targets.TARGETS[name])
    atheris.Fuzz()


def fuzz(name: str, args: argparse.Namespace) -> bool:
    """Fuzz a target in a process of its own; say what came of it. False after a fault."""
    from seeds import seeds, words
    from targets import corpus

    with tempfile.TemporaryDirectory() as work:
        start, found = Path(work, "start"), Path(work, "found")
        for folder in (start, found, args.faults):
            folder.mkdir(exist_ok=True, parents=True)
        for key, data in corpus(name).items():
            (start / key).write_bytes(data)
        for number, data in enumerate(seeds(name)):
            (start / f"seed{number}").write_bytes(data)
        Path(work, "words").write_text("".join(f'"{word}"\n' for word in [name, *words(name)]))
        begin = time.monotonic()
        log = run(name, [str(found), str(start), f"-runs={int(args.runs)}", f"-seed={args.seed}",
                         f"-dict={work}/words", f"-max_total_time={int(args.seconds)}",
                         f"-artifact_prefix={args.faults}/{name}-"])
        done = re.findall(r"(?:#|stat::number_of_executed_units: *)(\d+)", log.stdout)
        fault = re.search(r"(?m)^==.*ERROR.*|.*Uncaught Python exception.*(?:\n.*){0,40}", log.stdout)
        good = log.returncode == 0
        print(f"{name}: {done[-1] if done else 0} executions, seed {args.seed}, {time.monotonic() - begin:.0f} s, "
              f"{len(list(found.iterdir()))} new inputs, {'no fault' if good else 'FAULT'}", flush=True)
        if not good:
            print(fault.group() if fault else log.stdout[-3000:], flush=True)
        if args.keep:
            keep(name, [start, found])
    return good


def run(name: str, options: list[str]) -> subprocess.CompletedProcess:
    """Target `name` under libFuzzer's `options`."""
    limits = [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={SECONDS}", "-print_final_stats=1"]
    return subprocess.run([sys.executable, __file__, "--child", name, *limits, *options], check=False, text=True,
                          errors="replace", stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def keep(name: str, folders: list[Path]) -> None:
    """Write all inputs in the folders that are not long to the corpus."""
    inputs = {path.name: path.read_bytes() for folder in folders for path in folder.iterdir()}
    path = HERE / "corpus" / f"{name}.zip"
    path.parent.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for key, data in sorted(inputs.items()):
            if len(data) <= KEEP_BYTES and not key.startswith("seed"):
                archive.writestr(zipfile.ZipInfo(key), data, zipfile.ZIP_DEFLATED)


def main() -> int:
    from targets import TARGETS

    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; default: all")
    ap.add_argument("--runs", type=float, default=1e5, help="executions of each target (default: %(default)g)")
    ap.add_argument("--seconds", type=float, default=0, help="at most for each target; 0: no limit")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--keep", action="store_true", help="add to the corpus what covers more")
    ap.add_argument("--faults", type=Path, default=Path("faults"), help="folder for the inputs of faults")
    args = ap.parse_args()
    if unknown := set(args.targets) - set(TARGETS):
        ap.error(f"no target {', '.join(sorted(unknown))}")
    return 0 if all([fuzz(name, args) for name in args.targets or TARGETS]) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], sys.argv[3:])
    sys.exit(main())
