# SPDX-License-Identifier: GPL-3.0-or-later
"""The tutorial: its notebook and page are made of its source, and all of it runs and shows what it says it shows."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
SHOW = """
import json, make_tutorial
done = make_tutorial.cells()
scope = make_tutorial.run(done)
facts = {name: scope[name] for name in ("bits", "cliff", "curves", "thresholds")}
facts |= {"same": bool((scope["again"] == scope["superframes"][0]).all()), "drawn": sum(len(c.pictures) for c in done)}
facts |= {"pesq": {name: scope["quality"](audio) for name, audio in scope["decoded"].items()}}
print("FACTS" + json.dumps(facts, default=float))
"""


@pytest.fixture(scope="module")
def maker():
    return runpy.run_path(str(ROOT / "docs/make_tutorial.py"))


@pytest.fixture(scope="module")
def facts(tmp_path_factory):
    """What the cells leave behind when run quickly, in a process of their own, with the package of this source tree."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("tutorial")
    environment = {k: v for k, v in os.environ.items() if k != "SOUNDSPRING_MODELS"}
    environment |= {"PYTHONPATH": str(ROOT / "docs"), "TUTORIAL_QUICK": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", SHOW], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("FACTS")[1])


def test_the_notebook_is_made_of_the_source(maker):
    made = maker["notebook"]()
    assert (ROOT / "examples/tutorial.ipynb").read_text("utf-8") == made, "run docs/make_tutorial.py --notebook"
    cells = json.loads(made)["cells"]
    assert len({cell["id"] for cell in cells}) == len(cells) > 20
    assert all(not cell.get("outputs") for cell in cells)


def test_the_page_has_the_text_and_the_code_of_the_source(maker):
    page = (ROOT / "docs/tutorial.md").read_text("utf-8")
    kept = re.sub(r"```text\n.*?```\n\n|!\[[^\]]*\]\(images/tutorial-\d+\.png\)\n\n", "", page, flags=re.DOTALL)
    assert kept == maker["page"](maker["cells"]()), "run docs/make_tutorial.py"


def test_prediction_saves_bits_and_the_code_is_read_back(facts):
    bits = facts["bits"]
    assert facts["same"]
    assert bits["model"] < bits["histogram"] and bits["model"] < 0.97 * bits["raw"]
    assert bits["model"] - 2 <= bits["range code"] <= bits["model"] + 2


def test_more_layers_sound_better(facts):
    scores = [facts["pesq"][name] for name in ("3k", "6k", "12k")]
    if np.isnan(scores).any():
        pytest.skip("PESQ is not installed")
    assert scores == sorted(scores) and scores[-1] > scores[0] + 0.3


def test_the_link_has_a_cliff_and_the_analog_one_has_none(facts):
    (_, base, fine), clear = facts["cliff"]["-2"], facts["cliff"]["6"]
    assert fine > 0.8 and base > 0.2 and clear[1:] == [0, 0]
    analog, *digital = facts["curves"].values()
    assert np.all(np.diff(analog) > 0) and max(np.diff(analog)) < 1.1 * 4
    assert len(digital) == 3 and all(max(np.diff(curve)) > 4 for curve in digital)
    assert all(max(curve) - curve[-1] < 0.5 and curve[0] < 0.5 for curve in digital)


def test_codes_come_near_to_shannon(facts):
    values = list(facts["thresholds"].values())
    assert values == sorted(values) and len(values) == 4


def test_every_picture_of_the_page_is_there_and_small(facts):
    page = (ROOT / "docs/tutorial.md").read_text("utf-8")
    named = re.findall(r"images/tutorial-\d+\.png", page)
    assert len(named) == facts["drawn"]
    assert all((ROOT / "docs" / name).stat().st_size < 100_000 for name in named)
