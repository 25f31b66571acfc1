# SPDX-License-Identifier: GPL-3.0-or-later
"""GNU Radio blocks: thin doors onto the functions of the rooms, one file each."""
