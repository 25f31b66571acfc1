# SPDX-License-Identifier: GPL-3.0-or-later
"""Displays of the lab as plain Qt widgets, and what feeds them: a map of losses and a meter of quality."""

from collections.abc import Callable, Sequence

from PyQt5.QtCore import QRectF, Qt, QTimer
from PyQt5.QtGui import QColor, QPainter
from PyQt5.QtWidgets import QSizePolicy, QWidget

from ..evaluation.meter import Meter
from .lab import tape

COLOURS = {"ok": "#3f9b63", "lost": "#d0393e", "undecodable": "#eda338", "desync": "#7d4fa3"}
WORDS = {"ok": "arrived", "lost": "lost", "undecodable": "undecodable", "desync": "damaged"}
INK, PALE, PAPER = "#24303c", "#d7dde3", "#ffffff"
FASTER_MS = 200
WINDOW = 4 * 16000  # samples that are scored at a time
LONG_S = 120.0  # what is remembered of the sound sent, should the machine be too slow for real time


class _Panel(QWidget):
    """A white sheet with a title and room to draw below it."""

    TOP, EDGE = 24, 8

    def __init__(self, title: str, height: int):
        QWidget.__init__(self)
        self.title = title
        self.setMinimumSize(260, height)
        self.setSizePolicy(QSizePolicy.Expanding, QSizePolicy.Expanding)

    def paintEvent(self, event) -> None:  # noqa: N802 - Qt's name
        """Title and sheet; `draw` the rest."""
        painter = QPainter(self)
        painter.setRenderHint(QPainter.Antialiasing)
        painter.fillRect(self.rect(), QColor(PAPER))
        painter.setPen(QColor(INK))
        font = painter.font()
        font.setBold(True)
        painter.setFont(font)
        painter.drawText(QRectF(0, 2, self.width(), self.TOP - 4), Qt.AlignCenter, self.title)
        font.setBold(False)
        painter.setFont(font)
        self.draw(painter, QRectF(self.rect()).adjusted(self.EDGE, self.TOP, -self.EDGE, -self.EDGE))
        painter.end()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        """Draw into `area`."""
        raise NotImplementedError


class LossMap(_Panel):
    """What became of each packet of the last superframes: a column a superframe, a row a packet, the base lowest.

    Args:
        columns: superframes that are shown.
    """

    def __init__(self, columns: int = 100):
        _Panel.__init__(self, "Packets of the last superframes, the base below", 110)
        self.columns, self.fates = columns, []

    def show_fates(self, fates: Sequence[tuple[str, ...]]) -> None:
        """Draw the last of these rows of words, one row a superframe."""
        self.fates = list(fates[-self.columns :])
        self.update()

    def count(self, word: str) -> int:
        """How many packets of those shown have this fate."""
        return sum(row.count(word) for row in self.fates)

    def draw(self, painter: QPainter, area: QRectF) -> None:
        legend = QRectF(area.left(), area.bottom() - 18, area.width(), 18)
        area = area.adjusted(0, 0, 0, -22)
        rows = max((len(row) for row in self.fates), default=2)
        width, height = area.width() / self.columns, area.height() / rows
        painter.fillRect(area, QColor(PALE))
        first = self.columns - len(self.fates)
        painter.setRenderHint(QPainter.Antialiasing, False)
        for column, fates in enumerate(self.fates, first):
            for row, word in enumerate(fates):
                box = QRectF(area.left() + column * width, area.bottom() - (row + 1) * height, width, height - 1)
                painter.fillRect(box, QColor(COLOURS.get(word, INK)))
        self._legend(painter, legend)

    def _legend(self, painter: QPainter, area: QRectF) -> None:
        left = area.left()
        for word, colour in COLOURS.items():
            painter.fillRect(QRectF(left, area.top() + 4, 10, 10), QColor(colour))
            room = painter.fontMetrics().horizontalAdvance(WORDS[word]) + 4
            painter.drawText(QRectF(left + 14, area.top(), room, area.height()), Qt.AlignVCenter, WORDS[word])
            left += room + 28


