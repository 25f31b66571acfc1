# SPDX-License-Identifier: GPL-3.0-or-later
"""What the pages that benchmarks write have in common."""


def table(head: list, rows: list[list]) -> str:
    """A Markdown table, without a line end behind it."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
