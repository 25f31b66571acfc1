# SPDX-License-Identifier: GPL-3.0-or-later
"""A stand-in for the air between processes or machines: gr-zeromq, with the clock that a radio would have."""

from gnuradio import gr, zeromq

from .radio_address import Address
from .radio_end import End, pace

TIMEOUT_MS = 50
QUEUE = 50  # messages; a longer queue only adds delay


def source(address: Address, rate: float) -> End:
    """Receive from the sender at the target, which need not be there yet."""
    o = address.options
    make = zeromq.pull_source if o.get("pattern") == "push" else zeromq.sub_source
    block = _make(make, address, TIMEOUT_MS, False, QUEUE)
    return End([block], o.get("rate", rate))


def sink(address: Address, rate: float) -> End:
    """Send to whoever listens at the target, which is a place of this machine.

    Pattern pub: any number may listen, none is waited for, but one that listens slowly slows the sender (or misses
    samples, with drop). Pattern push: exactly one, without whom nothing moves.
    """
    o = address.options
    rate, paced = o.get("rate", rate), o.get("pace", True)
    if o.get("pattern") == "push":
        block = _make(zeromq.push_sink, address, TIMEOUT_MS, False, QUEUE)
    else:
        block = _make(zeromq.pub_sink, address, TIMEOUT_MS, False, QUEUE, "", o.get("drop", False))
    return End([pace(rate), block] if paced else [block], rate, paced)


def _make(block, address: Address, *arguments):
    try:
        return block(gr.sizeof_gr_complex, 1, address.target, *arguments)
    except RuntimeError as error:
        raise OSError(f"radio: zmq: {address.target}: {error}; addresses look like tcp://127.0.0.1:5555") from error
