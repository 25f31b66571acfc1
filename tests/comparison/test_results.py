# SPDX-License-Identifier: GPL-3.0-or-later
"""Results survive kills, belong to one plan, and have one writer."""

import subprocess
import sys

import pytest
from comparison_rows import DATA, rows
from soundspring.comparison.plan import from_dict
from soundspring.comparison.results import FIELDS, Results, read


@pytest.fixture
def plan():
    return from_dict(DATA, find=False)


@pytest.fixture(autouse=True)
def models(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path / "models"))


def test_what_was_written_comes_back(tmp_path, plan):
    made = rows()
    with Results(tmp_path / "out", plan) as results:
        for row in made:
            results.add(row, b"mp3" if row["sound"] else None)
    _, about, got = read(tmp_path / "out")
    assert set(got[0]) == set(FIELDS) and len(got) == len(made)
    for one, other in zip(got, made, strict=True):
        assert one == {k: pytest.approx(v) if isinstance(v, float) else v for k, v in other.items()}
    assert (tmp_path / "out/sound/opus_6.mp3").read_bytes() == b"mp3" and about["versions"]["python"]


def test_half_a_row_is_cut_off_and_the_whole_ones_stay(tmp_path, plan):
    made = rows()
    with Results(tmp_path, plan) as results:
        results.add(made[0])
        results.add(made[1])
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("fixed/opus:6/awgn/4 dB")
    assert len(read(tmp_path)[2]) == 2
    with Results(tmp_path, plan) as results:
        assert results.done == {made[0]["key"], made[1]["key"]}
        results.add(made[2])
    assert [r["key"] for r in read(tmp_path)[2]] == [r["key"] for r in made[:3]]


def test_another_plan_or_version_is_refused(tmp_path, plan):
    with Results(tmp_path, plan):
        pass
    with pytest.raises(ValueError, match="plan.yaml tells of another plan"), \
            Results(tmp_path, from_dict(DATA | {"seeds": [2]}, find=False)):
        pass
    about = (tmp_path / "about.json").read_text()
    (tmp_path / "about.json").write_text(about.replace('"soundspring": "', '"soundspring": "9'))
    with pytest.raises(ValueError, match="about.json tells of another version"), Results(tmp_path, plan):
        pass


def test_a_second_writer_is_refused(tmp_path, plan):
    code = f"""
import sys
sys.path[:0] = {sys.path!r}
from comparison_rows import DATA
from soundspring.comparison.plan import from_dict
from soundspring.comparison.results import Results
with Results({str(tmp_path)!r}, from_dict(DATA, find=False)): pass
"""
    with Results(tmp_path, plan):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode and "another sweep is writing" in done.stderr


def test_a_folder_without_results_says_so(tmp_path):
    with pytest.raises(ValueError, match="holds no results: plan.yaml is missing"):
        read(tmp_path)
