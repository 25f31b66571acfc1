# SPDX-License-Identifier: GPL-3.0-or-later
"""Curves as pictures: one look for each scheme, in every figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..evaluation.figures import figure_of, png_of
from .curves import Point, Rows, over_snr, values, where

NAMES = {"soundspring": "SoundSpring", "jscc": "deep JSCC", "opus": "Opus", "amrwb": "AMR-WB", "codec2": "Codec2"}
LOOKS = {"soundspring": ("#1b6ca8", "o"), "jscc": ("#c8553d", "s"), "opus": ("#3a8f5c", "^"),
         "amrwb": ("#8a5aa8", "D"), "codec2": ("#8a7a3a", "v")}
LABELS = {"pesq_wb": "PESQ-WB", "stoi": "STOI", "plcmos": "PLCMOS", "visqol": "ViSQOL", "si_sdr_db": "SI-SDR / dB"}
SCALES = {"pesq_wb": (1.0, 4.6), "stoi": (0.0, 1.0), "plcmos": (1.0, 4.7), "visqol": (1.0, 4.5)}


def title(channel: str) -> str:
    """`rayleigh 10 Hz` as people write it."""
    names = {"awgn": "AWGN", "rayleigh": "Rayleigh fading,", "rician": "Rician fading,", "tdl-a": "TDL-A,",
             "tdl-c": "TDL-C,"}
    word, _, rest = channel.partition(" ")
    return f"{names.get(word, word)} {rest}".strip()


def plot(axes, curves: Mapping[str, Sequence[Point]], metric: str, label: str = "SNR per carrier / dB") -> None:
    """Means as lines, 95 % intervals as bands."""
    for scheme, points in curves.items():
        colour, marker = LOOKS.get(scheme, ("#444444", "x"))
        x, mean = [p.x for p in points], np.array([p.mean for p in points])
        half = np.nan_to_num([p.half for p in points])
        axes.fill_between(x, mean - half, mean + half, color=colour, alpha=0.13, lw=0)
        axes.plot(x, mean, color=colour, marker=marker, ms=4, lw=1.8, label=NAMES.get(scheme, scheme))
    low, high = SCALES.get(metric, (None, None))
    tops = [p.mean for points in curves.values() for p in points]
    if high and tops:
        axes.set_ylim(low - 0.02 * (high - low), max(high, max(tops) * 1.03))
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set(xlabel=label, ylabel=LABELS[metric])


def picture(curves: Mapping[str, Sequence[Point]], metric: str, label: str = "SNR per carrier / dB") -> bytes:
    """A PNG for a card of the page."""
    figure, axes = figure_of(4.2, 3.0)
    plot(axes, curves, metric, label)
    axes.legend(fontsize=8, frameon=False)
    return png_of(figure)


def by_scheme(rows: Rows, metric: str, over=over_snr) -> dict[str, list[Point]]:
    """{scheme: its curve}, those without points left out."""
    curves = {scheme: over(where(rows, scheme=scheme), metric) for scheme in values(rows, "scheme")}
    return {scheme: points for scheme, points in curves.items() if points}


def headline(rows: Rows, path: str | Path, captions: Mapping[str, str], metric: str = "pesq_wb") -> None:
    """The figure of a README: a column for each channel, a row for each set of terms; `captions` says what they are."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    clean = where(rows, loss="none")
    channels = [c for c in values(clean, "channel") if len(values(where(clean, channel=c), "snr_db")) > 1]
    terms = [t for t in captions if where(clean, terms=t)]
    figure = Figure(figsize=(4.6 * len(channels), 3.5 * len(terms)), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(terms), len(channels), squeeze=False, sharex="col", sharey=True)
    for row, name in zip(grid, terms, strict=True):
        for axes, channel in zip(row, channels, strict=True):
            curves = by_scheme(where(clean, terms=name, channel=channel), metric)
            plot(axes, curves, metric)
            axes.set_title(f"{title(channel)}\n{captions[name]}", fontsize=11)
            axes.tick_params(labelsize=11)
            axes.label_outer()
            axes.set_visible(bool(curves))
    grid[0][0].legend(fontsize=10, frameon=False)
    figure.savefig(path, metadata={"Software": None})
