# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a plan: in this process, in several on this machine, or on a Dask cluster; what is done is never done again.

Dask is imported only where it is asked for.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import groupby

import numpy as np

from ..audio.io import read
from . import measure
from .plan import Cell, Plan
from .registry import make
from .results import Results

DASK = "several processes need Dask: pip install dask distributed (requirements/sweep.txt), or use --workers 1"
Result = tuple[dict, bytes | None]
_REMEMBERED = 64  # sounds


def sweep(results: Results, workers: int = 1, cluster: str | None = None,
          progress: Callable[[int, int], object] | None = None) -> int:
    """Measure what is missing in `results`, which is open, and return how many cells that were.

    workers: processes on this machine; 1 is this one alone. cluster: the address of a Dask scheduler instead.
    progress(done, total) is called at the beginning and after each cell. Raises ValueError where a scheme uses more
    than its terms give, ImportError where one, or Dask, is not installed.
    """
    plan = results.plan
    cells = list(plan.cells())
    missing = [c for c in cells if c.key not in results.done]
    tell = progress or (lambda done, total: None)
    tell(len(cells) - len(missing), len(cells))
    if not missing:
        return 0
    for contest in plan.contests:
        for label in contest.schemes:
            make(label, contest.terms)  # what is not installed shows now, not after an hour
    speech = {name: sound(plan, name) for name in {c.file for c in missing}}
    for name in sorted({c.file for c in missing if c.listen}):
        results.keep(measure.file_name(name), measure.mp3(speech[name]))
    alone = workers == 1 and not cluster
    for row, kept in _here(plan, missing, speech) if alone else _dask(plan, missing, speech, workers, cluster):
        results.add(row, kept)
        tell(len(results.done), len(cells))
    return len(missing)


def sound(plan: Plan, name: str) -> np.ndarray:
    """A file of the plan, float32 [n] at 16 kHz, cut to the plan's seconds."""
    audio, _ = read(plan.files[name])
    return audio[: round(plan.seconds * 16000)] if plan.seconds else audio


def _here(plan: Plan, cells: list[Cell], speech: dict[str, np.ndarray]) -> Iterator[Result]:
    for (terms_name, label, file), own in groupby(cells, _place):
        terms = plan.contest(terms_name).terms
        bursts = measure.transmit(terms, label, speech[file])
        heard: dict[str, measure.Heard] = {}
        for cell in own:
            arrived = measure.arrive(cell, terms, bursts)
            again = arrived.digest in heard
            if not again:
                heard[arrived.digest] = measure.listen(label, terms, arrived, speech[file])
            yield measure.row(cell, arrived, heard[arrived.digest], again)
            if len(heard) > _REMEMBERED:
                del heard[next(iter(heard))]


def _place(cell: Cell) -> tuple[str, str, str]:
    """Cells with the same one are sent the same bursts."""
    return cell.terms, cell.scheme, cell.file


def _dask(plan: Plan, cells: list[Cell], speech: dict[str, np.ndarray], workers: int,
          cluster: str | None) -> Iterator[Result]:
    try:
        from dask import config
        from dask.distributed import Client, LocalCluster
    except ImportError as error:
        raise ImportError(f"{DASK} ({error})") from error
    logging.getLogger("distributed").setLevel(logging.WARNING)  # which importing it has lowered
    # Workers on a busy machine take their time to start.
    with config.set({"distributed.comm.timeouts.connect": "120s"}), ExitStack() as stack:
        address = cluster or stack.enter_context(LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, protocol="tcp://", host="127.0.0.1"))
        client = stack.enter_context(Client(address))
        client.wait_for_workers(1, timeout=300)
        yield from _measured_by(client, plan, cells, speech)


def _measured_by(client, plan: Plan, cells: list[Cell], speech: dict[str, np.ndarray]) -> Iterator[Result]:
    """Rows as they are ready. What several cells have in common, bursts and sounds, is a task of its own.

    A process that remembered by itself would do again what another has done: then two take as long as one.
    """
    from dask.distributed import as_completed

    audio = {name: client.scatter(x, hash=False) for name, x in speech.items()}
    left = Counter(map(_place, cells))
    sent, heard, digests, rows = {}, {}, {}, {}
    for cell in cells:
        terms, place = plan.contest(cell.terms).terms, _place(cell)
        if place not in sent:
            sent[place] = client.submit(measure.transmit, terms, cell.scheme, audio[cell.file], pure=False)
        arrived = client.submit(measure.arrive, cell, terms, sent[place], pure=False)
        digests[client.submit(getattr, arrived, "digest", pure=False, priority=1)] = cell, arrived
    waiting = as_completed(list(digests))
    for done in waiting:
        if done in rows:
            yield done.result()
            place = rows.pop(done)
            left[place] -= 1
            if not left[place]:  # nobody asks for these again
                del sent[place], heard[place]
            continue
        cell, arrived = digests.pop(done)
        known, digest = heard.setdefault(_place(cell), {}), done.result()
        if not (again := digest in known):
            known[digest] = client.submit(measure.listen, cell.scheme, plan.contest(cell.terms).terms, arrived,
                                          audio[cell.file], pure=False, priority=1)
        finished = client.submit(measure.row, cell, arrived, known[digest], again, pure=False, priority=2)
        rows[finished] = _place(cell)
        waiting.add(finished)
