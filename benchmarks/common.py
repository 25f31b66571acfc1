# SPDX-License-Identifier: GPL-3.0-or-later
"""What the benchmarks share: held-out speech, progress, means with their intervals, and the facts of the run."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "models" / "train")]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from data import RATE, Corpus, level  # noqa: E402
from soundspring import weights  # noqa: E402
from soundspring.audio.io import read  # noqa: E402
from soundspring.evaluation.metrics import confidence95, score  # noqa: E402
from tqdm import tqdm  # noqa: E402

METRICS = ("pesq_wb", "stoi", "plcmos", "si_sdr_db")
PACKAGES = ("numpy", "scipy", "torch", "numba", "pesq", "pystoi", "speechmos", "onnxruntime")
Utterances = list[tuple[str, np.ndarray]]  # (voice, float32 [n] at 16 kHz)


def arguments(doc: str, argv: Sequence[str] | None, seconds: float, length: float, **more) -> argparse.Namespace:
    """The options every benchmark has, and `more` of its own as name=dict(add_argument's keywords)."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--corpus", type=Path, help="folder of models/train/corpus.py; default: the WAVs in examples/")
    ap.add_argument("--seconds", type=float, default=seconds, help="of speech in all (default: %(default)g)")
    ap.add_argument("--length", type=float, default=length, help="seconds of an utterance (default: %(default)g)")
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--quick", action="store_true", help="a fifth of the speech, at most one utterance a voice")
    ap.add_argument("--json", type=Path, metavar="FILE", help="write the figures here")
    for name, keywords in more.items():
        ap.add_argument(f"--{name.replace('_', '-')}", **keywords)
    torch.set_num_threads(1)
    return ap.parse_args(argv)


def speech(args: argparse.Namespace) -> Utterances:
    """About --seconds of utterances of --length, evenly over the test voices of the corpus, all at -26 dBov."""
    rng = np.random.default_rng(args.seed)
    if args.corpus:
        corpus = Corpus(args.corpus, "test")
        each = 1 if args.quick else max(round(args.seconds / args.length / len(corpus.voices)), 1)
        found = corpus.utterances(rng, args.length, each)
    else:
        found = [piece for path in sorted((ROOT / "examples").glob("*.wav")) for piece in _pieces(path, args.length)]
    if args.quick:
        found = found[:: max(round(len(found) * args.length / (args.seconds / 5)), 1)]
    if not found:
        raise ValueError("no speech: give --corpus the folder that models/train/corpus.py wrote, or a shorter --length")
    return found


def _pieces(path: Path, length: float) -> Utterances:
    """A WAV cut into whole utterances; a shorter one is a single utterance."""
    audio, _ = read(path)
    n = min(int(length * RATE), len(audio))
    return [(path.stem, level(audio[at : at + n], None)) for at in range(0, len(audio) - n + 1, n)]


def progress(items: Iterable, label: str, total: int | None = None) -> tqdm:
    """A bar on stderr; where that is no terminal, a line now and then."""
    seldom = 0.1 if sys.stderr.isatty() else 15.0
    return tqdm(items, desc=label, total=total, file=sys.stderr, leave=False, mininterval=seldom)


def mean(values: Iterable[float | None], digits: int = 4) -> dict:
    """{"mean", "ci95": half width of the 95 % interval by Student's t, "n"}; null where nothing was measured."""
    values = [v for v in values if v is not None]
    centre, half = confidence95(values)
    tidy = [None if np.isnan(x) else round(x, digits) for x in (centre, half)]
    return {"mean": tidy[0], "ci95": tidy[1], "n": len(values)}


def means(scores: Sequence[dict]) -> dict:
    """The mean of every metric over the utterances' scores."""
    return {m: mean(s[m] for s in scores) for m in METRICS}


def show(figure: dict, digits: int = 2) -> str:
    """A mean with its interval, for people."""
    if figure["mean"] is None:
        return "-"
    half = "" if figure["ci95"] is None else f" ±{figure['ci95']:.{digits}f}"
    return f"{figure['mean']:.{digits}f}{half}"


def about(args: argparse.Namespace, utterances: Utterances) -> dict:
    """What a figure depends on: machine, versions, weights, speech and seed."""
    cpu = [line.split(":")[1] for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    seen = {}
    for voice, x in utterances:
        seen[voice] = round(seen.get(voice, 0) + len(x) / RATE, 1)
    return {
        "machine": {"cpu": cpu[0].strip() if cpu else platform.machine(), "cores": os.cpu_count(), "threads": 1,
                    "system": platform.platform()},
        "versions": {"python": platform.python_version()} | {p: v for p in PACKAGES if (v := _version(p))},
        "weights_sha256": {name: _digest(name) for name in weights.model_names()},
        "speech": {"corpus": "test voices" if args.corpus else "examples", "seconds_per_voice": seen,
                   "utterances": len(utterances), "seconds": round(sum(seen.values()), 1)},
        "seed": args.seed,
        "quick": args.quick,
    }


def write(args: argparse.Namespace, figures: dict) -> None:
    """To --json, where it was given. JSON makes a string of every key."""
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(figures, indent=1) + "\n")


class MemoDecoder:
    """Entropy decoding of superframes, never twice of the same packets.

    Only for profiles whose packets lean on nothing outside their own superframe: then what is decoded of it is a
    function of the packets that arrived, and a decoder for each superframe gives the same as one for all of them.
    """

    def __init__(self, link):
        if any(back for g in range(len(link.profile.groups)) for back, _ in link.plan.needs(g, 1)):
            raise ValueError(f"profile {link.profile.name}: packets lean on earlier superframes; decode them in a row")
        self.link, self.known = link, {}

    def decode(self, frames: Iterable[tuple[int, Sequence[np.ndarray | None]]]) -> list:
        """(sequence, payload bits or None where lost) -> a DecodedSuperframe each."""
        return [self._one(sequence, payloads) for sequence, payloads in frames]

    def _one(self, sequence: int, payloads: Sequence[np.ndarray | None]):
        # Zeros behind a payload mean nothing; code blocks have them, packets do not.
        key = (sequence, *(None if p is None else np.trim_zeros(p, "b").tobytes() for p in payloads))
        if key not in self.known:
            self.known[key] = self.link.entropy_decoder().push(sequence, payloads)
        return self.known[key]


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _digest(model: str) -> str:
    return weights.sha256(weights.find_model(model) / "weights.safetensors")


__all__ = [
    "METRICS", "MemoDecoder", "RATE", "ROOT", "about", "arguments", "mean", "means", "progress", "score", "show",
    "speech", "write",
]
