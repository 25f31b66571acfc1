# SPDX-License-Identifier: GPL-3.0-or-later
"""What the peers are tested with."""

import numpy as np
import pytest


@pytest.fixture
def voice():
    """Two seconds of a voice-like sound whose pitch and loudness move."""
    t = np.arange(32000) / 16000
    pitch = 2 * np.pi * np.cumsum(120 + 30 * np.sin(2 * np.pi * 1.3 * t)) / 16000
    sound = sum(np.sin(h * pitch) / h for h in range(1, 20)) * (1 + np.sin(2 * np.pi * 4 * t))
    return (0.05 * sound).astype(np.float32)
