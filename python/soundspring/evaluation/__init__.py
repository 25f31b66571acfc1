# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation: quality metrics and the report of a link, as one HTML page."""

from .metrics import align, confidence95, pesq_wb, plcmos, score, si_sdr, stoi

__all__ = ["align", "confidence95", "pesq_wb", "plcmos", "score", "si_sdr", "stoi"]
