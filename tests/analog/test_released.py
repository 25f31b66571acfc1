# SPDX-License-Identifier: GPL-3.0-or-later
"""The released weights keep what the analog scheme promises: no cliff."""

from pathlib import Path

import pytest
from soundspring import analog
from soundspring.audio.io import read
from soundspring.channel.factory import make_channel
from soundspring.evaluation.metrics import pesq_wb

EXAMPLE = Path(__file__).parents[2] / "examples" / "speech.wav"


def test_quality_falls_slowly_and_never_off_a_cliff():
    pytest.importorskip("pesq")
    link, sound = analog.AnalogLink("reference"), read(EXAMPLE)[0][:64000]
    heard = []
    for snr in (-5, 0, 5, 10, 15, 20, 25):
        channel = make_channel("awgn", rate=2e6, snr_db=snr, oversampling=2, seed=6)
        heard.append(pesq_wb(sound, analog.run(link, sound, channel).audio))
    steps = [b - a for a, b in zip(heard, heard[1:], strict=False)]
    assert all(0 < step < 1.3 for step in steps), heard
    assert heard[1] > 1.3 and heard[3] > 2.4 and heard[5] > 3.2, heard
