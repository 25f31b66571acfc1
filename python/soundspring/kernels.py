# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the inner loops beforehand: `python -m gnuradio.soundspring.kernels`.

numba compiles a function when it is first called and keeps the result beside the source file, or in the user's cache
where that folder cannot be written. That takes up to a minute, which a flowgraph should not wait for.
"""

import numpy as np


def compile_kernels() -> None:
    """Call everything that is compiled once, with the types that a link uses; quick when that was done before."""
    from .audio.interpolate import BEFORE, TAPS, interpolate
    from .channel.factory import make_channel
    from .codec.correlate import Correlator
    from .codec.postfilter import State, postfilter
    from .coding import pmf
    from .coding.search import RateDistortionSearch
    from .fec.ldpc import LdpcCode
    from .lm import network
    from .modem import BurstModulator, BurstReceiver, Numerology
    from .product import linear, product

    code = LdpcCode(100, 300)
    code.decode(np.where(code.encode(np.zeros(100, np.uint8)), 5.0, -5.0).astype(np.float32))
    pmf.cumulative(np.zeros((1, 4)))
    book, nothing = np.zeros((1, 4, 3), np.float32), np.zeros((1, 0), np.int16)
    search = RateDistortionSearch(book, 1.0, 1).above(book[0, :1], nothing, nothing, 0)
    search(np.zeros(1, int), lambda *_: np.zeros((1, 4), np.float32)).best(1)
    Correlator(book)(book[0], 0)
    postfilter(np.zeros((1, 320), np.float32), 320, 0.5, State.initial())
    row, weights = np.ones((1, 3)), np.ones(3)
    product(row, linear(np.ones((3, 3))))
    network.gelu(network.layer_norm(row, weights, weights, 1e-5))
    network.attention(row, np.ones((1, 3)))
    network.gather(np.ones((1, 1, 3)), np.zeros((1, 1), np.int16), np.ones((1, 1), bool), 0, 1, row)
    modulator, header = BurstModulator(Numerology(), 48, 2), np.zeros(48, np.uint8)
    samples = modulator.modulate(header, np.ones(48, np.complex64))
    receiver = BurstReceiver(Numerology(), 48, lambda llr: 0, lambda _: 48, encode_header=lambda _: header)
    receiver.push(samples)
    receiver.flush()
    interpolate(np.zeros(TAPS + 1, np.float32), np.array([float(BEFORE)]))
    samples = np.ones(64, np.complex64)
    for name in ("rayleigh", "tdl-a"):
        make_channel(name, rate=1e6, snr_db=10.0, cfo_hz=10.0, clock_ppm=1.0, linewidth_hz=1.0).process(samples)


if __name__ == "__main__":
    compile_kernels()
