# SPDX-License-Identifier: GPL-3.0-or-later
"""`analog.run` as a flowgraph: the same arguments, the same result, made by the blocks."""

import numpy as np
from gnuradio import blocks, gr

from ..analog import SymbolLink, counted
from ..blocks.channel_model import channel_model
from ..link import LinkResult, Timer, superframes
from .engine import seen
from .symbol_ends import symbol_receiver, symbol_transmitter


def run(link: SymbolLink, audio: np.ndarray, channel, loss=None) -> LinkResult:
    """Send sound through a flowgraph; arguments and result as of `analog.run`. `rtf` counts CPU time of the blocks.

    Raises ValueError without a channel: analog symbols are no packets.
    """
    if channel is None:
        raise ValueError("channel: this scheme has no packets to send without one; choose a channel, or "
                         "the engine of plain functions")
    padded = superframes(audio, link.profile, link.delay)
    length = len(padded) * link.period
    top = gr.top_block("soundspring symbol link")
    source, sink = blocks.vector_source_f(padded.ravel()), blocks.vector_sink_f()
    head = blocks.head(gr.sizeof_float, len(audio))
    tx = symbol_transmitter(link)
    rx = symbol_receiver(link, 0, loss="none" if loss is None else loss)
    # Silence behind the last burst lets the receiver see that it is over.
    tail = rx.bursts.patience - link.period // 4
    silence, join = blocks.null_source(gr.sizeof_gr_complex), blocks.stream_mux(gr.sizeof_gr_complex, [length, tail])
    end, air = blocks.head(gr.sizeof_gr_complex, length + tail), channel_model.of(channel)
    symbols = blocks.message_debug()
    top.connect(source, tx, (join, 0))
    top.connect(silence, (join, 1))
    top.connect(join, end, air, rx, head, sink)
    top.msg_connect((rx, "symbols"), (symbols, "store"))
    top.run()
    points, snr = seen(symbols)
    counts = counted(link, rx.decoder.counts.status[: len(padded)], len(padded), len(snr))
    out = np.array(sink.data(), np.float32)[: len(audio)]
    sound = np.pad(out, (0, len(audio) - len(out)))
    return LinkResult(sound, counts, Timer(tx.cpu_s, rx.cpu_s), points, snr)
