# SPDX-License-Identifier: GPL-3.0-or-later
"""The headline runs a plan over the benchmarks' speech, goes on where it was, and draws its figure."""

import json

import pytest
import yaml
from soundspring.baselines import codec2
from test_benchmarks import benchmark  # noqa: F401 - a fixture

PLAN = {"name": "tiny", "files": ["none.wav"], "terms": {"fixed": {"profile": "reference", "schemes": ["codec2:*"]}},
        "channels": [{"name": "awgn", "snr_db": [-20, 10]}]}


@pytest.mark.skipif(not codec2.available(), reason="no library for codec2")
def test_the_headline_is_one_command(benchmark, tmp_path, capsys):  # noqa: F811
    (tmp_path / "none.wav").write_bytes(b"")
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump(PLAN))
    words = ["--quick", "--length", "1", "--seconds", "5", "--plan", tmp_path / "plan.yaml", "--out", tmp_path / "out",
             "--image", tmp_path / "x.png", "--json", tmp_path / "x.json", "--workers", "1"]
    main = benchmark("headline").main
    for _ in range(2):
        figures = main(list(map(str, words)))
    curve = figures["terms"]["fixed"]["awgn"]["codec2"]["curve"]
    assert [p["snr_db"] for p in curve] == [-20, 10] and curve[0]["pesq_wb"] == 1.04 < curve[1]["pesq_wb"]
    assert json.loads((tmp_path / "x.json").read_text())["about"]["plan"]["name"] == "tiny"
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG") and (tmp_path / "out/index.html").is_file()
    assert "best PESQ-WB" in capsys.readouterr().out
