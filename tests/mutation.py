#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the code of a pure room, one small change at a time, and see whether the room's tests notice.

    python tests/mutation.py fec --count 100 --seed 1 --out fec.jsonl     # goes on where it was stopped
    python tests/mutation.py fec --again fec.jsonl --out again.jsonl      # those that survived, once more

Needs `pip install cosmic-ray`, whose operators make the mutants. A place in the code is drawn first and then one of its
mutants, else most would be operators that have a dozen replacements. Each is written into the source tree, tested in a
forked process that has numpy and numba already, and undone. Compiled code is kept in a cache apart; only the changed
function and those that call it are compiled again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
CACHE = Path(tempfile.mkdtemp(prefix="mutation"))
os.environ["NUMBA_CACHE_DIR"] = str(CACHE / "true")

import hypothesis  # noqa: E402
import numba  # noqa: E402
import numba.core.caching  # noqa: E402
import numpy as np  # noqa: E402,F401
import pytest  # noqa: E402
import scipy.optimize  # noqa: E402
import scipy.signal  # noqa: E402
import scipy.sparse  # noqa: E402
import scipy.special  # noqa: E402,F401
from cosmic_ray.commands import init  # noqa: E402
from cosmic_ray.mutating import use_mutation  # noqa: E402
from cosmic_ray.plugins import get_operator  # noqa: E402
from cosmic_ray.work_db import WorkDB, use_db  # noqa: E402
from cosmic_ray.work_item import MutationSpec  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TABLES = {"base_graphs.py"}
PATIENCE = 5  # a test may take this many times the processor time that it takes with the true code,
SLACK = 5, 40  # and these seconds more, of which the latter are for compilation

hypothesis.settings.register_profile("mutation", derandomize=True, database=None)  # the same inputs for each mutant
hypothesis.settings.load_profile("mutation")
# numba would forget a whole file when it changes; `forget` says what to compile again.
numba.core.caching._SourceFileBackedLocatorMixin.get_source_stamp = lambda _: 0  # type: ignore[method-assign]


class Watch:
    """Quick tests first, those of the changed file before others, each with a limit; notes their times of the processor
    and the first that failed. slack: seconds that a test may take beside those."""

    def __init__(self, stem: str, times: dict[str, float], slack: float) -> None:
        self.stem, self.times, self.slack, self.failed = stem, times, slack, ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        own = f"test_{self.stem}.py"
        items.sort(key=lambda item: self.times.get(item.nodeid, 1) * (0.05 if item.path.name == own else 1))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        begun, old = time.process_time(), self.times.get(item.nodeid, math.inf)
        signal.setitimer(signal.ITIMER_VIRTUAL, min(PATIENCE * old, 600) + self.slack)  # ends the process
        result = yield
        self.times[item.nodeid] = min(time.process_time() - begun, old)
        return result

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


def places(room: str) -> tuple[list[list[MutationSpec]], int]:
    """The room's mutants by place, in a fixed order, and how many there are."""
    files = [path.relative_to(ROOT) for path in sorted((ROOT / "python/soundspring" / room).glob("*.py"))]
    files = [path for path in files if path.name not in TABLES]
    with use_db(":memory:", WorkDB.Mode.create) as database:
        init(files, database, {})
        specs = [item.mutations[0] for item in database.work_items]
    silent = {path: list(_silent(path)) for path in files}
    found: dict[tuple, list[MutationSpec]] = {}
    for spec in specs:
        if not any(begin <= tuple(spec.start_pos) < end for begin, end in silent[spec.module_path]):
            family = spec.operator_name.split("_")[0]
            found.setdefault((str(spec.module_path), *spec.start_pos, *spec.end_pos, family), []).append(spec)
    groups = [sorted(found[key], key=lambda spec: (spec.operator_name, spec.occurrence)) for key in sorted(found)]
    return groups, sum(map(len, groups))


def _silent(path: Path) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Where a change changes nothing: annotations; and decorators, of which most ask numba to compile."""
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        decorators = getattr(node, "decorator_list", [])
        for part in [*decorators, getattr(node, "returns", None), getattr(node, "annotation", None)]:
            if part:
                yield (part.lineno, part.col_offset - (part in decorators)), (part.end_lineno, part.end_col_offset)


def draw(room: str, count: int, seed: int) -> list[MutationSpec]:
    groups, total = places(room)
    print(f"{room}: {total} mutants at {len(groups)} places", file=sys.stderr)
    chance = random.Random(seed)
    return [chance.choice(group) for group in chance.sample(groups, min(count, len(groups)))]


def run(room: str, stem: str, times: dict[str, float], slack: float, cache: Path) -> tuple[str, str]:
    """Run the room's tests in a fork: survived, killed (by which test) or timed out."""
    report = CACHE / "report.json"
    report.unlink(missing_ok=True)
    pid = os.fork()
    if not pid:
        try:
            _child(room, Watch(stem, times, slack), cache, report)
        finally:
            os._exit(99)
    status = _wait(pid)
    found = json.loads(report.read_text()) if report.exists() else {"failed": "", "times": {}}
    if status == 0:
        times.update(found["times"])
        return "survived", ""
    late = os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGKILL, signal.SIGVTALRM)
    return ("timed out" if late else "killed"), found["failed"] or f"status {status}"


