# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules of the house: which folder may import which. Read from the syntax tree, so that nothing can hide."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "python" / "soundspring"
ROOMS = {"codec", "lm", "coding", "fec", "modem", "channel", "audio", "jscc"}
WITH_TORCH = {"codec", "lm", "jscc"}
WITH_GNURADIO = {"blocks", "hier"}
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = ("torch", "scipy", "gnuradio", "numba", "numpy", "matplotlib", "yaml")


def imports(source: str, parts: tuple[str, ...]) -> Iterator[str]:
    """Names a module imports, absolute; those of the package itself start with `soundspring.`.

    `parts`: the module's place, such as ("soundspring", "fec", "ldpc"); a package's own ends with "__init__".
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(parts[: len(parts) - node.level]) + "." * bool(node.module) if node.level else ""
            yield from (f"{base}{node.module or ''}.{alias.name}" for alias in node.names)


def violations(source: str, parts: tuple[str, ...]) -> list[str]:
    """Which rules the module at `parts` breaks."""
    room = parts[1] if len(parts) > 2 else ""
    found = []
    for name in imports(source, parts):
        top, *rest = name.split(".")
        target = rest[0] if top == "soundspring" and rest else ""
        if top == "gnuradio" and rest[:1] == ["soundspring"]:
            found.append(f"{name}: inside the package imports are relative")
        elif top == "gnuradio" and room not in WITH_GNURADIO and parts[1:] != ("cli", "doctor"):
            found.append(f"{name}: only blocks and hier import GNU Radio")
        if top == "torch" and room in ROOMS - WITH_TORCH:
            found.append(f"{name}: this room does without torch")
        if room in ROOMS and target in ROOMS - {room} and (room, target) != ("jscc", "codec"):
            found.append(f"{name}: rooms do not import one another")
        if room in ROOMS and target in WITH_GNURADIO | {"cli", "link", "baselines", "evaluation"}:
            found.append(f"{name}: a room does not import what is built on it")
    return found


def absolute_self_imports(source: str) -> list[str]:
    """Imports by the package's own name, which is another one once it is installed."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.append(node.module or "")
    return [name for name in names if name.split(".")[0] == "soundspring"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_each_file_keeps_the_rules(path):
    source = path.read_text(encoding="utf-8")
    parts = ("soundspring", *path.relative_to(PACKAGE).with_suffix("").parts)
    assert violations(source, parts) == []
    assert absolute_self_imports(source) == []


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("from gnuradio import gr", "fec/ldpc"),
        ("import gnuradio.gr", "link"),
        ("def f():\n    from ..codec import rvq", "lm/network"),
        ("from .. import codec", "modem/__init__"),
        ("from ..blocks import x", "coding/packet"),
        ("from ..modem.qam import x", "jscc/network"),
        ("import torch.nn", "modem/qam"),
        ("from gnuradio.soundspring import fec", "blocks/x"),
    ],
)
def test_the_scan_sees_a_broken_rule(source, place):
    assert violations(source, ("soundspring", *place.split("/"))) != []


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ("from ..codec import rvq", "jscc/network"),
        ("from gnuradio import gr\nfrom ..fec import ldpc", "blocks/ldpc_decoder"),
        ("from .codec import rvq\nfrom .lm import network\nimport torch", "link"),
        ("from . import crc\nfrom .crc import x\nfrom ..profile import y", "fec/ldpc"),
    ],
)
def test_the_scan_allows_what_is_allowed(source, place):
    assert violations(source, ("soundspring", *place.split("/"))) == []


def test_importing_the_package_loads_nothing_heavy():
    code = f"import sys, soundspring; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
