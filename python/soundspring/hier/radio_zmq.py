# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the air between processes or machines: gr-zeromq, with the clock that a radio would have."""

from gnuradio import gr, zeromq

from .radio_address import Address
from .radio_end import End, pace

TIMEOUT_MS = 50
LAST = 8  # messages at each end where the sender waits: its own are lost when it ends, so no more than silence
QUEUE = 1000  # messages at each end where it does not, 2 to 5 ms each: how late a receiver may be and miss nothing


def source(address: Address, rate: float) -> End:
    """Receive from the sender at the target, which need not be there yet."""
    o = address.options
    if o.get("pattern") == "push":
        block = _make(zeromq.pull_source, address, TIMEOUT_MS, False, LAST)
    else:
        block = _make(zeromq.sub_source, address, TIMEOUT_MS, False, QUEUE)
    return End([block], o.get("rate", rate), bounded=False)


def sink(address: Address, rate: float) -> End:
    """Send to whoever listens at the target, which is a place of this machine.

    Pattern pub: any number may listen and none is waited for; who is too slow misses samples, as on the air. Pattern
    push: one listens, without whom nothing moves, and none is lost.
    """
    o = address.options
    rate, paced = o.get("rate", rate), o.get("pace", True)
    if not paced and o.get("pattern") != "push":
        raise ValueError("radio: zmq: pace=no needs pattern=push, or most samples would be missed")
    if o.get("pattern") == "push":
        block = _make(zeromq.push_sink, address, TIMEOUT_MS, False, LAST)
    else:
        block = _make(zeromq.pub_sink, address, TIMEOUT_MS, False, QUEUE, "", True)
    return End([pace(rate), block] if paced else [block], rate, paced)


def _make(block, address: Address, *arguments):
    try:
        return block(gr.sizeof_gr_complex, 1, address.target, *arguments)
    except RuntimeError as error:
        taken = "already in use" in str(error)
        hint = "another program sends there: end it or take another port" if taken else (
            "addresses look like tcp://127.0.0.1:5555")
        raise OSError(f"radio: zmq: {address.target}: {error}; {hint}") from error
