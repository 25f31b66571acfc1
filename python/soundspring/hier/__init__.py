# SPDX-License-Identifier: GPL-3.0-or-later
"""Hierarchical blocks: the transmitter and the receiver, made of the blocks and of in-tree ones."""
