# SPDX-License-Identifier: GPL-3.0-or-later
"""SigMF recordings in the place of a radio, and beside one."""

from pathlib import Path

from gnuradio import blocks, gr

from . import sigmf
from .radio_address import Address
from .radio_end import End, pace

TRANSMIT_LEVEL = -12.0  # room for the peaks of OFDM below full scale
SILENCE_S = 0.25  # behind a recording, so that its last burst comes out


class _Followed(gr.hier_block2):
    """A stream of `count` complex samples, and silence behind it."""

    def __init__(self, count: int, silence: int):
        one = gr.io_signature(1, 1, gr.sizeof_gr_complex)
        gr.hier_block2.__init__(self, "SoundSpring silence behind", one, one)
        self._parts = (blocks.null_source(gr.sizeof_gr_complex),
                       blocks.stream_mux(gr.sizeof_gr_complex, [count, silence]),
                       blocks.head(gr.sizeof_gr_complex, count + silence))
        null, join, end = self._parts
        self.connect(self, (join, 0))
        self.connect(null, (join, 1))
        self.connect(join, end, self)


def source(address: Address, rate: float) -> End:
    """Play a recording: as fast as it is taken, or at its own pace; once or for ever."""
    o, recording = address.options, sigmf.read(address.target)
    if not recording.samples:
        raise ValueError(f"{recording.data}: holds no samples")
    repeat, paced = o.get("repeat", False), o.get("pace", False)
    if recording.format == "cf32_le":
        chain = [blocks.file_source(gr.sizeof_gr_complex, str(recording.data), repeat)]
    else:
        full = sigmf.FORMATS[recording.format][1]
        chain = [blocks.file_source(2 * gr.sizeof_short, str(recording.data), repeat),
                 blocks.interleaved_short_to_complex(True, False, full)]
    if not repeat:
        chain.append(_Followed(recording.samples, int(SILENCE_S * recording.rate) + 1))
    chain += [pace(recording.rate)] if paced else []
    count = None if repeat else recording.samples
    return End(chain, recording.rate, paced, count=count, bounded=recording.format == "ci16_le")


def sink(address: Address, rate: float) -> End:
    """Write a recording, as fast as its samples come."""
    o = address.options
    rate = o.get("rate", rate)
    chain, close = recorder(address.target, rate, o.get("frequency"), o.get("format", "ci16_le"))
    return End(chain, rate, False, TRANSMIT_LEVEL, close)


def recorder(path: str | Path, rate: float, frequency: float | None = None, form: str = "ci16_le"):
    """Blocks that write a recording of complex samples (ci16_le: within +-1), and what closes it.

    Raises ValueError on a wrong name or format; OSError when the files cannot be written.
    """
    recording = sigmf.write(path, form, rate, frequency, "Speech by gr-soundspring")
    recording.data.write_bytes(b"")  # says why, where gr's file_sink would not
    whole = form == "ci16_le"
    file = blocks.file_sink(2 * gr.sizeof_short if whole else gr.sizeof_gr_complex, str(recording.data))
    convert = [blocks.complex_to_interleaved_short(True, sigmf.FORMATS[form][1])] if whole else []
    return [*convert, file], file.close
