# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens to packets and back: integer PMFs, range coder, packet and file formats (docs/wire-format.md)."""
