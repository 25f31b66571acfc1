# SPDX-License-Identifier: GPL-3.0-or-later
"""How the tests of blocks feed PDUs in and get them back. Skips the tests where GNU Radio is missing."""

import time

import numpy as np
import pytest

pytest.importorskip("gnuradio.gr")
import pmt  # noqa: E402
from gnuradio import blocks, gr  # noqa: E402

DONE = pmt.cons(pmt.intern("done"), pmt.from_long(1))


def pdu(data: np.ndarray, **entries) -> pmt.pmt_base:
    """A PDU of a numpy vector with our entries in its dictionary."""
    meta = pmt.make_dict()
    for name, value in entries.items():
        meta = pmt.dict_add(meta, pmt.intern(f"soundspring_{name}"), pmt.to_pmt(value))
    return pmt.cons(meta, pmt.to_pmt(data))


def opened(message: pmt.pmt_base) -> tuple[dict, np.ndarray]:
    """The dictionary, without our prefix, and the vector of a PDU."""
    entries = pmt.to_python(pmt.car(message)) or {}
    return {key.removeprefix("soundspring_"): value for key, value in entries.items()}, pmt.to_python(pmt.cdr(message))


def wait_for(condition, seconds: float = 120) -> None:
    """Wait until `condition()`; the assertion fails if it takes too long."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    assert condition()


def stored(debug: blocks.message_debug) -> list[tuple[dict, np.ndarray]]:
    """The PDUs that a message_debug got, opened; clocks left out."""
    everything = [opened(debug.get_message(i)) for i in range(debug.num_messages())]
    return [(meta, data) for meta, data in everything if "due" not in meta]


def clocks(debug: blocks.message_debug) -> list[int]:
    """The numbers in the clock PDUs that a message_debug got."""
    everything = [opened(debug.get_message(i)) for i in range(debug.num_messages())]
    return [meta["due"] for meta, _ in everything if "due" in meta]


def post(block, messages: list[pmt.pmt_base], done: bool = True) -> None:
    """Put messages into a block's queue and, where `done`, say that these were all."""
    for message in messages:
        block.to_basic_block()._post(pmt.intern("pdus"), message)
    if done:
        block.to_basic_block()._post(pmt.intern("system"), DONE)


def through(block, messages: list[pmt.pmt_base]) -> list[tuple[dict, np.ndarray]]:
    """Send messages through a block with PDU ports; what comes out, opened."""
    top, debug = gr.top_block(), blocks.message_debug()
    top.msg_connect((block, "pdus"), (debug, "store"))
    post(block, messages)
    top.run()
    return stored(debug)
