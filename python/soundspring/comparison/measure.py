# SPDX-License-Identifier: GPL-3.0-or-later
"""One cell of a sweep: what a scheme makes of a sound over a channel, in figures. Runs in any process."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from time import process_time
from typing import Any

import numpy as np

from ..evaluation import metrics
from .air import Ether
from .plan import Cell
from .registry import make
from .scheme import LOST, PARTLY, Played, Scheme
from .terms import Terms

NOTHING = {"pesq_wb": 1.04, "stoi": 0.0, "plcmos": 1.0, "visqol": 1.0, "si_sdr_db": None}
"""What silence scores: the low end of each scale, since the metrics themselves say nothing of it."""


@dataclass(frozen=True)
class Arrived:
    """What came of the bursts of a cell: `received` for the scheme's `play`, and the columns that are known by now.

    digest: the same for cells of one scheme and sound that `play` would make the same sound of.
    """

    received: list[Any]
    digest: str
    columns: dict


@dataclass(frozen=True)
class Heard:
    """What was played, what the metrics say of it, and the CPU time that took, s."""

    played: Played
    scores: dict
    cpu_s: float


@lru_cache(maxsize=16)
def _scheme(label: str, terms: Terms) -> Scheme:
    return make(label, terms)


def transmit(terms: Terms, label: str, audio: np.ndarray) -> list[np.ndarray]:
    """float32 [n] -> the burst of each superframe under scheme NAME:MODE, for all channels that it meets."""
    scheme = _scheme(label, terms)
    return Ether(terms, scheme).bursts(scheme.encode(audio))


def arrive(cell: Cell, terms: Terms, bursts: Sequence[np.ndarray]) -> Arrived:
    """Send the bursts of `transmit` through the cell's channel. ValueError where they use more than the terms give."""
    begin, scheme = process_time(), _scheme(cell.scheme, terms)
    ether = Ether(terms, scheme)
    used = terms.check(cell.scheme, bursts)
    seed = seed_of(cell)
    arrived = ether.carry(bursts, cell.air.make(terms, seed), cell.air.losses(seed))
    received = [None if b is None else scheme.receive(b.symbols, b.noise_var) for b in arrived]
    known = scheme.digest(received)
    snr = [b.snr_db for b in arrived if b is not None]
    columns = {
        "snr_measured_db": float(np.mean(snr)) if snr else None, "payload_bps": scheme.payload_bps,
        "uses_per_s": used.uses_per_s, "power_db": used.power_db, "peak_db": used.peak_db,
        "cpu_s": process_time() - begin, "worker": f"{platform.node()}:{os.getpid()}",
    }
    return Arrived(received, cell.key if known is None else hashlib.sha256(known).hexdigest(), columns)


def listen(label: str, terms: Terms, arrived: Arrived, audio: np.ndarray) -> Heard:
    """Play what arrived of `audio` under a scheme, and score it."""
    begin = process_time()
    played = _scheme(label, terms).play(arrived.received, len(audio))
    return Heard(played, scored(audio, played), process_time() - begin)


def row(cell: Cell, arrived: Arrived, heard: Heard, again: bool) -> tuple[dict, bytes | None]:
    """A row of results, and the sound as an MP3 where the cell is to be listened to.

    again: `heard` was made for another cell, so that its CPU time is not this one's.
    """
    name, _, mode = cell.scheme.partition(":")
    fates = heard.played.fates
    columns = {
        "key": cell.key, "terms": cell.terms, "scheme": name, "mode": mode, "channel": cell.air.label,
        "snr_db": cell.air.snr_db, "loss": cell.air.loss, "file": cell.file, "seed": cell.seed, **heard.scores,
        "bursts": len(arrived.received), "bursts_lost": fates.count(LOST), "bursts_partial": fates.count(PARTLY),
        **arrived.columns, "fates": fates, "sound": file_name(cell.key) if cell.listen else "",
    }
    columns["cpu_s"] += 0.0 if again else heard.cpu_s
    return columns, mp3(heard.played.audio) if cell.listen else None


def seed_of(cell: Cell) -> int:
    """Of channel and losses: the same for all schemes, SNRs and terms, another for each file and seed."""
    return zlib.crc32(f"{cell.file}/{cell.seed}".encode())


def file_name(key: str) -> str:
    """A key as the name of a file of sound."""
    return re.sub(r"[^a-z0-9.-]+", "_", key.lower()) + ".mp3"


def scored(audio: np.ndarray, played: Played) -> dict:
    """All metrics; `NOTHING` where nothing arrived or what is played is silent."""
    quiet = float(np.sqrt(np.mean(np.square(played.audio)))) < 1e-4
    if quiet or set(played.fates) <= {LOST}:
        return dict(NOTHING)
    return metrics.score(audio, played.audio) | {"visqol": metrics.visqol(audio, played.audio)}


def mp3(audio: np.ndarray) -> bytes:
    """float [n] at 16 kHz -> an MP3 file of about 48 kbit/s, which every browser plays."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(audio, -1, 1), 16000, format="MP3", bitrate_mode="CONSTANT", compression_level=0.7)
    return buffer.getvalue()
