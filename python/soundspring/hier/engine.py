# SPDX-License-Identifier: GPL-3.0-or-later
"""`link.run` as a flowgraph: the same arguments, the same result, made by the blocks."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pmt
from gnuradio import blocks, gr

from ..blocks.channel_model import channel_model
from ..blocks.codec_decoder import codec_decoder
from ..blocks.codec_encoder import codec_encoder
from ..blocks.concealer import concealer
from ..blocks.entropy_decoder import entropy_decoder
from ..blocks.entropy_encoder import entropy_encoder
from ..blocks.packet_loss import packet_loss
from ..blocks.packet_opener import packet_opener
from ..blocks.packet_sealer import packet_sealer
from ..blocks.pdu import due_of, entry
from ..link import Counts, Link, LinkResult, Timer, superframes
from .receiver import receiver
from .transmitter import transmitter


def run(
    link: Link, audio: np.ndarray, channel=None, loss=None, switches: Mapping[int, int] | None = None
) -> LinkResult:
    """Send sound through a flowgraph; arguments and result as of `link.run`. `rtf` counts CPU time of the blocks."""
    padded = superframes(audio, link.profile)
    top = gr.top_block("soundspring link")
    source = blocks.vector_source_f(padded.ravel())
    head, sink = blocks.head(gr.sizeof_float, len(audio)), blocks.vector_sink_f()
    loss = "none" if loss is None else loss
    # Every block is held by a name until the run is over: GNU Radio itself keeps no reference to Python blocks.
    if channel is None:
        parts = _packets_only(top, link, source, head, len(padded), loss)
    else:
        parts = _over_the_air(top, link, source, head, len(padded), channel, loss)
    for first, rung in (switches or {}).items():
        parts["encoder"].switch(rung, first)
    top.connect(head, sink)
    top.run()
    sent, received, hidden, symbols = parts["encoder"], parts["decoder"], parts["concealer"], parts.get("symbols")
    counts = Counts(
        bursts_sent=len(padded) if channel is not None else 0,
        packets_sent=sent.counts.packets_sent,
        copy_bits=sent.counts.copy_bits,
        model_bits=sent.counts.model_bits,
        packets_refused=sum(n for kind, n in parts["refused"].items() if kind != "joining"),
        payload_bits=sent.counts.payload_bits,
        frames_concealed=hidden.frames_concealed,
    )
    for status in received.counts.status[: len(padded)]:
        counts.note(status)
    points, snr = seen(symbols)
    counts.bursts_detected = len(snr)
    sound = np.zeros(len(audio), np.float32)
    out = np.array(sink.data(), np.float32)[: len(sound)]
    sound[: len(out)] = out
    timer = Timer(sum(b.cpu_s for b in parts["tx"]), sum(b.cpu_s for b in parts["rx"]))
    return LinkResult(sound, counts, timer, points, snr)


def _packets_only(top, link: Link, source, head, count: int, loss) -> dict:
    """Codec and coder with nothing but packet loss between."""
    p = link.profile
    sealers, openers = ([packet_sealer(p)], [packet_opener(p)]) if p.security else ([], [])
    tx = [codec_encoder(p, quantise=False), entropy_encoder(p), *sealers]
    decoder, hider = entropy_decoder(p, 0), concealer(p)
    rx = [packet_loss(loss, 0, p.packets), *openers, decoder, hider, codec_decoder(p)]
    decoder.end = count
    top.connect(source, tx[0])
    for one, other in pairwise([*tx, *rx]):
        top.msg_connect((one, "pdus"), (other, "pdus"))
    top.connect(rx[-1], head)
    return {"tx": tx, "rx": rx, "encoder": tx[1], "decoder": decoder, "concealer": hider,
            "refused": openers[0].refused if openers else {}}


def _over_the_air(top, link: Link, source, head, count: int, channel, loss) -> dict:
    """Transmitter, channel, receiver. Silence behind the last burst lets the receiver see that it is over."""
    tx, rx = transmitter(link.ladder), receiver(link.ladder, 0, loss=loss)
    tail = rx.bursts.patience - link.period // 4
    length = count * link.period
    silence, join = blocks.null_source(gr.sizeof_gr_complex), blocks.stream_mux(gr.sizeof_gr_complex, [length, tail])
    end, air = blocks.head(gr.sizeof_gr_complex, length + tail), channel_model.of(channel)
    symbols = blocks.message_debug()
    top.connect(source, tx, (join, 0))
    top.connect(silence, (join, 1))
    top.connect(join, end, air, rx, head)
    top.msg_connect((rx, "symbols"), (symbols, "store"))
    held = [silence, join, end, air]
    return {"tx": [tx], "rx": [rx], "encoder": tx.entropy, "decoder": rx.entropy, "concealer": rx.concealer,
            "refused": rx.refused, "symbols": symbols, "held": held}


def seen(debug) -> tuple[np.ndarray, list[float]]:
    """Equalised symbols of all bursts, and each burst's SNR in dB."""
    symbols, snr = [np.zeros(0, np.complex64)], []
    for i in range(debug.num_messages() if debug else 0):
        message = debug.get_message(i)
        if due_of(message) is None:
            symbols.append(np.array(pmt.to_python(pmt.cdr(message)), np.complex64))
            if entry(pmt.car(message), "group") == 0:
                snr.append(float(entry(pmt.car(message), "snr_db")))
    return np.concatenate(symbols), snr
