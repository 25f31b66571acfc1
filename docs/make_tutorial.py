# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the notebook and the page of the tutorial from its one source, examples/tutorial.py (cells behind `# %%`).

    python docs/make_tutorial.py            runs it, writes docs/tutorial.md with pictures and examples/tutorial.ipynb
    python docs/make_tutorial.py --notebook writes the notebook alone, without running anything

Run it after a change of the source, and after new models: every number of the page is computed here, by the package of
this source tree.
"""

import contextlib
import hashlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "examples/tutorial.py"
NOTEBOOK = ROOT / "examples/tutorial.ipynb"
PAGE = ROOT / "docs/tutorial.md"
NOTE = "<!-- Made by docs/make_tutorial.py from examples/tutorial.py: change that one. -->\n\n"


@dataclass
class Cell:
    """A piece of the source: text in Markdown, or code with what it printed and drew."""

    kind: str
    source: str
    printed: str = ""
    pictures: list[bytes] = field(default_factory=list)


def cells() -> list[Cell]:
    """The source cut at its `# %%` lines; what stands before the first is left out."""
    out = []
    for piece in re.split(r"^# %%", SOURCE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = piece.partition("\n")
        text = "[markdown]" in head
        body = re.sub(r"^# ?", "", body, flags=re.MULTILINE) if text else body
        out.append(Cell("markdown" if text else "code", body.strip("\n")))
    return out


def notebook() -> str:
    """The source as a notebook (nbformat 4.5) without any output."""
    made = []
    for number, cell in enumerate(cells()):
        name = hashlib.sha256(f"{number}".encode()).hexdigest()[:8]
        more = {"execution_count": None, "outputs": []} if cell.kind == "code" else {}
        made.append({"cell_type": cell.kind, "id": name, "metadata": {}, **more,
                     "source": cell.source.splitlines(keepends=True)})
    metadata = {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
                "language_info": {"name": "python"}}
    return json.dumps({"cells": made, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5},
                      indent=1, ensure_ascii=False) + "\n"


def run(todo: list[Cell], tell: Callable[[str], None] = lambda text: None) -> dict:
    """Run the code cells one after another in one namespace, which is returned; fills in what they print and draw."""
    sys.path.insert(0, str(ROOT / "python"))
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    scope: dict = {"__name__": "tutorial"}
    for number, cell in enumerate(todo):
        if cell.kind != "code":
            continue
        pyplot.show = lambda cell=cell: cell.pictures.append(_picture(pyplot))
        with contextlib.redirect_stdout(io.StringIO()) as said:
            source = cell.source.replace("from gnuradio.soundspring", "from soundspring")
            exec(compile(source, f"tutorial cell {number}", "exec"), scope)
        cell.printed = said.getvalue()
        tell(cell.printed)
    return scope


def _picture(pyplot) -> bytes:
    """The open figure as a small PNG."""
    from PIL import Image

    buffer, out = io.BytesIO(), io.BytesIO()
    pyplot.savefig(buffer, dpi=110)
    pyplot.close("all")
    buffer.seek(0)
    Image.open(buffer).convert("RGB").quantize(64, method=Image.Quantize.MAXCOVERAGE).save(out, "PNG", optimize=True)
    return out.getvalue()


def page(done: list[Cell], pictures: Path | None = None) -> str:
    """The page in Markdown; pictures are written into the folder where one is given."""
    parts, count = [], 0
    for cell in done:
        if cell.kind == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        if cell.printed:
            parts.append(f"```text\n{cell.printed.rstrip()}\n```")
        for picture in cell.pictures:
            count += 1
            if pictures:
                (pictures / f"tutorial-{count}.png").write_bytes(picture)
            parts.append(f"![Drawn by the code above](images/tutorial-{count}.png)")
    return NOTE + "\n\n".join(parts) + "\n"


def main() -> None:
    NOTEBOOK.write_text(notebook(), "utf-8")
    if "--notebook" in sys.argv:
        return
    done = cells()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):  # sounds are written there
        run(done, sys.stderr.write)
    for old in (PAGE.parent / "images").glob("tutorial-*.png"):
        old.unlink()
    PAGE.write_text(page(done, PAGE.parent / "images"), "utf-8")


if __name__ == "__main__":
    main()
