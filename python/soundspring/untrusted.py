# SPDX-License-Identifier: GPL-3.0-or-later
"""Documents that anyone may have written: YAML files, and values of them in messages."""

from __future__ import annotations

from pathlib import Path
from reprlib import Repr
from typing import Any

import yaml

LIMIT = 1 << 20  # bytes: far more than any file of ours, few enough to be read in a moment
_short = Repr()
_short.maxlevel, _short.maxdict, _short.maxlist, _short.maxstring, _short.maxother = 3, 4, 4, 80, 80


def read_mapping(path: Path, what: str) -> dict[str, Any]:
    """The mapping in a YAML file. Raises OSError, or ValueError that begins with `what` and the path."""
    try:
        with path.open("rb") as file:
            raw = file.read(LIMIT + 1)
        if len(raw) > LIMIT:
            raise ValueError(f"more than {LIMIT} bytes")
        data = yaml.safe_load(raw.decode("utf-8"))
    except OSError:
        raise
    except Exception as error:  # besides its own errors PyYAML lets through those of the types it makes
        raise ValueError(f"{what} {path}: not YAML: {error or type(error).__name__}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{what} {path}: expected a mapping, got {short(data)}")
    return data


def short(value: object) -> str:
    """`repr` of a value for a message: a few characters, however large it is or however often it holds itself."""
    try:
        return _short.repr(value)
    except ValueError:  # an integer of more digits than Python writes
        return f"a very large {type(value).__name__}"
