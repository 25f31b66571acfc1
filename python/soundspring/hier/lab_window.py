# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's window: controls on the left, what the radio does and what is heard of it on the right."""

import logging
import time

import numpy as np
from gnuradio import qtgui
from gnuradio.fft import window
from PyQt5 import sip
from PyQt5.QtCore import Qt, QTimer
from PyQt5.QtWidgets import (
    QComboBox,
    QFormLayout,
    QGridLayout,
    QLabel,
    QSlider,
    QVBoxLayout,
    QWidget,
)

from ..comparison.drawing import NAMES
from .lab import FADINGS, SCHEMES, Lab
from .lab_widgets import Watch

LOSSES = {"none": "none", "5 %": "bernoulli:0.05", "10 %": "bernoulli:0.1", "20 %": "bernoulli:0.2",
          "30 %": "bernoulli:0.3", "10 % in bursts of 3": "gilbert:0.1,3", "a wireless LAN": "wlan"}
SNR_DB = (-10, 30)
STEPS = 2  # of the slider in a decibel
POINTS = 816  # of the constellation: a burst of the reference profile
STATUS_MS = 500
RECENT = 50  # superframes
_log = logging.getLogger(__name__)


class LabWindow(QWidget):
    """Controls, constellation, spectrum, loss map, quality and status of a `Lab`, which it makes and ends.

    Args:
        speech, **settings: as of `Lab`.
    """

    def __init__(self, speech: np.ndarray, **settings):
        QWidget.__init__(self)
        self.setWindowTitle("SoundSpring lab")
        self.points = qtgui.const_sink_c(POINTS, "Equalised symbols", 1, None)
        self.air = qtgui.freq_sink_c(1024, window.WIN_BLACKMAN_hARRIS, 0, 2e6, "On the air", 1, None)
        self.lab = Lab(speech, constellation=self.points, spectrum=self.air, **settings)
        self.watch = Watch(self.lab.fates, lambda: self.lab.heard())
        self._set_up_sinks()
        self._set_up_controls()
        self._lay_out()
        self._cpu = (time.monotonic(), time.process_time())
        self._timer = QTimer(self)
        self._timer.timeout.connect(self.tell)
        self._timer.start(STATUS_MS)
        self.tell()

    def begin(self) -> None:
        """Let it play."""
        self.lab.begin()

    def closeEvent(self, event) -> None:  # noqa: N802 - Qt's name
        """The window closes: stop everything and complete the file."""
        self._timer.stop()
        self.watch.close()
        self.lab.end()
        event.accept()

    def _set_up_sinks(self) -> None:
        self.points.set_update_time(0.1)
        self.points.set_x_axis(-2, 2)
        self.points.set_y_axis(-2, 2)
        self.points.disable_legend()
        self.points.set_line_alpha(0, 0.6)
        self.air.set_update_time(0.1)
        self.air.set_y_axis(-80, -10)
        self.air.set_fft_average(0.3)
        self.air.disable_legend()
        self.air.enable_grid(True)

    def _set_up_controls(self) -> None:
        lab = self.lab
        self.scheme, self.fading, self.loss = QComboBox(), QComboBox(), QComboBox()
        for name in SCHEMES:
            self.scheme.addItem(NAMES.get(name, f"SoundSpring, {name}"), name)
        self.scheme.setCurrentIndex(self.scheme.findData(lab.scheme))
        self.scheme.currentIndexChanged.connect(lambda place: self._change_scheme(self.scheme.itemData(place)))
        self.fading.addItems(FADINGS)
        self.fading.setCurrentText(lab.fading)
        self.fading.currentTextChanged.connect(lab.set_fading)
        losses = LOSSES if lab.loss in LOSSES.values() else {lab.loss: lab.loss} | LOSSES
        for name, loss in losses.items():
            self.loss.addItem(name, loss)
        self.loss.setCurrentIndex(self.loss.findData(lab.loss))
        self.loss.currentIndexChanged.connect(lambda place: lab.set_loss(self.loss.itemData(place)))
        self.snr, self._snr_text = QSlider(Qt.Horizontal), QLabel()
        self.snr.setRange(SNR_DB[0] * STEPS, SNR_DB[1] * STEPS)
        self.snr.setTickInterval(5 * STEPS)
        self.snr.setTickPosition(QSlider.TicksBelow)
        self.snr.valueChanged.connect(self._change_snr)
        self.snr.setValue(round(lab.snr_db * STEPS))
        self._change_snr(self.snr.value())

    def _lay_out(self) -> None:
        controls, form = QVBoxLayout(), QFormLayout()
        for name, control in (("Scheme", self.scheme), ("SNR", self.snr), ("", self._snr_text), ("Fading", self.fading),
                              ("Extra loss", self.loss)):
            form.addRow(name, control)
        self._status = QLabel()
        self._status.setWordWrap(True)
        self._status.setAlignment(Qt.AlignTop)
        self._status.setTextFormat(Qt.RichText)
        controls.addLayout(form)
        controls.addSpacing(12)
        controls.addWidget(self._status, 1)
        left = QWidget()
        left.setLayout(controls)
        left.setFixedWidth(350)
        grid = QGridLayout(self)
        grid.addWidget(left, 0, 0, 2, 1)
        for place, sink in enumerate((self.points, self.air)):
            grid.addWidget(sip.wrapinstance(sink.qwidget(), QWidget), 0, 1 + place)
        grid.addWidget(self.watch.losses, 1, 1)
        grid.addWidget(self.watch.quality, 1, 2)
        grid.setRowStretch(0, 5)
        grid.setRowStretch(1, 2)
        grid.setColumnStretch(1, 1)
        grid.setColumnStretch(2, 1)
        self.resize(1280, 640)

    def _change_snr(self, value: int) -> None:
        self._snr_text.setText(f"{value / STEPS:g} dB (Es/N0 per carrier)")
        if value / STEPS != self.lab.snr_db:
            self.lab.set_snr_db(value / STEPS)

    def _change_scheme(self, scheme: str) -> None:
        try:
            self.lab.set_scheme(scheme)
        except (ValueError, OSError) as error:  # its model or library may not be installed
            _log.warning("%s: %s", scheme, error)
            self.scheme.blockSignals(True)
            self.scheme.setCurrentIndex(self.scheme.findData(self.lab.scheme))
            self.scheme.blockSignals(False)
        self.air.set_frequency_range(0, self.lab.ends.rate)
        self.tell()

    def tell(self) -> None:
        """The status in words."""
        lab, recent = self.lab, [word for row in self.lab.fates()[-RECENT:] for word in row]
        now, used = time.monotonic(), time.process_time()
        load, self._cpu = (used - self._cpu[1]) / max(now - self._cpu[0], 1e-3), (now, used)
        missing = f"{100 * (1 - recent.count('ok') / len(recent)):.0f} %" if recent else "-"
        snr = lab.monitor.last.get("snr_db")
        played = f"{lab.played_s:.1f} s"
        rows = {"Sends": lab.ends.about, "SNR measured": "-" if snr is None else f"{snr:.1f} dB",
                "Packets missing of late": missing, "Played": played, "Load": f"{100 * load:.0f} % of a core"}
        self._status.setText("".join(f"<p><b>{name}</b><br>{text}</p>" for name, text in rows.items()))
