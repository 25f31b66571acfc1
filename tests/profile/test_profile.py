# SPDX-License-Identifier: GPL-3.0-or-later
"""Profiles: what they compute, that they survive YAML and dicts, and that an impossible one is named, not clamped."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import yaml
from soundspring import profile
from soundspring.profile import Ladder, LinkProfile, from_dict, ladders, load, load_ladder, profiles, replace_profile

PHY = {"header_code_bits": 384, "packets": [
    {"payload_bits": 144, "code_bits": 480, "bits_per_symbol": 2},
    {"payload_bits": 384, "code_bits": 960, "bits_per_symbol": 4}]}
GOOD = {"name": "good", "id": 4, "superframe": 5, "groups": [3, 12], "policy": "layered", "window": 1,
        "schedule": [[2], [0, 4], [1, 3]], "phy": PHY}


def changed(**changes):
    return from_dict(GOOD | changes)


def test_sizes_are_derived():
    p = changed()
    assert (p.layers, p.superframe_samples, p.superframes_per_second, p.raw_bps) == (12, 1600, 10.0, 6000)
    assert [p.group_layers(g) for g in (0, 1)] == [(0, 3), (3, 12)]
    assert [x.symbols for x in p.phy.packets] == [240, 240] and p.phy.payload_symbols == 480


def test_the_shipped_profiles_load_and_have_ids_and_names_of_their_own():
    names = profiles()
    assert {"reference", "packet20", "chained"} <= set(names)
    loaded = [load(name) for name in names]
    assert [p.name for p in loaded] == names
    alone = [p for p in loaded if p.name.rpartition("-")[0] not in ladders()]
    assert len({p.id for p in alone}) == len(alone)


def test_a_ladder_has_one_source_and_rungs_that_rise():
    assert ladders() == ["narrow", "wide"]
    for name in ladders():
        ladder = load_ladder(name)
        assert [load(f"{name}-{n}") for n in range(len(ladder.rungs))] == list(ladder.rungs)
        assert [p.id for p in ladder.rungs] == list(range(len(ladder.rungs)))
        assert load_ladder(f"{name}-1").rungs == ladder.rungs[1:2]
        for p in ladder.rungs:
            assert ladder.find(p.id) is ladder.rung(p.id) is p
            assert replace_profile(p, id=0, name="x", phy=None) == replace_profile(ladder.common, name="x", phy=None)
            thresholds = [x.threshold_db for x in p.phy.packets]
            assert thresholds == sorted(thresholds) and p.phy.threshold_db == thresholds[-1]  # the base outlasts it


def test_the_wide_ladder_goes_from_very_robust_to_fast_in_even_steps():
    wide = load_ladder("wide")
    rising = [p.phy.threshold_db for p in wide.rungs]
    assert all(1.5 < b - a < 5 for a, b in pairwise(rising)) and rising[-1] - rising[0] > 20
    low, high = wide.rungs[0].phy.packets[0], wide.rungs[-1].phy.packets[-1]
    assert low.bits_per_symbol == 1 and low.payload_bits / low.code_bits < 0.2
    assert high.bits_per_symbol == 6 and high.payload_bits / high.code_bits > 0.8
    assert [p.packets for p in wide.rungs] == [1] + [2] * 7 and wide.packets == 2
    assert wide.rungs[0].raw_bps == 1500 and wide.rungs[7].raw_bps == 12000
    assert wide.payload_symbols == max(p.phy.payload_symbols for p in wide.rungs)
    assert wide.code_parameters["k"][1] == [x.payload_bits for x in wide.rungs[1].phy.packets]


def test_a_narrow_burst_fills_its_superframe(tiny_models):
    from soundspring.link import Link

    narrow = Link(load_ladder("narrow"), tiny_models)
    assert 24e3 < narrow.numerology.occupied_bandwidth < 26e3
    assert 0.95 < narrow.burst_samples / narrow.numerology.rate / 0.1 < 1
    assert {p.phy.payload_symbols for p in narrow.ladder.rungs} == {1200}  # 25 whole OFDM symbols


def ladder_file(tmp_path, **changes):
    common = {k: v for k, v in GOOD.items() if k not in ("id", "name", "phy")}
    data = common | {"phy": {"header_code_bits": 384}, "ladder": [PHY["packets"][:1], PHY["packets"]]} | changes
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump({k: v for k, v in data.items() if v is not None}))
    return file


def test_a_ladder_of_ones_own(tmp_path):
    mine = load_ladder(ladder_file(tmp_path))
    assert [p.name for p in mine.rungs] == ["mine-0", "mine-1"] and load_ladder(mine) is mine
    with pytest.raises(ValueError, match="is a ladder; choose one of its rungs, mine-0 to mine-1"):
        load(ladder_file(tmp_path))
    with pytest.raises(ValueError, match="rung of mine"):
        mine.rung(2)
    assert mine.find(5) is None and load_ladder(load("reference")).rungs == (load("reference"),)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"ladder": []}, "ladder"),
        ({"ladder": 3}, "ladder"),
        ({"ladder": [PHY["packets"]] * 9}, "8"),
        ({"id": 3}, "no id"),
        ({"phy": None}, "a phy without packets"),
        ({"phy": PHY}, "without packets"),
        ({"phy": {"header_code_bits": 3}}, "header_code_bits"),
        ({"policy": "chained"}, "leave none out"),
        ({"ladder": [[PHY["packets"][0] | {"threshold_db": x}] for x in (3.0, 2.0)]}, "not above"),
        ({"ladder": [[PHY["packets"][0] | {"threshold_db": "low"}]]}, "threshold_db"),
    ],
)
def test_a_ladder_that_cannot_be_climbed_is_refused(tmp_path, change, names):
    with pytest.raises(ValueError, match=names):
        load_ladder(ladder_file(tmp_path, **change))


def test_rungs_differ_in_their_packets_alone():
    one, other = load_ladder("wide").rungs[:2]
    phy = replace(other.phy, header_code_bits=384)
    for changed, names in [({"window": 2}, "window"), ({"phy": phy}, "phy.header_code_bits"), ({"id": 0}, "same id"),
                           ({"phy": None}, "phy")]:
        with pytest.raises(ValueError, match=names):
            Ladder("odd", (one, replace_profile(other, **changed)))


@pytest.mark.parametrize("name", profiles())
def test_dict_json_and_yaml_give_the_profile_back(name, tmp_path):
    p = load(name)
    assert from_dict(p.to_dict()) == p
    assert from_dict(json.loads(json.dumps(p.to_dict()))) == p
    file = tmp_path / "other.yaml"
    file.write_text(yaml.safe_dump(json.loads(json.dumps(p.to_dict()))))
    assert load(file) == p and load(str(file)) == p


def test_a_file_without_a_name_is_called_as_the_file(tmp_path):
    file = tmp_path / "mine.yml"
    file.write_text(yaml.safe_dump({k: v for k, v in GOOD.items() if k != "name"}))
    assert load(file).name == "mine"


def test_profiles_cannot_be_changed_behind_anyones_back():
    with pytest.raises(AttributeError):
        load("reference").refresh = 3
    assert replace_profile(load("reference"), refresh=3).refresh == 3


@pytest.mark.parametrize(("layers", "groups"), [(3, (3,)), (6, (3, 6)), (12, (3, 12)), (24, (3, 24)), (2, (2,))])
def test_another_rate_keeps_the_base_and_has_no_radio(layers, groups):
    p = load("reference").with_layers(layers)
    assert p.groups == groups and p.layers == layers and p.phy is None


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"groups": []}, "groups"),
        ({"groups": 12}, "groups"),
        ({"groups": [12, 3]}, "groups"),
        ({"groups": [3, 3]}, "groups"),
        ({"groups": [0, 3]}, "groups"),
        ({"groups": [3, 25]}, "groups"),
        ({"groups": [3, "12"]}, "groups"),
        ({"groups": [3, 4.5]}, "groups"),
        ({"groups": list(range(1, 10)), "phy": None}, "groups"),
        ({"policy": "Layered"}, "policy"),
        ({"policy": None}, "policy"),
        ({"policy": ["layered"]}, "policy"),
        ({"superframe": 0}, "superframe"),
        ({"superframe": 5.0}, "superframe"),
        ({"superframe": True}, "superframe"),
        ({"superframe": 3}, "schedule"),
        ({"window": 0}, "window"),
        ({"window": 99}, "window"),
        ({"lookahead": -1}, "lookahead"),
        ({"lookahead": "two"}, "lookahead"),
        ({"refresh": 0}, "refresh"),
        ({"copies": 3}, "copies"),
        ({"copies": [3, 3, 3]}, "copies"),
        ({"copies": [0]}, "copies"),
        ({"copies": [13]}, "copies"),
        ({"copies": [3], "window": 2}, "copies"),  # they are played, not leaned upon
        ({"copies": [3], "policy": "chained"}, "copies"),
        ({"id": 8}, "id"),
        ({"name": 5}, "name"),
        ({"schedule": [[0, 1, 2, 3]]}, "schedule"),
        ({"schedule": [[0, 1, 2, 3, 3]]}, "schedule"),
        ({"schedule": [0, 1, 2, 3, 4]}, "schedule"),
        ({"schedule": "01234"}, "schedule"),
        ({"schedule": [[0, 1], [2, 3, "4"]]}, "schedule"),
        ({"polciy": "layered"}, "unknown key polciy"),
        ({7: 1}, "unknown key 7"),
        ({"phy": 3}, "phy"),
        ({"phy": {}}, "missing key header_code_bits, packets"),
        ({"phy": PHY | {"fftt": 64}}, "unknown key fftt"),
        ({"phy": PHY | {"packets": PHY["packets"] * 2}}, "4 packets for 2 groups"),
        ({"phy": PHY | {"packets": PHY["packets"][:1]}, "policy": "chained"}, "leave none out"),
        ({"phy": PHY | {"packets": []}}, "packets"),
        ({"phy": PHY | {"packets": [1, 2]}}, "packets"),
        ({"phy": PHY | {"packets": [{"payload_bits": 144}] * 2}}, "missing key code_bits, bits_per_symbol"),
        ({"phy": PHY | {"packets": [{"payload_bits": 144, "code_bits": 144, "bits_per_symbol": 2}] * 2}}, "code_bits"),
        ({"phy": PHY | {"packets": [{"payload_bits": 144, "code_bits": 481, "bits_per_symbol": 2}] * 2}}, "code_bits"),
        ({"phy": PHY | {"packets": [{"payload_bits": 144, "code_bits": 480, "bits_per_symbol": 3}] * 2}},
         "bits_per_symbol"),
        ({"phy": PHY | {"header_code_bits": 3}}, "header_code_bits"),
        ({"phy": PHY | {"rate": "1e6"}}, "rate"),
        ({"phy": PHY | {"rate": -1}}, "rate"),
        ({"phy": PHY | {"rate": float("nan")}}, "rate"),
        ({"phy": PHY | {"oversampling": 0}}, "oversampling"),
        ({"phy": PHY | {"fft": "64"}}, "fft"),
    ],
)
def test_an_impossible_profile_is_an_error_that_names_the_key(change, names):
    with pytest.raises(ValueError, match=names):
        from_dict(GOOD | change)


@pytest.mark.parametrize("key", ["id", "superframe", "groups", "policy", "window", "schedule"])
def test_a_missing_key_is_named(key):
    with pytest.raises(ValueError, match=f"missing key {key}"):
        from_dict({k: v for k, v in GOOD.items() if k != key})


@pytest.mark.parametrize("values", [None, [], "reference", 3])
def test_something_else_than_a_mapping_is_refused(values):
    with pytest.raises(ValueError, match="mapping"):
        from_dict(values)


@pytest.mark.parametrize("text", ["", "[1, 2]", "just words", "a: [1", "\ta: 1", "{name: x, groups: &a [*a]}"])
def test_a_file_that_is_no_profile_is_refused(tmp_path, text):
    file = tmp_path / "odd.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match="odd|profile"):
        load(file)


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ValueError, match="reference"):
        load("refrence")
    with pytest.raises(FileNotFoundError):
        load("nowhere/at-all.yaml")


def test_a_profile_loads_as_itself():
    p = load("reference")
    assert load(p) is p


def test_a_radio_is_asked_for_by_name():
    assert profile.with_radio(load("reference")).phy is not None
    with pytest.raises(ValueError, match="packet20 has no radio part"):
        profile.with_radio(load("packet20"))


def test_a_radio_that_cannot_be_is_refused_before_anything_is_sent(tiny_models):
    from soundspring.link import Link

    for change, names in [({"rate": 2000.0}, "does not fit"), ({"cp": 65}, "cp"), ({"data_carriers": 62}, "carriers"),
                          ({"pilots": 3}, "pilots")]:
        with pytest.raises(ValueError, match=names):
            Link(changed(phy=PHY | change), tiny_models)
    assert isinstance(Link(changed(), tiny_models).profile, LinkProfile)


def test_a_wrong_value_is_named_with_its_file(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text("id: 1\nsuperframe: 5\ngroups: [3, 24]\npolicy: best\nwindow: 1\nschedule: [[0, 2, 4], [1, 3]]\n")
    with pytest.raises(ValueError, match="own.yaml: .*policy"):
        load(path)


def test_a_rung_of_what_is_no_ladder_is_refused():
    with pytest.raises(ValueError, match="reference is a profile of its own, no ladder"):
        load_ladder("reference").rung(2)
    with pytest.raises(ValueError, match="from 0 to 7"):
        load_ladder("wide").rung(8)
