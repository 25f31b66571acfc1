# SPDX-License-Identifier: GPL-3.0-or-later
"""Families of speech transmission on equal terms: schemes, the rule that binds them, sweeps and their report."""
