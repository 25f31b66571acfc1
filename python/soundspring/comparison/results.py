# SPDX-License-Identifier: GPL-3.0-or-later
"""A folder of results: rows.csv that only ever grows by whole rows, the plan, what it ran on, and sound."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import yaml

from .. import __version__, weights
from ..untrusted import read_mapping
from .plan import Plan, from_dict

FIELDS = (
    "key", "terms", "scheme", "mode", "channel", "snr_db", "loss", "file", "seed", "pesq_wb", "stoi", "si_sdr_db",
    "plcmos", "visqol", "bursts", "bursts_lost", "bursts_partial", "snr_measured_db", "payload_bps", "uses_per_s",
    "power_db", "peak_db", "cpu_s", "worker", "fates", "sound",
)
METRICS = ("pesq_wb", "stoi", "plcmos", "visqol", "si_sdr_db")
_WORDS = {"key", "terms", "scheme", "mode", "channel", "loss", "file", "worker", "fates", "sound"}
_PACKAGES = ("numpy", "scipy", "torch", "numba", "pesq", "pystoi", "speechmos", "visqol-python", "opuscodec", "av")


class Results:
    """The results of one plan in one folder. Use it as a context: while it is open no other process may write there.

    A row is written by a single append and synced, so that after a kill the file holds whole rows and perhaps the
    beginning of one, which is cut off when the folder is opened again.
    """

    def __init__(self, folder: str | Path, plan: Plan):
        self.folder, self.plan = Path(folder), plan
        self.done: set[str] = set()

    def __enter__(self) -> Results:
        import fcntl

        (self.folder / "sound").mkdir(parents=True, exist_ok=True)
        self._file = os.open(self.folder / "rows.csv", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._file)
            raise ValueError(f"--out: another sweep is writing to {self.folder}; wait for it") from None
        try:
            self._begin()
        except BaseException:
            os.close(self._file)
            raise
        return self

    def __exit__(self, *_) -> None:
        os.close(self._file)

    def _begin(self) -> None:
        """Take up what is there, or begin. ValueError where it is of another plan, weights or version."""
        ours = {"plan.yaml": yaml.safe_dump(self.plan.source, sort_keys=False, allow_unicode=True),
                "about.json": json.dumps(about(), indent=1) + "\n"}
        for name, text in ours.items():
            path = self.folder / name
            if not path.exists():
                path.write_text(text, encoding="utf-8")
            elif _binding(name, path.read_text(encoding="utf-8")) != _binding(name, text):
                raise ValueError(f"--out: {path} tells of another {'plan' if 'plan' in name else 'version'}; choose "
                                 "another folder, or remove that one")
        content = os.pread(self._file, os.fstat(self._file).st_size, 0)
        whole = content[: content.rfind(b"\n") + 1]
        os.ftruncate(self._file, len(whole))
        if not whole:
            self._write(FIELDS)
        elif whole.split(b"\n")[0].decode().split(",") != list(FIELDS):
            raise ValueError(f"--out: {self.folder}/rows.csv has other columns; choose another folder")
        self.done = {row["key"] for row in _parse(whole.decode())}

    def add(self, row: Mapping[str, object], sound: bytes | None = None) -> None:
        """Append a row for good; its sound first, so that no row names a file that is not there."""
        if sound is not None:
            self.keep(str(row["sound"]), sound)
        self._write([_text(row.get(name)) for name in FIELDS])
        self.done.add(str(row["key"]))

    def keep(self, name: str, content: bytes) -> None:
        """Write a file of sound, whole or not at all."""
        path = self.folder / "sound" / name
        part = path.with_name(path.name + ".part")
        part.write_bytes(content)
        part.replace(path)

    def _write(self, values) -> None:
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(values)
        os.write(self._file, line.getvalue().encode())
        os.fsync(self._file)


def read(folder: str | Path) -> tuple[Plan, dict, list[dict]]:
    """A folder's plan, what it ran on, and its rows with numbers as numbers, None where empty. Raises ValueError."""
    folder = Path(folder)
    texts = {}
    for name in ("plan.yaml", "about.json", "rows.csv"):
        if not (folder / name).is_file():
            raise ValueError(f"{folder} holds no results: {name} is missing; make them with `soundspring sweep`")
        texts[name] = (folder / name).read_text(encoding="utf-8")
    whole = texts["rows.csv"][: texts["rows.csv"].rfind("\n") + 1]
    rows = [{k: v if k in _WORDS else _number(v) for k, v in row.items()} for row in _parse(whole)]
    plan = from_dict(read_mapping(folder / "plan.yaml", "plan"), folder, False)
    return plan, json.loads(texts["about.json"]), rows


def about() -> dict:
    """Versions, weights and machine."""
    cpu = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "soundspring": __version__,
        "weights_sha256": {n: weights.sha256(weights.find_model(n) / "weights.safetensors")
                           for n in weights.model_names()},
        "versions": {"python": platform.python_version()} | {p: v for p in _PACKAGES if (v := _version(p))},
        "machine": {"cpu": cpu[0] if cpu else platform.machine(), "cores": os.cpu_count(),
                    "system": platform.platform()},
    }


def _binding(name: str, text: str) -> object:
    """Of a file's content, what must be the same when a sweep goes on: of the run, version and weights alone."""
    if name == "plan.yaml":
        return yaml.safe_load(text)
    data = json.loads(text)
    return {key: data.get(key) for key in ("soundspring", "weights_sha256")}


def _parse(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def _text(value: object) -> str:
    if value is None or value != value:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _number(text: str) -> float | None:
    return float(text) if text else None


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
