# SPDX-License-Identifier: GPL-3.0-or-later
"""One cell of a sweep: what a scheme makes of a sound over a channel, in figures. Runs in any process."""

from __future__ import annotations

import hashlib
import io
import os
import platform
import re
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from time import process_time

import numpy as np

from ..evaluation import metrics
from .air import Ether
from .plan import Cell
from .registry import make
from .scheme import LOST, PARTLY, Played, Scheme
from .terms import Terms

NOTHING = {"pesq_wb": 1.04, "stoi": 0.0, "plcmos": 1.0, "visqol": 1.0, "si_sdr_db": None}
"""What silence scores: the low end of each scale, since the metrics themselves say nothing of it."""
_REMEMBERED = 64
_memory: OrderedDict[tuple, tuple[Played, dict]] = OrderedDict()


@lru_cache(maxsize=16)
def _scheme(label: str, terms: Terms) -> Scheme:
    return make(label, terms)


def transmit(terms: Terms, label: str, audio: np.ndarray) -> list[np.ndarray]:
    """float32 [n] -> the burst of each superframe under scheme NAME:MODE, for all channels that it meets."""
    scheme = _scheme(label, terms)
    return Ether(terms, scheme).bursts(scheme.encode(audio))


def measure(cell: Cell, terms: Terms, bursts: Sequence[np.ndarray], audio: np.ndarray) -> tuple[dict, bytes | None]:
    """A row of results without file or sound, and the sound as an MP3 where the cell is to be listened to.

    bursts: of `transmit`. audio: what they were made of. Raises ValueError where the scheme uses more than the terms
    give.
    """
    begin, scheme = process_time(), _scheme(cell.scheme, terms)
    ether = Ether(terms, scheme)
    used = terms.check(cell.scheme, bursts)
    seed = seed_of(cell)
    arrived = ether.carry(bursts, cell.air.make(terms, seed), cell.air.losses(seed))
    received = [None if b is None else scheme.receive(b.symbols, b.noise_var) for b in arrived]
    played, scores = _listen(scheme, received, audio)
    snr = [b.snr_db for b in arrived if b is not None]
    name, _, mode = cell.scheme.partition(":")
    row = {
        "key": cell.key, "terms": cell.terms, "scheme": name, "mode": mode, "channel": cell.air.label,
        "snr_db": cell.air.snr_db, "loss": cell.air.loss, "file": cell.file, "seed": cell.seed, **scores,
        "bursts": len(bursts), "bursts_lost": played.fates.count(LOST), "bursts_partial": played.fates.count(PARTLY),
        "snr_measured_db": float(np.mean(snr)) if snr else None, "payload_bps": scheme.payload_bps,
        "uses_per_s": used.uses_per_s, "power_db": used.power_db, "peak_db": used.peak_db,
        "cpu_s": process_time() - begin, "worker": f"{platform.node()}:{os.getpid()}",
        "fates": played.fates, "sound": file_name(cell.key) if cell.listen else "",
    }
    return row, mp3(played.audio) if cell.listen else None


def seed_of(cell: Cell) -> int:
    """Of channel and losses: the same for all schemes, SNRs and terms, another for each file and seed."""
    return zlib.crc32(f"{cell.file}/{cell.seed}".encode())


def file_name(key: str) -> str:
    """A key as the name of a file of sound."""
    return re.sub(r"[^a-z0-9.-]+", "_", key.lower()) + ".mp3"


def _listen(scheme: Scheme, received: list, audio: np.ndarray) -> tuple[Played, dict]:
    """Play and score; what was played before, bit for bit, is not played again."""
    digest = scheme.digest(received)
    key = digest and (scheme.label, hashlib.sha256(audio.tobytes()).digest(), hashlib.sha256(digest).digest())
    if key in _memory:
        _memory.move_to_end(key)
        return _memory[key]
    played = scheme.play(received, len(audio))
    result = played, scored(audio, played)
    if key:
        _memory[key] = result
        if len(_memory) > _REMEMBERED:
            _memory.popitem(last=False)
    return result


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
