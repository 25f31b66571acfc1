# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation: quality metrics and the report of a link, as one HTML page."""

from .metrics import align, confidence95, pesq_wb, plcmos, score, si_sdr, stoi
from .report import STATES, LinkReport, LossRow, Picture, Track, write_report

__all__ = [
    "STATES", "LinkReport", "LossRow", "Picture", "Track", "align", "confidence95", "pesq_wb", "plcmos", "score",
    "si_sdr", "stoi", "write_report",
]
