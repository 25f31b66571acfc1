# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a plan: in this process, in several on this machine, or on a Dask cluster; what is done is never done again.

Dask is imported only where it is asked for.
"""

from __future__ import annotations

import logging
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
    for (terms_name, label, file), own in groupby(cells, lambda c: (c.terms, c.scheme, c.file)):
        terms = plan.contest(terms_name).terms
        bursts = measure.transmit(terms, label, speech[file])
        for cell in own:
            yield measure.measure(cell, terms, bursts, speech[file])


def _dask(plan: Plan, cells: list[Cell], speech: dict[str, np.ndarray], workers: int,
          cluster: str | None) -> Iterator[Result]:
    """Each sound is encoded once by each scheme, as a task of its own; Dask brings that to whoever measures with it."""
    try:
        from dask import config
        from dask.distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise ImportError(f"{DASK} ({error})") from error
    logging.getLogger("distributed").setLevel(logging.WARNING)  # which importing it has lowered
    # Workers on a busy machine take their time to start.
    with config.set({"distributed.comm.timeouts.connect": "120s"}), ExitStack() as stack:
        address = cluster or stack.enter_context(LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, protocol="tcp://", host="127.0.0.1"))
        client = stack.enter_context(Client(address))
        client.wait_for_workers(1, timeout=300)
        audio = {name: client.scatter(x, hash=False) for name, x in speech.items()}
        sent, waiting = {}, []
        for cell in cells:
            terms, place = plan.contest(cell.terms).terms, (cell.terms, cell.scheme, cell.file)
            if place not in sent:
                sent[place] = client.submit(measure.transmit, terms, cell.scheme, audio[cell.file], pure=False)
            waiting.append(client.submit(measure.measure, cell, terms, sent[place], audio[cell.file], pure=False))
        for done in as_completed(waiting):
            yield done.result()
            done.release()
