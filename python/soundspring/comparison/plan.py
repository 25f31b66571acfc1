# SPDX-License-Identifier: GPL-3.0-or-later
"""A sweep's plan: one YAML that says which schemes meet which channels with which speech, and the cells that makes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from ..untrusted import read_mapping, short
from .air import Air
from .registry import expand
from .terms import Terms

_AIR = {f.name for f in fields(Air)} - {"snr_db", "loss"}


@dataclass(frozen=True)
class Cell:
    """One measurement. terms, file: names in the plan. scheme: NAME:MODE. listen: keep its sound."""

    terms: str
    scheme: str
    air: Air
    file: str
    seed: int
    listen: bool = False

    @property
    def key(self) -> str:
        """Says which measurement this is, in words; no two cells of a plan share it."""
        return "/".join([self.terms, self.scheme, self.air.label, f"{self.air.snr_db:g} dB", self.air.loss, self.file,
                         str(self.seed)])


@dataclass(frozen=True)
class Contest:
    """One set of terms of a plan: the rule, who competes under it, over what, and at which SNRs sound is kept."""

    name: str
    terms: Terms
    schemes: tuple[str, ...]
    airs: tuple[Air, ...]
    listen: tuple[float, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Everything a sweep needs to know. source: the mapping it was made of, as YAML would give it again."""

    name: str
    contests: tuple[Contest, ...]
    files: dict[str, Path]
    seconds: float | None
    seeds: tuple[int, ...]
    source: dict = field(compare=False)

    def contest(self, name: str) -> Contest:
        """By name; KeyError."""
        return {c.name: c for c in self.contests}[name]

    @property
    def captions(self) -> dict[str, str]:
        """Of each set of terms, for figures: whether a scheme has one setting, or several of which the best counts."""
        return {c.name: "each at its best setting" if len(c.schemes) > len({s.partition(":")[0] for s in c.schemes})
                else f"one setting, profile {c.terms.profile.name}" for c in self.contests}

    def cells(self) -> Iterator[Cell]:
        """Every measurement once, those of one scheme and file together. Sound is kept of the first file and seed."""
        for contest in self.contests:
            for scheme in contest.schemes:
                for file in self.files:
                    for air in contest.airs:
                        for seed in self.seeds:
                            first = file == next(iter(self.files)) and seed == self.seeds[0]
                            kept = first and air.loss == "none" and air.snr_db in contest.listen
                            yield Cell(contest.name, scheme, air, file, seed, kept)

    def with_files(self, files: Mapping[str, Path], seconds: float | None = None) -> Plan:
        """The same plan for other speech."""
        return replace(self, files=dict(files), seconds=seconds,
                       source=self.source | {"files": [str(p) for p in files.values()], "seconds": seconds})


def load_plan(path: str | Path) -> Plan:
    """Read a plan. Files in it are relative to its folder. Raises ValueError that names the wrong key or value."""
    path = Path(path)
    return from_dict(read_mapping(path, "plan"), path.parent)


def from_dict(data: Any, folder: Path = Path(), find: bool = True) -> Plan:
    """The plan of a mapping; its files are looked for in `folder`, unless `find` is false. Raises ValueError."""
    needed, optional = {"name", "files", "terms", "channels"}, {"seconds", "seeds"}
    _keys("plan", data, needed, optional)
    airs = _airs("channels", data["channels"])
    if not isinstance(data["terms"], Mapping) or not data["terms"]:
        raise ValueError("plan: terms: expected names with a profile and schemes each")
    seconds = data.get("seconds")
    if seconds is not None and not (_is_number(seconds) and 0.5 <= seconds <= 1e6):
        raise ValueError(f"plan: seconds: expected at least 0.5, or nothing for whole files, got {short(seconds)}")
    seeds = _list("seeds", data.get("seeds", [0]))
    if any(not isinstance(s, int) or not 0 <= s < 1 << 63 for s in seeds) or len(set(seeds)) < len(seeds):
        raise ValueError(f"plan: seeds: expected whole numbers from 0, each once, got {short(seeds)}")
    contests = tuple(_contest(str(name), values, airs) for name, values in data["terms"].items())
    return Plan(str(data["name"]), contests, _files(data["files"], folder) if find else {}, seconds, seeds, dict(data))


