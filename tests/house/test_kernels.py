# SPDX-License-Identifier: GPL-3.0-or-later
"""The warm-up compiles all that a link will call, so that nothing stalls later."""

from importlib import import_module

import numpy as np
from soundspring import profile
from soundspring.audio.follower import Follower
from soundspring.channel.factory import CHANNELS, make_channel
from soundspring.fec.ldpc import LdpcCode
from soundspring.kernels import compile_kernels
from soundspring.link import Link, decode, encode

MODULES = (
    "soundspring.audio.interpolate",
    "soundspring.fec.back_substitution",
    "soundspring.fec.min_sum",
    "soundspring.channel._kernels",
    "soundspring.coding.pmf",
    "soundspring.coding.search",
    "soundspring.lm.network",
    "soundspring.product",
    "soundspring.modem._kernels",
)


def compiled():
    """Each compiled function with the types it is compiled for."""
    found = {}
    for module in map(import_module, MODULES):
        for name, value in vars(module).items():
            if hasattr(value, "signatures") and hasattr(value, "py_func"):
                found[module.__name__, name] = list(map(str, value.signatures))
    return found


def test_after_the_warm_up_nothing_is_left_to_compile(tiny_models):
    compile_kernels()
    before = compiled()
    assert sum(map(bool, before.values())) > 10  # those called by others alone show nothing when numba has them cached
    for packet in profile.load("reference").phy.packets:
        code = LdpcCode(packet.payload_bits, packet.code_bits, packet.bits_per_symbol)
        code.decode(1.0 - 2.0 * code.encode(np.zeros((2, code.k), np.uint8)[0]))
    for name in ("reference", "packet20", "chained"):
        link = Link(profile.load(name), tiny_models)
        frames = encode(link, np.zeros(9600, np.float32))
        decode(link, frames, 9600)
    follower = Follower(0)
    follower.push(np.zeros(4000, np.float32))
    follower.pull(3000)
    for name in CHANNELS:
        snr = None if name == "none" else 3.0
        make_channel(name, rate=2e6, snr_db=snr, oversampling=2, cfo_hz=99.0, clock_ppm=-7.0, linewidth_hz=2.0).process(
            np.ones(500, np.complex64))
    assert compiled() == before
