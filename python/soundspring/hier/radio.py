# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios by address: the same two blocks for boards, recordings and whatever stands in for them."""

from fractions import Fraction
from importlib import import_module
from itertools import pairwise

from gnuradio import blocks, filter, gr

from ..blocks.channel_model import channel_model
from .radio_address import CHANNEL_OPTIONS, Address, parse
from .radio_end import End

GATHER_S = 0.005
LARGEST_FACTOR = 200  # of a rational resampler; beyond, an arbitrary one
_COMPLEX = gr.io_signature(1, 1, gr.sizeof_gr_complex)
_NOTHING = gr.io_signature(0, 0, 0)


def resampler(ratio: float) -> list[gr.basic_block]:
    """The in-tree block that makes `ratio` samples out of one, if one is needed."""
    fraction = Fraction(ratio).limit_denominator(LARGEST_FACTOR)
    if not abs(float(fraction) / ratio - 1) < 1e-9:
        return [filter.pfb.arb_resampler_ccf(ratio)]
    if fraction == 1:
        return []
    return [filter.rational_resampler_ccc(fraction.numerator, fraction.denominator)]


def _gain(level_db: float) -> list[gr.basic_block]:
    return [blocks.multiply_const_cc(10 ** (level_db / 20))] if level_db else []


def _gather(count: int) -> gr.basic_block:
    """Hand samples on in pieces of `count`, or more: each call of a block written in Python costs the same.

    Less than a piece stays inside when a stream ends, so it is not for recordings.
    """
    copy = blocks.copy(gr.sizeof_gr_complex)
    copy.set_output_multiple(max(count, 1))
    return copy


class _radio(gr.hier_block2):
    """What source and sink share. `end` is None until the radio is made."""

    def _make(self, text: str, direction: str, rate: float) -> tuple[Address, End]:
        if not rate > 0:
            raise ValueError(f"rate: expected samples per second above 0, got {rate}")
        address = parse(text, direction)
        driver = import_module(f".radio_{address.kind}", __package__)
        return address, getattr(driver, direction)(address, rate)

    def _row(self, *points) -> None:
        """Connect blocks and this block's own side in a row, and hold them: GNU Radio holds none of Python's."""
        self._blocks = [point for point in points if point is not self]
        for one, other in pairwise(points):
            self.connect(one, other)

    def close(self) -> None:
        """To be called when the flowgraph has ended: completes a recording."""
        self.end.close()


class radio_sink(_radio):
    """Sends a complex stream, which must never pause, by the radio of an address.

    Args:
        address: as in docs/radios.md: pluto:URI, usrp:ARGUMENTS, zmq:ADDRESS, file:X.sigmf-meta or loopback:NAME, with
            options behind commas. Boards must be told frequency and power.
        rate: samples per second of the stream; resampled where the radio runs at another.

    Attributes:
        end: what was made of the address: `end.rate` is the radio's own, `end.paced` says if it keeps time.

    Raises:
        ValueError: the address is wrong or misses something. OSError: nothing answers there.
    """

    def __init__(self, address: str = "loopback", rate: float = 2e6):
        gr.hier_block2.__init__(self, "SoundSpring radio sink", _COMPLEX, _NOTHING)
        self.address, self.end = self._make(address, "sink", rate)
        level = self.address.options.get("level", self.end.level)
        self._row(self, *resampler(self.end.rate / rate), *_gain(level), *self.end.chain)


class radio_source(_radio):
    """A complex stream from the radio of an address.

    Args:
        address: as of `radio_sink`. zmq, file and loopback take options of a simulated channel too: channel, snr (mean
            Es/N0 per active carrier in dB), cfo (Hz), clock_ppm, doppler (Hz), seed.
        rate: samples per second wanted; resampled where the radio runs at another.
        oversampling: `rate` over the critical rate of the signal, for the noise of the simulated channel.

    Attributes:
        end: what was made of the address: `end.rate` is the radio's own, `end.paced` says if it keeps time.

    Raises:
        ValueError: the address is wrong or misses something. OSError: nothing answers there.
    """

    def __init__(self, address: str = "loopback", rate: float = 2e6, oversampling: float = 2.0):
        gr.hier_block2.__init__(self, "SoundSpring radio source", _NOTHING, _COMPLEX)
        self.address, self.end = self._make(address, "source", rate)
        options = self.address.options
        chain = [*self.end.chain, *_gain(options.get("level", 0.0)), *resampler(rate / self.end.rate)]
        if CHANNEL_OPTIONS & set(options):
            chain.append(_channel(options, rate, oversampling))
        if self.end.count is None:
            chain.append(_gather(int(GATHER_S * rate)))
        self._row(*chain, self)

    @property
    def bounded(self) -> bool:
        """Whether I and Q lie within +-1, so that 16 bits hold them."""
        options = self.address.options
        return self.end.bounded and not options.get("level", 0.0) > 0 and not CHANNEL_OPTIONS & set(options)

    @property
    def samples(self) -> int:
        """Samples that the radio has given so far, at its own rate."""
        return self.end.chain[0].nitems_written(0)


def _channel(options: dict, rate: float, oversampling: float) -> channel_model:
    snr = options.get("snr")
    return channel_model(
        options.get("channel", "none" if snr is None else "awgn"),
        rate,
        snr,
        oversampling,
        options.get("doppler", 10.0),
        cfo_hz=options.get("cfo", 0.0),
        clock_ppm=options.get("clock_ppm", 0.0),
        seed=options.get("seed", 0),
    )