def _contest(name: str, data: Any, airs: tuple[Air, ...]) -> Contest:
    where = f"terms {name}"
    if not re.fullmatch(r"[A-Za-z][\w-]*", name, re.ASCII):
        raise ValueError(f"plan: terms: {short(name)}: expected a name of letters, digits and dashes")
    _keys(where, data, {"profile", "schemes"}, {"papr_db", "channels", "listen"})
    terms = Terms.of(str(data["profile"]), _number(f"{where}: papr_db", data.get("papr_db", 10.0)))
    schemes = [s for spec in _list("schemes", data["schemes"]) for s in expand(str(spec), terms)]
    own = _airs(f"{where}: channels", data["channels"]) if "channels" in data else airs
    listen = tuple(_number(f"{where}: listen", x) for x in _list("listen", data["listen"])) if "listen" in data else ()
    if missing := set(listen) - {a.snr_db for a in own}:
        raise ValueError(f"plan: {where}: listen: no channel is measured at {min(missing):g} dB")
    return Contest(name, terms, tuple(dict.fromkeys(schemes)), own, listen)


def _airs(where: str, data: Any) -> tuple[Air, ...]:
    """A list of channels, each with a list of SNRs and perhaps of losses -> every combination."""
    out = []
    for channel in _list(where, data):
        _keys(f"{where}", channel, {"name", "snr_db"}, _AIR | {"loss"})
        fixed = {k: v if k == "name" else _number(k, v) for k, v in channel.items() if k in _AIR}
        losses = _list("loss", channel.get("loss", ["none"]))
        out += [Air(**fixed, snr_db=_number("snr_db", snr), loss=str(loss))
                for snr in _list("snr_db", channel["snr_db"]) for loss in losses]
    return tuple(dict.fromkeys(out))


def _files(patterns: Any, folder: Path) -> dict[str, Path]:
    """Names, without folder and suffix, and places of the files that the patterns match."""
    found = [p for pattern in _list("files", patterns) for p in _matching(str(pattern), folder)]
    names = [p.stem for p in found]
    if len(set(names)) < len(names):
        raise ValueError(f"plan: files: two are called {max(names, key=names.count)}; rename one")
    return dict(zip(names, found, strict=True))


def _matching(pattern: str, folder: Path) -> Sequence[Path]:
    place = Path(pattern)
    base = Path(place.anchor) if place.is_absolute() else folder
    try:
        found = sorted(base.glob(str(place.relative_to(place.anchor)))) if "*" in pattern else [base / pattern]
        good = bool(found) and all(p.is_file() for p in found)
    except (OSError, ValueError, NotImplementedError) as error:  # names that no file can have
        raise ValueError(f"plan: files: {short(pattern)} is no pattern of files ({error})") from error
    if not good:
        raise ValueError(f"plan: files: there is no {base / pattern}")
    return found


def _keys(where: str, data: Any, needed: set[str], optional: set[str]) -> None:
    if not isinstance(data, Mapping):
        raise ValueError(f"plan: {where}: expected a mapping, got {short(data)}")
    if unknown := sorted(map(str, data.keys() - needed - optional)):
        raise ValueError(f"plan: {where}: unknown key {', '.join(unknown)}; known are "
                         f"{', '.join(sorted(needed | optional))}")
    if missing := sorted(needed - data.keys()):
        raise ValueError(f"plan: {where}: missing key {', '.join(missing)}")


def _list(name: str, value: Any) -> tuple:
    if not isinstance(value, list | tuple) or not value:
        raise ValueError(f"plan: {name}: expected a list, got {short(value)}")
    return tuple(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def _number(where: str, value: Any) -> float:
    if not _is_number(value):
        raise ValueError(f"plan: {where}: expected a number, got {short(value)}")
    return float(value)
