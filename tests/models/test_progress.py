# SPDX-License-Identifier: GPL-3.0-or-later
"""The history of a training run outlives interruptions, and forgets what was lost with them."""

import numpy as np


def test_what_was_lost_is_forgotten(train, tmp_path):
    module = train("progress")
    progress = module.Progress(tmp_path, 0)
    for step in (10, 20, 30):
        progress.add(step, step / 60, {"loss": {"mel": 1 / step, "none": None}}, [])
    assert [row["step"] for row in module.read_history(tmp_path)] == [10, 20, 30]
    again = module.Progress(tmp_path, 20)  # the last checkpoint is older than the last row
    again.add(25, 0.4, {"loss": {"mel": 0.5, "new": 2.0}}, [])
    rows = module.read_history(tmp_path)
    assert [row["step"] for row in rows] == [10, 20, 25] and rows[-1]["curves"]["loss"] == {"mel": 0.5, "new": 2.0}
    assert (tmp_path / "progress/curves.png").read_bytes().startswith(b"\x89PNG")


def test_page_has_a_player_for_every_sound(train, tmp_path):
    module = train("progress")
    from soundspring.audio.io import read
    from soundspring.evaluation.report import Track

    sound = (0.1 * np.sin(np.arange(8000) / 5)).astype(np.float32)
    module.Progress(tmp_path, 0).add(1, 1.0, {"STOI": {"12 layers": 0.5}}, [Track("a: 12 layers", sound)])
    page = (tmp_path / "progress/index.html").read_text()
    assert page.count("<audio") == 1 and "STOI, 12 layers" in page and "step 1, 1.0 minutes" in page
    assert len(read(tmp_path / "progress/a-12-layers.wav")[0]) == 8000


def test_no_history_is_an_empty_one(train, tmp_path):
    assert train("progress").read_history(tmp_path) == []