def _child(room: str, watch: Watch, cache: Path, report: Path) -> None:
    os.setsid()
    os.environ["NUMBA_CACHE_DIR"] = numba.config.CACHE_DIR = str(cache)
    sys.dont_write_bytecode = True
    with open(CACHE / "log.txt", "w") as log:
        os.dup2(log.fileno(), 1), os.dup2(log.fileno(), 2)
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", f"tests/{room}"], plugins=[watch])
    report.write_text(json.dumps({"failed": watch.failed, "times": watch.times}))
    os._exit(int(code))


def _wait(pid: int) -> int:
    """The status with which the process ended; after half an hour it waits for something and is ended."""
    deadline, status = time.monotonic() + 1800, (0, 0)
    try:
        while not status[0]:
            time.sleep(0.05)
            if time.monotonic() > deadline:
                os.killpg(pid, signal.SIGKILL)
            status = os.waitpid(pid, os.WNOHANG)
    finally:
        if not status[0]:
            os.killpg(pid, signal.SIGKILL)
    return status[1]


def forget(cache: Path, path: Path, line: int) -> None:
    """Take from the cache the function of `path` that holds the line and those that call it; all if none holds it."""
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    names = {node.name for node in functions}
    calls = {node.name: {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} for node in functions}
    gone = {node.name for node in functions if node.lineno <= line <= (node.end_lineno or 0)} or names
    for _ in functions:
        gone |= {name for name in names if calls[name] & gone}
    for name in gone:
        for file in cache.glob(f"{path.parent.name}_*/{path.stem}.{name}-*"):
            file.unlink()


@contextlib.contextmanager
def mutated(spec: MutationSpec) -> Iterator[str]:
    """The mutant in the source tree, and its difference. Afterwards the file's time is the old one, for the caches."""
    path = spec.module_path
    old = os.stat(path)
    try:
        with use_mutation(path, get_operator(spec.operator_name)(), spec.occurrence) as (before, after):
            lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), "", "", 1, "")
            yield "\n".join(lines)
    finally:
        os.utime(path, ns=(old.st_atime_ns, old.st_mtime_ns))


def judge(room: str, spec: MutationSpec, times: dict[str, float]) -> dict[str, object]:
    compiled = "numba.njit" in (ROOT / spec.module_path).read_text("utf-8")
    cache, begun = CACHE / ("mutant" if compiled else "true"), time.monotonic()
    if compiled:
        shutil.copytree(CACHE / "true", cache)
        forget(cache, spec.module_path, spec.start_pos[0])
    with mutated(spec) as difference:
        outcome, test = run(room, spec.module_path.stem, times, SLACK[compiled], cache)
    if compiled:
        shutil.rmtree(cache)
    return {"path": str(spec.module_path), "operator": spec.operator_name, "occurrence": spec.occurrence,
            "line": spec.start_pos[0], "outcome": outcome, "test": test, "seconds": round(time.monotonic() - begun, 1),
            "difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("room", choices=["coding", "fec", "modem"])
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--again", type=Path, help="the survivors of this file instead")
    parser.add_argument("--out", type=Path, required=True, help="a line of JSON for each mutant is appended")
    args = parser.parse_args()
    os.chdir(ROOT)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the mutant is undone
    if args.again:
        rows = [json.loads(line) for line in args.again.read_text("utf-8").splitlines()]
        specs = [MutationSpec(row["path"], row["operator"], row["occurrence"], (row["line"], 0), (row["line"], 1))
                 for row in rows if row["outcome"] == "survived"]
    else:
        specs = draw(args.room, args.count, args.seed)
    old = args.out.read_text("utf-8").splitlines() if args.out.exists() else []
    done = {(row["path"], row["operator"], row["occurrence"]) for row in map(json.loads, old)}
    times: dict[str, float] = {}
    outcome, test = run(args.room, "", times, 0, CACHE / "true")
    if outcome != "survived":
        sys.exit(f"the tests of {args.room} fail on the code as it is: {test}")
    for spec in specs:
        if (str(spec.module_path), spec.operator_name, spec.occurrence) not in done:
            row = judge(args.room, spec, times)
            print(row["outcome"], row["path"], row["line"], row["operator"], row["seconds"], row["test"], flush=True)
            with args.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")


if __name__ == "__main__":
    try:
        main()
    finally:
        shutil.rmtree(CACHE)
