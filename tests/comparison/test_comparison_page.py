# SPDX-License-Identifier: GPL-3.0-or-later
"""The page shows what the results say, needs nothing from outside, and survives half a sweep."""

import re

import numpy as np
import pytest
from comparison_rows import DATA, rows
from html_page import Page
from soundspring.comparison.drawing import headline, title
from soundspring.comparison.measure import mp3
from soundspring.comparison.page import render, write_page
from soundspring.comparison.plan import from_dict
from soundspring.comparison.results import Results

ABOUT = {"soundspring": "1", "weights_sha256": {"codec": "ab" * 32}, "versions": {"numpy": "1"},
         "machine": {"cpu": "x"}}


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    sound = tmp_path_factory.mktemp("sound")
    tone = 0.3 * np.sin(np.arange(8000) / 5)
    for name in ["a.mp3", *{r["sound"] for r in rows() if r["sound"]}]:
        (sound / name).write_bytes(mp3(tone))
    return render(from_dict(DATA, find=False), ABOUT, rows(), sound)


def test_the_page_is_whole_and_needs_nothing_else(page):
    parsed = Page(page)
    for _, attrs in parsed.tags:
        for key in ("src", "href", "srcset"):
            assert attrs.get(key, "data:").startswith("data:")
    assert not re.search(r"https?://|@import|url\(", page)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in parsed.all("meta")
    assert "made &lt;up&gt;" in page and "made <up>" not in page


def test_every_scheme_can_be_heard_beside_the_original(page):
    parsed = Page(page)
    players = [a["src"] for a in parsed.all("audio")]
    assert len(players) == 5 and all(s.startswith("data:audio/mpeg;base64,") for s in players)
    tabs = [a["id"] for a in parsed.all("input")]
    panels = [a["id"] for a in parsed.all("div") if "panel" in a.get("class", "")]
    assert panels == [f"{t}-panel" for t in tabs] and all(f"#{t}:checked" in page for t in tabs)


def test_the_cliff_and_the_slope_are_told_in_numbers(page):
    table = page[page.index("Cliff or slope") : page.index("Listen")]
    cells = {row[0]: row for row in (re.findall(r"<td>(.*?)</td>", r) for r in table.split("<tr>")) if row}
    assert cells["Opus"][2] == "3.6" and float(cells["Opus"][4]) == pytest.approx(3.2, abs=0.1)
    assert cells["deep JSCC"][2] == "–" and cells["deep JSCC"][4] == "wider"


def test_limits_and_what_was_taken_stand_side_by_side(page):
    table = page[page.index("Equal terms") :]
    assert table.count("<td>28000</td>") == 3 and "6.16" in table
    assert f"<td>{from_dict(DATA, find=False).contests[0].terms.uses_per_s:.0f}</td>" in table


def test_all_figures_are_there(page):
    assert "24 rows" in page and "± " in page[page.index("All figures") :]


def test_a_sweep_that_has_hardly_begun_makes_a_page(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tmp_path))
    with Results(tmp_path / "out", from_dict(DATA, find=False)) as results:
        with pytest.raises(ValueError, match="no rows yet"):
            write_page(tmp_path / "out")
        results.add(rows()[0])
        assert Page(write_page(tmp_path / "out").read_text("utf-8")).all("table")


def test_the_headline_is_drawn_for_channels_with_several_snrs(tmp_path):
    headline(rows(), tmp_path / "x.png", {"fixed": "all alike"})
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_channels_have_names_for_people():
    assert title("rayleigh 10 Hz") == "Rayleigh fading, 10 Hz" and title("awgn") == "AWGN"