class QualityPlot(_Panel):
    """The last scores: PESQ-WB, or where it is not installed the log-spectral distance."""

    def __init__(self, points: int = 30):
        _Panel.__init__(self, "Quality of the last 4 s", 110)
        self.points, self.scores = points, []

    def add(self, scores: dict[str, float | None]) -> None:
        """Draw one measurement more, as of `evaluation.meter.measure`."""
        self.scores = [*self.scores, scores][-self.points :]
        self.update()

    def draw(self, painter: QPainter, area: QRectF) -> None:
        last = self.scores[-1] if self.scores else {"pesq_wb": 0.0}
        if last["pesq_wb"] is None and all(s["pesq_wb"] is None for s in self.scores):
            key, marks, text = "lsd_db", (25, 20, 15, 10, 5, 0), f"{last['lsd_db']:.1f} dB from the original"
        else:
            key, marks, text = "pesq_wb", (1, 2, 3, 4), f"PESQ-WB {last['pesq_wb'] or 1.0:.2f}"
        painter.drawText(area, Qt.AlignTop | Qt.AlignRight, text if self.scores else "listening ...")
        area = area.adjusted(18, 22, 0, -6)
        for mark in marks:
            y = area.bottom() - _share(mark, marks) * area.height()
            painter.setPen(QColor(PALE))
            painter.drawLine(int(area.left()), int(y), int(area.right()), int(y))
            painter.setPen(QColor(INK))
            painter.drawText(QRectF(area.left() - 26, y - 8, 20, 16), Qt.AlignRight | Qt.AlignVCenter, str(mark))
        step = area.width() / self.points
        for place, scores in enumerate(self.scores):
            tall = max(_share(scores[key], marks) * area.height(), 2)
            left = area.left() + place * step + 1
            painter.fillRect(QRectF(left, area.bottom() - tall, step - 2, tall), QColor("#1f6f8b"))


def _share(value: float | None, marks: Sequence[float]) -> float:
    """How far up the scale a value stands, 0..1; what could not be scored stands at the bottom."""
    return 0.0 if value is None else min(max((value - marks[0]) / (marks[-1] - marks[0]), 0.0), 1.1)


class Watch:
    """Feeds a loss map and a quality plot from a running link; holds the timer and the meter's process.

    Args:
        fates: gives what became of the packets so far. pair: gives what was sent and what was heard for it of late,
            or None.
        each_s: seconds between two measurements at least.
    """

    def __init__(self, fates: Callable[[], Sequence[tuple[str, ...]]], pair: Callable, each_s: float = 2.0):
        self.losses, self.quality, self.meter = LossMap(), QualityPlot(), Meter()
        self._fates, self._pair, self._each, self._due = fates, pair, each_s, 0.0
        self._timer = QTimer()
        self._timer.timeout.connect(self.look)
        self._timer.start(FASTER_MS)

    def look(self) -> None:
        """Once a turn of the timer."""
        self.losses.show_fates(self._fates())
        if (scores := self.meter.poll()) is not None:
            self.quality.add(scores)
        self._due -= FASTER_MS / 1000
        if self._due <= 0 and (pair := self._pair()) is not None and self.meter.offer(*pair):
            self._due = self._each

    def close(self) -> None:
        """Stop looking and end the meter's process."""
        self._timer.stop()
        self.meter.close()


def watch_flowgraph(flowgraph, speech, receiver) -> Watch:
    """Loss map and quality plot below a flowgraph of GRC; for a snippet that runs after its initialisation.

    Args:
        flowgraph: the generated class's instance, with a `top_layout`.
        speech: block whose output goes into the transmitter. receiver: a `receiver` with first_sequence 0.
    """
    sent, received = tape(LONG_S), tape()
    flowgraph.connect(speech, sent)
    flowgraph.connect(receiver, received)

    def pair():
        stop = received.count
        both = [t.between(stop - WINDOW, stop) for t in (sent, received)]
        return None if stop < WINDOW or both[0] is None or both[1] is None else both

    watch = Watch(lambda: receiver.entropy.counts.status, pair)
    flowgraph.top_layout.addWidget(watch.losses)
    flowgraph.top_layout.addWidget(watch.quality)
    flowgraph.soundspring_watch = (watch, sent, received)  # GNU Radio holds none of Python's
    return watch
