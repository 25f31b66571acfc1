# SPDX-License-Identifier: GPL-3.0-or-later
"""The rate controller says what `RateControl` says, of every burst once, and misses those that did not come."""

import numpy as np
import pmt
import pytest
from flowgraphs import pdu, post
from gnuradio import blocks, gr
from soundspring.blocks.pdu import clock
from soundspring.blocks.rate_controller import rate_controller
from soundspring.profile import load_ladder
from soundspring.rate_control import RateControl

SYMBOLS = np.ones(3, np.complex64)


def rungs(block, messages):
    """What comes out at the port `rung`."""
    top, debug = gr.top_block(), blocks.message_debug()
    top.msg_connect((block, "rung"), (debug, "store"))
    post(block, messages)
    top.run()
    return [pmt.to_long(debug.get_message(i)) for i in range(debug.num_messages())]


def burst(sequence, snr_db):
    return [pdu(SYMBOLS, sequence=sequence, group=g, snr_db=snr_db) for g in (0, 1)]


def test_changes_are_those_of_the_class():
    rng = np.random.default_rng(8)
    snrs = 8 + 9 * np.sin(np.arange(200) / 15) + rng.normal(0, 0.4, 200)
    control, wanted = RateControl(load_ladder("wide"), 1.0, 0.5, 3), []
    for snr in snrs:
        before = control.rung
        if control.push(float(snr)) != before:
            wanted.append(control.rung)
    block = rate_controller("wide", 1.0, 0.5, 3)
    got = rungs(block, [m for i, snr in enumerate(snrs) for m in burst(i, float(snr))])
    assert got == wanted and len(wanted) > 10 and block.control.rung == control.rung


def test_bursts_that_are_overdue_cost_a_rung_each():
    block = rate_controller(patience=1)
    messages = [*burst(7, 40.0), clock(8), clock(10), *burst(11, -20.0), clock(11), clock(12)]
    assert rungs(block, messages) == [7, 6, 5, 0] and block.dropped == 0
    assert rungs(rate_controller(patience=1), [clock(50), *burst(60, 40.0), clock(1 << 30)]) == [7, 6, 5, 4, 3, 2, 1, 0]


def test_what_does_not_tell_its_snr_is_dropped():
    block = rate_controller()
    assert rungs(block, [pdu(SYMBOLS), pdu(SYMBOLS, snr_db=3.0), pdu(SYMBOLS, sequence=3), pmt.PMT_T]) == []
    assert block.dropped == 4


@pytest.mark.parametrize(("change", "name"), [({"profile": "chained"}, "threshold_db"), ({"patience": 0}, "patience"),
                                              ({"profile": "none"}, "profile"), ({"rung": 8}, "rung")])
def test_wrong_parameters_are_named(change, name):
    with pytest.raises(ValueError, match=name):
        rate_controller(**change)
