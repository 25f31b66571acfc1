# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a training run has come, to look at and to listen to.

RUN/history.jsonl has a line an evaluation: {"step", "minutes", "curves": {group: {name: value}}}. It survives any
interruption; the cards take their curves from it. RUN/progress/ is made anew each time: index.html with everything
in it, and the same sounds and pictures as files.
"""

import io
import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.audio.io import write  # noqa: E402
from soundspring.evaluation.figures import spectrograms  # noqa: E402
from soundspring.evaluation.report import LinkReport, Picture, Track, write_report  # noqa: E402

COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8a5a9e", "#b8860b", "#4a5560", "#1aa6a6", "#d1477a", "#7a9e1f")


def read_history(run: Path) -> list[dict]:
    """The rows of a run's history, oldest first; none where there is no history."""
    file = run / "history.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Progress:
    """The history of `run`, without what came after `step`: it was lost and is being trained again."""

    def __init__(self, run: Path, step: int):
        self.run, self.rows = run, [row for row in read_history(run) if row["step"] <= step]

    def add(self, step: int, minutes: float, curves: dict[str, dict[str, float | None]], tracks: list[Track]) -> None:
        """A row more, and a new page. tracks: for each voice the original and what became of it, equally many."""
        tidy = {group: {k: v if v is None else round(v, 4) for k, v in values.items()}
                for group, values in curves.items()}
        self.rows = [row for row in self.rows if row["step"] != step]
        self.rows.append({"step": step, "minutes": round(minutes, 3), "curves": tidy})
        temporary = self.run / "history.tmp"
        temporary.write_text("".join(json.dumps(row) + "\n" for row in self.rows))
        temporary.replace(self.run / "history.jsonl")
        self.page(tracks)

    def page(self, tracks: list[Track]) -> None:
        """RUN/progress: index.html, curves.png, and with tracks their WAVs and spectrograms.png."""
        folder, last = self.run / "progress", self.rows[-1]
        pictures = [Picture(group, curve(self.rows, group)) for group in last["curves"]]
        shown = [(f"{group}, {k}", v) for group, values in last["curves"].items() for k, v in values.items()
                 if group != "training loss"]
        title = f"{self.run.name}: step {last['step']}, {last['minutes']:.1f} minutes of training"
        write_report(folder, LinkReport(title, "", highlights=shown, tracks=tracks, pictures=pictures))
        (folder / "curves.png").write_bytes(beside([p.png for p in pictures], 2))
        for track in tracks:
            name = re.sub(r"[^A-Za-z0-9]+", "-", track.label).strip("-")
            write(folder / f"{name}.wav", track.samples, track.rate)
        if tracks:
            pngs = spectrograms([(t.samples, t.rate) for t in tracks])
            voices = len({t.label.split(":")[0] for t in tracks})
            (folder / "spectrograms.png").write_bytes(beside(pngs, len(pngs) // voices))


def curve(rows: list[dict], group: str) -> bytes:
    """PNG of one group of curves over the minutes of training."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.2), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlabel="minutes", ylabel=group)
    for name, colour in zip(rows[-1]["curves"][group], COLOURS * 4, strict=False):
        points = [(r["minutes"], r["curves"].get(group, {}).get(name)) for r in rows]
        points = [(x, y) for x, y in points if y is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", ms=3, lw=1.6, color=colour, label=name)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    file = io.BytesIO()
    figure.savefig(file, metadata={"Software": None})
    return file.getvalue()


def beside(pngs: list[bytes], columns: int) -> bytes:
    """Pictures in rows of so many, as one PNG."""
    from PIL import Image

    images = [Image.open(io.BytesIO(png)).convert("RGB") for png in pngs]
    wide, high = (max(side) for side in zip(*(i.size for i in images), strict=True))
    whole = Image.new("RGB", (wide * columns, high * -(-len(images) // columns)), "white")
    for i, image in enumerate(images):
        whole.paste(image, (i % columns * wide, i // columns * high))
    file = io.BytesIO()
    whole.save(file, format="PNG", optimize=True)
    return file.getvalue()
