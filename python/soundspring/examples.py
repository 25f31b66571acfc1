# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the files that come with the examples are, so that a flowgraph runs from any folder."""

from pathlib import Path


def example_file(name: str) -> str:
    """The path of a file of the examples, in the source tree or as installed. Raises FileNotFoundError."""
    here = Path(__file__).resolve().parent
    folders = [here.parents[1] / "examples"]
    folders += [parent / "share/gnuradio/examples/soundspring" for parent in here.parents]
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    raise FileNotFoundError(f"{name} is not among the examples in {folders[0]} or share/gnuradio/examples/soundspring")
