# SPDX-License-Identifier: GPL-3.0-or-later
"""A changed bit stream must be noticed, and be a new version."""
import json

import numpy as np
import pytest
from coding_fakes import IntegerSource
from make_golden import PATH, vectors
from soundspring.coding.packet import VERSION
from soundspring.coding.transcode import Group, decode_group

WANT, GOT = json.loads(PATH.read_text()), vectors()


@pytest.mark.parametrize("part", sorted(WANT))
def test_stream_is_that_of_this_version(part):
    assert GOT[part] == WANT[part], f"the bit stream changed: raise VERSION from {VERSION}, then run make_golden.py"


def test_stored_payload_decodes():
    bits = np.array([int(b) for b in WANT["payloads"]["base"]], np.uint8)
    tokens, visible = np.zeros((10, 6), np.int16), np.zeros((10, 6), bool)
    i = np.arange(60)
    truth = ((i * 37 + i**2 * 11) % 1024).reshape(10, 6)
    tokens[:5, :2], visible[:5, :2] = truth[:5, :2], True
    result = decode_group(IntegerSource(), bits, tokens, visible, Group(0, (0, 2)), offset=5, sequence=300)
    assert result.status == "ok"
    np.testing.assert_array_equal(result.tokens, truth[5:, :2])


def test_documented_table_is_the_one_used():
    page = (PATH.parents[2] / "docs" / "wire-format.md").read_text()
    assert [int(x) for x in page.split("```")[1].split()] == WANT["exp_table"]
