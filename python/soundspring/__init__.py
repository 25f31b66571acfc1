# SPDX-License-Identifier: GPL-3.0-or-later
"""SoundSpring: speech over radio with a neural codec and one masked language model."""
