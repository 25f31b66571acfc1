#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/blocks.md from the block descriptions in grc/: run it after changing one."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
CATEGORIES = ("Link", "Source Coding", "Modem", "Channel")
HEAD = """# Blocks

<!-- Made by docs/make_blocks.py from the descriptions in grc/; change those. -->

All are found in GRC under *[SoundSpring]* and in Python as `from gnuradio import soundspring`, for example
`soundspring.transmitter(profile='reference')`. PDUs are `cons(dictionary, uniform vector)`; entries of ours begin with
`soundspring_`. A PDU that cannot be used is logged once with the reason, counted and dropped. Arguments that cannot be
raise ValueError before the flowgraph starts.

"""


def port(description: dict) -> str:
    """A port in a few words: what flows and, where it has one, its name."""
    kind = f"{description['dtype']} stream" if description["domain"] == "stream" else "PDUs"
    name = description.get("id", "")
    return f"{kind} `{name}`" if name else kind


def ports(block: dict, side: str) -> str:
    return ", ".join(port(p) for p in block.get(side, [])) or "–"


def parameters(block: dict) -> str:
    return ", ".join(f"`{p['id']}` = {p['default'] or repr('')}" for p in block.get("parameters", [])) or "none"


def text() -> str:
    """The whole page."""
    paths = sorted((ROOT / "grc").glob("soundspring_*.block.yml"))
    blocks = [yaml.safe_load(path.read_text("utf-8")) for path in paths]
    groups = {name: [b for b in blocks if b["category"].endswith(f"/{name}")] for name in CATEGORIES}
    left = [b["id"] for b in blocks if not any(b in group for group in groups.values())]
    if left:
        raise SystemExit(f"in none of the categories {', '.join(CATEGORIES)}: {', '.join(left)}")
    rows, details = [], []
    for name, group in groups.items():
        details.append(f"## {name}\n")
        for b in group:
            anchor = b["label"].lower().replace(" ", "-")
            rows.append(f"| {name} | [{b['label']}](#{anchor}) | {ports(b, 'inputs')} | {ports(b, 'outputs')} |")
            details.append(f"### {b['label']}\n\n`soundspring.{b['id'].removeprefix('soundspring_')}`, parameters: "
                           f"{parameters(b)}\n\n{b['documentation'].strip()}\n")
    table = "| | block | in | out |\n|---|---|---|---|\n" + "\n".join(rows)
    return f"{HEAD}{table}\n\n" + "\n".join(details)


if __name__ == "__main__":
    (ROOT / "docs" / "blocks.md").write_text(text(), encoding="utf-8")
