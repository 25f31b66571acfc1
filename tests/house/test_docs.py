# SPDX-License-Identifier: GPL-3.0-or-later
"""The pages say what is so: links lead somewhere, the blocks' page is up to date, tables match profiles and figures."""

import re
import runpy
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*.md"))]
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)")


def read(name):
    return (ROOT / name).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    targets = [t for t in LINK.findall(page.read_text("utf-8")) if "://" not in t]
    missing = [t for t in targets if not (page.parent / t).exists()]
    assert missing == []


def test_the_page_of_blocks_is_made_of_the_descriptions():
    made = runpy.run_path(str(ROOT / "docs/make_blocks.py"))["text"]()
    assert read("docs/blocks.md") == made, "run docs/make_blocks.py"


def test_every_profile_and_every_key_is_explained():
    from soundspring.profile import LinkProfile, PacketPhy, Phy, profiles

    page = read("docs/profiles.md")
    keys = [f.name for f in fields(LinkProfile)] + [f"phy.{f.name}" for f in fields(Phy)]
    keys += [f.name for f in fields(PacketPhy)] + profiles()
    assert [k for k in keys if f"`{k}`" not in page] == []


def test_the_profile_in_the_page_is_one(tmp_path):
    from soundspring.profile import load

    page = read("docs/profiles.md")
    lines = page[page.index("    # robust.yaml") :].split("\n\n")[0].splitlines()
    (tmp_path / "robust.yaml").write_text("\n".join(line[4:] for line in lines))
    assert load(tmp_path / "robust.yaml").layers == 16


def test_the_table_of_ladders_is_of_these_profiles():
    from soundspring.profile import ladders, load_ladder

    page = read("docs/profiles.md")
    for rung in (p for name in ladders() for p in load_ladder(name).rungs):
        row = next(line for line in page.splitlines() if line.startswith(f"| `{rung.name}` |")).split("|")
        rates = [float(cell.split(",")[1]) for cell in row[2:4] if "," in cell]
        base, whole = map(float, row[8].split("/"))
        packets = rung.phy.packets
        assert rates == pytest.approx([p.payload_bits / p.code_bits for p in packets], abs=0.0051)
        assert float(row[4]) == pytest.approx(sum(rung.room) / 100, abs=0.051)
        assert (base, whole) == pytest.approx((packets[0].threshold_db, rung.phy.threshold_db), abs=0.25)


def test_every_figure_of_the_link_is_explained():
    source = read("python/soundspring/cli/link.py")
    body = source[source.index("def measure(") : source.index("def summary(")]
    keys = re.findall(r'^        "(\w+)":', body, re.MULTILINE) + ["pesq_wb", "stoi", "si_sdr_db", "plcmos"]
    assert len(keys) > 20 and [k for k in keys if f"`{k}`" not in read("docs/link.md")] == []


def test_the_wire_format_has_the_blocks_of_the_reference_profile():
    from soundspring.fec.ldpc import LdpcCode
    from soundspring.profile import load

    page, phy = read("docs/wire-format.md"), load("reference").phy
    blocks = [("header", 25, phy.header_code_bits, 1)]
    blocks += [(name, p.payload_bits, p.code_bits, p.bits_per_symbol)
               for name, p in zip(("base", "enhancement"), phy.packets, strict=True)]
    for name, k, e, order in blocks:
        code = LdpcCode(k, e, order)
        assert re.search(rf"\| {name} \| {k} \| {e} \| [12] \| {code.lifting_size} \| {code.rate:.3f} \| {e // order},",
                         page)
    assert f"| {-(-phy.payload_symbols // phy.data_carriers)} | payload:" in page


def test_every_command_of_the_pages_exists():
    from soundspring.cli.main import command_names

    named = {name for page in PAGES for name in re.findall(r"`?\bsoundspring ([a-z]+) ", page.read_text("utf-8"))
             if not page.name.startswith("wire")}
    assert named - set(command_names()) <= {"import"} and {"link", "encode", "decode"} <= named


def test_every_example_is_explained():
    page = read("examples/README.md")
    files = [p.name for p in (ROOT / "examples").iterdir() if p.suffix in (".grc", ".py", ".wav")]
    assert [f for f in files if f"`{f}`" not in page] == []


def test_examples_in_the_page_exist():
    named = re.findall(r"`(\w+\.(?:grc|wav))`", read("examples/README.md"))
    assert named and [n for n in named if not (ROOT / "examples" / n).is_file()] == []


def test_the_manifest_names_what_is_needed():
    needs = " ".join(yaml.safe_load(read("MANIFEST.yml").split("---")[0])["dependencies"])
    assert all(word in needs for word in ("gnuradio", "numpy", "torch"))
