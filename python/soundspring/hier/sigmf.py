# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF recordings (github.com/sigmf/SigMF, version 1.2): what is said beside the samples, and where they lie."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from .. import __version__
from ..untrusted import short

# format -> numpy type of I and of Q, value of full scale
FORMATS = {"cf32_le": ("<f4", 1.0), "ci16_le": ("<i2", 32767.0)}
META, DATA = ".sigmf-meta", ".sigmf-data"


@dataclass(frozen=True)
class Recording:
    """Where the samples lie and what is known of them; `frequency` in Hz, None where it is not said."""

    data: Path
    format: str
    rate: float
    frequency: float | None = None

    @property
    def samples(self) -> int:
        return self.data.stat().st_size // (2 * np.dtype(FORMATS[self.format][0]).itemsize)


def pair(path: str | Path) -> tuple[Path, Path]:
    """The two files of a recording, given either. ValueError for another name."""
    path = Path(path)
    if path.suffix not in (META, DATA):
        raise ValueError(f"{path}: a SigMF recording is named X{META}")
    return path.with_suffix(META), path.with_suffix(DATA)


def read(path: str | Path) -> Recording:
    """Raises FileNotFoundError, or ValueError that says why the recording cannot be used."""
    meta, data = pair(path)
    for file in (meta, data):
        if not file.is_file():
            raise FileNotFoundError(f"there is no file {file}; a recording is a pair of {META} and {DATA}")
    try:
        content = json.loads(meta.read_text("utf-8"))
        about, captures = content["global"], content.get("captures") or [{}]
        form, rate, channels = about["core:datatype"], about.get("core:sample_rate"), about.get("core:num_channels", 1)
        frequency = captures[0].get("core:frequency")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError(f"{meta}: not SigMF metadata ({type(error).__name__}: {error})") from error
    if not isinstance(form, str) or form not in FORMATS or channels != 1:
        raise ValueError(f"{meta}: {short(channels)} channel(s) of {short(form)}; one of {' or '.join(FORMATS)} can be "
                         "read")
    if not _is_frequency(rate) or rate <= 0:
        raise ValueError(f"{meta}: core:sample_rate is {short(rate)}; write the rate there, in samples per second")
    if frequency is not None and not _is_frequency(frequency):
        raise ValueError(f"{meta}: core:frequency is {short(frequency)}; write it in Hz, or leave it out")
    return Recording(data, form, float(rate), None if frequency is None else float(frequency))


def _is_frequency(value: object) -> bool:
    """A number that a radio can be tuned to or run at."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e15


def write(path: str | Path, form: str, rate: float, frequency: float | None = None, text: str = "") -> Recording:
    """Write the metadata of a recording that begins now; its samples go to `data` of what is returned."""
    meta, data = pair(path)
    if form not in FORMATS:
        raise ValueError(f"format: {form!r} is not one of {', '.join(FORMATS)}")
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    capture = {"core:sample_start": 0, "core:datetime": now}
    if frequency is not None:
        capture["core:frequency"] = frequency
    content = {
        "global": {
            "core:datatype": form,
            "core:sample_rate": rate,
            "core:version": "1.2.0",
            "core:num_channels": 1,
            "core:recorder": f"gr-soundspring {__version__}",
            "core:description": text,
        },
        "captures": [capture],
        "annotations": [],
    }
    meta.write_text(json.dumps(content, indent=4) + "\n", "utf-8")
    return Recording(data, form, rate, frequency)
