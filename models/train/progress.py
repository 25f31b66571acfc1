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
        """A row more, and a new page. tracks: sounds to listen to."""
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
        (folder / "curves.png").write_bytes(grid([p.png for p in pictures], [p.title for p in pictures], 2))
        for track in tracks:
            name = re.sub(r"[^A-Za-z0-9]+", "-", track.label).strip("-")
            write(folder / f"{name}.wav", track.samples, track.rate)
        if tracks:
            pngs = spectrograms([(t.samples, t.rate) for t in tracks])
            (folder / "spectrograms.png").write_bytes(grid(pngs, [t.label for t in tracks], min(len(tracks), 3)))


def curve(rows: list[dict], group: str) -> bytes:
    """PNG of one group of curves over the minutes of training."""
    figure = sheet(5, 3.2)
    axes = figure.add_subplot(xlabel="minutes", ylabel=group)
    for name, colour in zip(rows[-1]["curves"][group], COLOURS * 4, strict=False):
        points = [(r["minutes"], r["curves"].get(group, {}).get(name)) for r in rows]
        points = [(x, y) for x, y in points if y is not None]
        if points:
            axes.plot(*zip(*points, strict=True), "o-", ms=3, lw=1.6, color=colour, label=name)
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8, frameon=False)
    return png_of(figure)


def grid(pngs: list[bytes], titles: list[str], columns: int) -> bytes:
    """Pictures in rows of so many, each under its title, as one PNG."""
    from matplotlib.image import imread

    images = [imread(io.BytesIO(png)) for png in pngs]
    rows, (high, wide) = -(-len(images) // columns), images[0].shape[:2]
    figure = sheet(4 * columns, (4 * high / wide + 0.3) * rows)
    for i, (image, title) in enumerate(zip(images, titles, strict=True)):
        axes = figure.add_subplot(rows, columns, i + 1)
        axes.imshow(image)
        axes.set_title(title, fontsize=10)
        axes.axis("off")
    return png_of(figure)


def sheet(width: float, height: float):
    """A figure of so many inches; made without pyplot, which would keep it and choose a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png_of(figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, metadata={"Software": None})
    return file.getvalue()
