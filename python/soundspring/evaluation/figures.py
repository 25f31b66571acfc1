# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of sound and symbols as PNG files, drawn small with large letters so that a phone shows them legibly."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

_RANGE_DB = 75.0
_COLUMNS = 700  # of a spectrogram: about as many as its picture has pixels
_POINTS = 6000  # of a constellation: more only make the file larger
_INK, _PALE = "#24303c", "#d7dde3"


def spectrograms(tracks: Sequence[tuple[np.ndarray, int]]) -> list[bytes]:
    """Return a PNG for each (float [n], rate), all on one scale of time, frequency and level."""
    levels = [_levels(np.asarray(x, dtype=np.float64), rate) for x, rate in tracks]
    top = max((float(level.max()) for level in levels), default=0.0)
    seconds = max((len(x) / rate for x, rate in tracks), default=0.0)
    highest = max((rate for _, rate in tracks), default=0) / 2000
    return [_spectrogram(level - top, len(x) / rate, rate / 2000, seconds, highest)
            for level, (x, rate) in zip(levels, tracks, strict=True)]


def _levels(x: np.ndarray, rate: int, size: int = 512) -> np.ndarray:
    """Level in dB of a short-time spectrum, [frequencies, columns]."""
    hop = max(size // 4, -(-x.size // _COLUMNS))
    x = np.pad(np.nan_to_num(x), (size // 2, size + hop))
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[: max(x.size - size - hop, 1) : hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(size), axis=1).T) ** 2
    return 10 * np.log10(power + 1e-9)


def _spectrogram(level: np.ndarray, seconds: float, khz: float, span_s: float, span_khz: float) -> bytes:
    figure, axes = figure_of(4.2, 2.1)
    axes.set_facecolor("black")
    image = axes.imshow(level, origin="lower", aspect="auto", cmap="magma", vmin=-_RANGE_DB, vmax=0,
                        extent=(0, max(seconds, 1e-3), 0, khz), interpolation="antialiased")
    axes.set(xlim=(0, max(span_s, 1e-3)), ylim=(0, span_khz), xlabel="time / s", ylabel="frequency / kHz")
    bar = figure.colorbar(image, pad=0.02, aspect=18, ticks=[0, -25, -50, -75], format="%d dB")
    bar.ax.tick_params(labelsize=9, colors=_INK, length=2)
    bar.outline.set_visible(False)
    return png_of(figure)


def constellation(symbols: np.ndarray) -> bytes:
    """Return a PNG of equalised symbols complex [n]; of many, an even selection."""
    symbols = np.asarray(symbols).reshape(-1)
    symbols = symbols[np.isfinite(symbols)]
    symbols = symbols[:: max(1, -(-symbols.size // _POINTS))]
    figure, axes = figure_of(3.6, 3.6)
    axes.axhline(0, color=_PALE, lw=0.8)
    axes.axvline(0, color=_PALE, lw=0.8)
    axes.scatter(symbols.real, symbols.imag, s=3, alpha=0.35, color="#1f6f8b", linewidths=0)
    reach = 1.7 if symbols.size == 0 else max(1.7, float(np.quantile(np.abs([symbols.real, symbols.imag]), 0.999)))
    axes.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xlabel="in phase", ylabel="quadrature")
    return png_of(figure)


def figure_of(width: float, height: float):
    """A figure and its axes in the page's style; made without pyplot, which would keep it and choose a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=200, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.tick_params(labelsize=9, colors=_INK, length=3)
    axes.xaxis.label.set(size=9, color=_INK)
    axes.yaxis.label.set(size=9, color=_INK)
    for side in axes.spines.values():
        side.set_color(_PALE)
    return figure, axes


def png_of(figure) -> bytes:
    from PIL import Image

    figure.canvas.draw()
    # 256 colours, chosen to cover the rare bright ones too, show no difference and make half the file.
    image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
    image = image.quantize(256, method=Image.Quantize.MAXCOVERAGE)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
