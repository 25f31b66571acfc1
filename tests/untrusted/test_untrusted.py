# SPDX-License-Identifier: GPL-3.0-or-later
"""Whatever stands in a YAML file: a mapping, or one short sentence that names the file."""

import pytest
from soundspring import profile
from soundspring.untrusted import LIMIT, read_mapping, short

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12))


@pytest.mark.parametrize("text", ["!!float #", "!!float ''", "!!int ''", "!!bool x", "!!timestamp x", "2001-99-99", "{",
                                  "a: b: c", "[" * 20000, "\t", "? [a]\n: b", "!!python/object:os.system x", "x", "",
                                  "1" * 5000, "- 1", "a: " + "x" * LIMIT])
def test_what_is_no_mapping_is_said_in_short(tmp_path, text):
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(ValueError, match="^thing .*x.yaml") as error:
        read_mapping(tmp_path / "x.yaml", "thing")
    assert len(str(error.value)) < 1000


def test_bytes_that_are_no_text(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"a: \xff\xfe")
    with pytest.raises(ValueError, match="not YAML"):
        read_mapping(tmp_path / "x.yaml", "thing")
    with pytest.raises(FileNotFoundError):
        read_mapping(tmp_path / "absent.yaml", "thing")


@pytest.mark.parametrize("key", ["name", "groups", "phy", "policy", "copies", "id", "ladder", "other"])
def test_a_value_that_holds_itself_a_billion_times_is_not_written_out(tmp_path, key):
    """Nine to the thirteenth words by aliases: a message that wrote them would fill the memory."""
    (tmp_path / "x.yaml").write_text(f"{LAUGHS}{key}: *m\n")
    with pytest.raises(ValueError) as error:
        profile.load_ladder(tmp_path / "x.yaml")
    assert len(str(error.value)) < 1000


def test_short_is_short():
    loop = []
    loop.append(loop)
    for value in (loop, "x" * 10**6, list(range(10**5)), 10**5000, {n: n for n in range(1000)}):
        assert len(short(value)) < 400
    assert short([1, "a", None]) == "[1, 'a', None]" and short(-3.5) == "-3.5"
