# SPDX-License-Identifier: GPL-3.0-or-later
"""What every kind of radio makes of its address: one end, to be put behind a resampler."""

from collections.abc import Callable
from dataclasses import dataclass

from gnuradio import blocks, gr

TICK_S = 0.005  # a paced stream moves in pieces of this length


@dataclass(frozen=True)
class End:
    """The blocks of one end of a radio.

    chain: in the order of the stream. rate: samples per second that it really runs at. paced: it takes or gives its
    samples by a clock. level: dB by which a signal of unit power is raised before it is sent. close: to be called when
    the flowgraph has ended. count: samples that the first block will give in all, where that is known.
    gain: the receive gain where it is to be measured. bounded: I and Q lie within +-1, as those of a converter.
    sensors: reads what the radio says of itself, while it runs; ImportError or OSError where that cannot be had.
    """

    chain: list
    rate: float
    paced: bool = True
    level: float = 0.0
    close: Callable[[], None] = lambda: None
    count: int | None = None
    gain: "Gain | None" = None
    bounded: bool = True
    sensors: Callable[[], dict[str, float | bool | str]] | None = None


@dataclass(frozen=True)
class Gain:
    """A receive gain that can be set while the radio runs: its range in dB and what sets it."""

    least: float
    most: float
    set: Callable[[float], None]


def pace(rate: float) -> gr.basic_block:
    """Complex samples at `rate`, no faster."""
    throttle = blocks.throttle(gr.sizeof_gr_complex, rate)
    throttle.set_max_noutput_items(max(int(rate * TICK_S), 1))
    return throttle
