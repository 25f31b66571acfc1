# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan makes every cell once, and says what is wrong with itself."""

import copy
from pathlib import Path

import pytest
from comparison_rows import DATA
from soundspring.comparison.plan import from_dict, load_plan

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.wav", "b.wav"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def changed(**more):
    return copy.deepcopy(DATA) | more


def test_every_combination_is_a_cell_with_a_key_of_its_own(folder):
    cells = list(from_dict(DATA, folder).cells())
    # Opus, JSCC and both modes of Codec2; four SNRs and two losses; two files; two seeds.
    assert len(cells) == 4 * 6 * 2 * 2 == len({c.key for c in cells})
    assert cells[0].key == "fixed/opus:6/awgn/-4 dB/none/a/0"
    assert [c.key.split("/")[1] for c in cells if c.listen] == ["opus:6", "jscc:analog", "codec2:3.2", "codec2:2.4"]


def test_terms_may_have_channels_of_their_own(folder):
    data = changed()
    data["terms"]["more"] = {"profile": "wide-0", "papr_db": 8, "schemes": ["opus:6"],
                             "channels": [{"name": "rayleigh", "doppler_hz": 5, "snr_db": [3]}]}
    plan = from_dict(data, folder)
    assert [c.key for c in plan.cells()][-1] == "more/opus:6/rayleigh 5 Hz/3 dB/none/b/1"
    assert plan.contest("more").terms.papr_db == 8 and plan.contest("fixed").terms.papr_db == 10


def test_files_are_found_by_pattern_and_may_be_replaced(folder):
    plan = from_dict(changed(files=["*.wav"]), folder)
    assert list(plan.files) == ["a", "b"]
    other = plan.with_files({"c": folder / "a.wav"}, 2.0)
    assert {c.file for c in other.cells()} == {"c"} and other.source["files"] == [str(folder / "a.wav")]


@pytest.mark.parametrize(("change", "message"), [
    ({"colour": 1}, "unknown key colour; known are channels, files, name, seconds, seeds, terms"),
    ({"files": ["c.wav"]}, "there is no .*c.wav"),
    ({"files": ["a.wav", "*.wav"]}, "two are called a"),
    ({"files": []}, "files: expected a list"),
    ({"seconds": 0.1}, "seconds: expected at least 0.5"),
    ({"seeds": [1, 1]}, "seeds: .* each once"),
    ({"channels": [{"name": "awgn"}]}, "missing key snr_db"),
    ({"channels": [{"name": "fog", "snr_db": [1]}]}, "channel: 'fog'"),
    ({"terms": {}}, "terms: expected names"),
    ({"terms": {"a b": {"profile": "reference", "schemes": ["opus"]}}}, "'a b': expected a name of letters"),
    ({"terms": {"x": {"profile": "reference", "schemes": ["speex"]}}}, "'speex' is not one of"),
    ({"terms": {"x": {"profile": "reference", "schemes": ["opus"], "listen": [7]}}}, "listen: no channel .* 7 dB"),
])
def test_mistakes_are_named(folder, change, message):
    with pytest.raises(ValueError, match=message):
        from_dict(changed(**change), folder)


def test_a_broken_file_is_named(folder):
    (folder / "p.yaml").write_text("a: [")
    with pytest.raises(ValueError, match="p.yaml: not YAML"):
        load_plan(folder / "p.yaml")


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks/plans").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_plans_of_the_repository_can_be_read(path):
    plan = load_plan(path)
    assert sum(1 for _ in plan.cells()) > 20


@pytest.mark.parametrize(("key", "value", "word"), [
    ("files", ["x" * 5000], "files"), ("files", ["**x*"], "files"), ("seconds", float("inf"), "seconds"),
    ("seeds", [2**70], "seeds"), ("channels", [{"name": [], "snr_db": [1]}], "channel"),
    ("channels", [{"name": "awgn", "snr_db": [[]]}], "snr_db"),
    ("channels", [{"name": "awgn", "snr_db": [1], "cfo_hz": "far"}], "cfo_hz")])
def test_values_of_the_wrong_kind_are_named(folder, key, value, word):
    with pytest.raises(ValueError, match=word):
        from_dict(changed(**{key: value}), folder)


@pytest.mark.parametrize(("key", "value"), [("papr_db", []), ("papr_db", None), ("listen", 5), ("listen", [{}]),
                                            ("profile", ["reference"])])
def test_terms_of_the_wrong_kind_are_named(folder, key, value):
    data = changed()
    next(iter(data["terms"].values()))[key] = value
    with pytest.raises(ValueError, match=key):
        from_dict(data, folder)
