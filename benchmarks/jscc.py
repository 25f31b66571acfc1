#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The analog scheme beside the digital one at each SNR: the same speech, bursts of the same profile, the same channel.

Reference profile, the chains as plain functions, AWGN and flat Rayleigh fading of 10 Hz Doppler with the same seed for
both. SNR is the mean Es/N0 per active carrier during the burst. --quick leaves out every second one.
"""

import time

import numpy as np
from common import RATE, about, arguments, means, progress, score, show, speech, write
from link import DOPPLER_HZ, Listener
from link import point as digital_point
from soundspring import analog
from soundspring.channel.factory import make_channel
from soundspring.link import Link, Models, encode, modulate
from soundspring.profile import load

CHANNELS = {"awgn": (-5, -2, 0, 2, 5, 8, 12, 18, 25), "rayleigh": (0, 5, 10, 20)}


def analog_point(link, utterances, symbols: np.ndarray, samples: np.ndarray, name: str, snr_db: float, seed: int):
    """One channel at one SNR: what `benchmarks/link.py` says of the digital scheme, of this one."""
    channel = make_channel(name, rate=link.sample_rate, snr_db=snr_db, doppler_hz=DOPPLER_HZ,
                           oversampling=link.profile.phy.oversampling, seed=seed)
    found = analog.demodulate(link, channel.process(samples))
    lengths = [len(x) for _, x in utterances]
    sound = analog.decode(link, *analog.in_order(link, found, len(symbols)), sum(lengths))
    parts = np.split(sound, np.cumsum(lengths)[:-1])
    scores = [score(x, y) for (_, x), y in zip(utterances, parts, strict=True)]
    return {"snr_db": snr_db, "bursts_sent": len(symbols), "bursts_detected": len(found), **means(scores)}


def real_time_factors(link, whole: np.ndarray) -> dict:
    """CPU seconds for a second of sound, superframe by superframe, of the networks and of the modem around them."""
    size, tx, rx, t = link.profile.superframe_samples, link.encoder(), link.decoder(), time.process_time
    blocks = whole[: len(whole) // size * size].reshape(-1, size)[:50]
    tx.push(blocks[0]), rx.lost()
    begin = t()
    symbols = np.concatenate([tx.push(b) for b in blocks])
    encoded = t()
    samples = analog.modulate(link, symbols)
    modulated = t()
    found = analog.demodulate(link, samples)
    demodulated = t()
    for row in symbols:
        rx.push(row[None], np.full((1, symbols.shape[1]), 0.1, np.float32))
    ends, seconds = (begin, encoded, modulated, demodulated, t()), len(found) * size / RATE
    names = ("encoder", "modulator", "receiver", "decoder")
    return {n: round((b - a) / seconds, 4) for n, a, b in zip(names, ends, ends[1:], strict=False)}


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=22.5, length=2.5)
    link, digital = analog.AnalogLink(load("reference")), Link(load("reference"), Models())
    size = link.profile.superframe_samples
    utterances = [(v, x[: len(x) // size * size]) for v, x in speech(args)]
    whole = np.concatenate([x for _, x in utterances])
    sent = list(progress(encode(digital, whole), "encode", len(whole) // size + 1))
    symbols, listener = analog.encode(link, whole), Listener(digital, utterances)
    transmissions = modulate(digital, sent), analog.modulate(link, symbols)
    figures = {
        "about": about(args, utterances) | {"profile": link.profile.name, "doppler_hz": DOPPLER_HZ,
                                            "burst_samples": link.burst_samples, "symbols": int(symbols.shape[1])},
        "real_time_factor": real_time_factors(link, whole),
        "channels": {n: [] for n in CHANNELS},
    }
    for name, snrs in CHANNELS.items():
        for snr_db in progress(snrs[:: 1 + args.quick], name):
            point = {
                "jscc": analog_point(link, utterances, symbols, transmissions[1], name, snr_db, args.seed),
                "soundspring": digital_point(listener, sent, transmissions[0], name, snr_db, args.seed),
            }
            figures["channels"][name].append(point)
            print(f"{name:9} {snr_db:3} dB: " + ";  ".join(
                f"{scheme}: PESQ-WB {show(p['pesq_wb'])} STOI {show(p['stoi'], 3)} PLCMOS {show(p['plcmos'])}"
                for scheme, p in point.items()), flush=True)
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
