# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets <-> code bits: CRCs and LDPC codes of 5G NR (3GPP TS 38.212)."""
