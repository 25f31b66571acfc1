# SPDX-License-Identifier: GPL-3.0-or-later
"""The report: one complete page, nothing from outside, nothing unescaped, sections only for what is there."""

import base64
import io
import re

import numpy as np
import pytest
import soundfile
from html_page import Page
from soundspring.evaluation import LinkReport, LossRow, Picture, Track, write_report


def tone(seconds: float = 1.0, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(16_000 * seconds)) / 16_000)


def full_report() -> LinkReport:
    rng = np.random.default_rng(0)
    return LinkReport(
        title="A voice <over> noise & fading",
        command='soundspring link "a.wav" out.wav --snr 3 --seed 1',
        summary="All of it.",
        highlights=[("PESQ-WB", 2.3456), ("lost", "12 %")],
        tracks=[Track("original", tone()), Track("received", 0.5 * tone(1.2), "a <caption>")],
        losses=[
            LossRow("base", ["ok"] * 8 + ["lost", "desync"]),
            LossRow("sound", ["ok"] * 40 + ["concealed"] * 10),
        ],
        duration_s=1.0,
        metrics=[{"version": "received", "PESQ-WB": 2.3456, "PLCMOS": None, "packets": 1200}],
        symbols=rng.standard_normal(20_000) + 1j * rng.standard_normal(20_000),
        settings={"snr": -3.5, "seed": 1, "profile": "reference-x"},
        pictures=[Picture("curve", b"\x89PNG\r\n", "more")],
    )


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = write_report(tmp_path_factory.mktemp("report") / "new" / "folder", full_report())
    assert path.name == "index.html"
    return path.read_text(encoding="utf-8")


def test_the_page_is_complete_and_needs_nothing_else(page):
    parsed = Page(page)
    for _, attrs in parsed.tags:
        for key in ("src", "href", "srcset", "action"):
            assert attrs.get(key, "data:").startswith("data:")
    assert not re.search(r"https?://|@import|url\(", page)
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in parsed.all("meta")


def test_the_sound_is_inside(page):
    players = Page(page).all("audio")
    assert len(players) == 2
    x, rate = soundfile.read(io.BytesIO(base64.b64decode(players[1]["src"].split(",")[1])))
    assert rate == 16_000
    np.testing.assert_allclose(x, 0.5 * tone(1.2), atol=1e-4)


def test_the_pictures_are_inside(page):
    pictures = Page(page).all("img")
    assert len(pictures) == 4  # two spectrograms, the constellation, the curve
    assert all(base64.b64decode(p["src"].split(",")[1]).startswith(b"\x89PNG") and p["alt"] for p in pictures)


def test_the_loss_map_has_every_packet_in_its_place(page):
    rects = Page(page).all("rect")
    spans = [(float(r["x"]), float(r["width"])) for r in rects]
    assert spans == [(0, 0.8), (0.8, 0.1), (0.9, 0.1), (0, 0.8), (0.8, 0.2)]
    assert len({r["fill"] for r in rects}) == 4
    assert "base: 2 of 10 not received" in page
    legend = page[page.index('class="legend"') : page.index("<svg")]
    assert "concealed" in legend and "damaged" in legend and "undecodable" not in legend


def test_a_long_loss_map_is_cut_into_strips_without_losing_any():
    from soundspring.evaluation.page import render

    lost = np.random.default_rng(1).random(1000) < 0.1
    report = LinkReport("long", "", losses=[LossRow("base", np.where(lost, "lost", "ok").tolist())], duration_s=100.0)
    parsed = Page(render(report))
    boxes = [tuple(map(float, s["viewbox"].split())) for s in parsed.all("svg")]
    assert len(boxes) == 7 and boxes[0][:1] + boxes[0][2:3] == (0.0, 16.0)
    covered = np.zeros(1000, bool)
    for r in parsed.all("rect"):
        if r["fill"] == "#c8324b":
            first = round(float(r["x"]) / 0.1)
            covered[first : first + round(float(r["width"]) / 0.1)] = True
    np.testing.assert_array_equal(covered, lost)


def test_values_are_shown_for_people(page):
    cells = re.findall(r"<td>(.*?)</td>", page)
    assert ["received", "2.35", "–", "1200"] == cells[:4]
    assert "−3.50" in cells and "reference-x" in cells


def test_text_from_outside_is_escaped(page):
    assert "A voice &lt;over&gt; noise &amp; fading" in page and "<over>" not in page
    assert "a &lt;caption&gt;" in page
    assert 'link "a.wav" out.wav --snr 3 --seed 1' in "".join(Page(page).text)


def test_an_empty_report_leaves_its_sections_out(tmp_path):
    page = write_report(tmp_path, LinkReport("nothing yet", "")).read_text()
    assert Page(page).all("section") == [] and "nothing yet" in page


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(16_000), np.full(1000, np.nan), np.ones(3)])
def test_awkward_sound_makes_a_page(tmp_path, samples):
    assert write_report(tmp_path, LinkReport("odd", "", tracks=[Track("x", samples)])).stat().st_size > 1000


def test_awkward_symbols_make_a_page(tmp_path):
    symbols = np.array([1 + 1j, np.nan, np.inf, 100.0])
    assert Page(write_report(tmp_path, LinkReport("odd", "", symbols=symbols)).read_text()).all("img")


def test_spectrograms_share_their_scale():
    """The same sound 30 dB softer must come out darker, and a lone one not."""
    from PIL import Image
    from soundspring.evaluation.figures import spectrograms

    def light(png):
        return np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)[50:300, 100:600].mean()

    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal(16_000)
    loud, soft = spectrograms([(x, 16_000), (x * 10**-1.5, 16_000)])
    assert light(soft) < light(loud) - 20
    assert light(spectrograms([(x * 10**-1.5, 16_000)])[0]) == pytest.approx(light(loud), abs=3)


def test_wrong_reports_are_refused_and_leave_nothing(tmp_path):
    with pytest.raises(ValueError, match="states of the loss row 'base'"):
        write_report(tmp_path / "a", LinkReport("x", "", losses=[LossRow("base", ["gone"])], duration_s=1.0))
    with pytest.raises(ValueError, match="duration_s"):
        write_report(tmp_path / "a", LinkReport("x", "", losses=[LossRow("base", ["ok"])]))
    assert not (tmp_path / "a").exists()
