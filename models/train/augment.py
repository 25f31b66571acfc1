# SPDX-License-Identifier: GPL-3.0-or-later
"""What a microphone adds to speech: a narrower band, a room, noise. The codec is to carry all of it as it is."""

import numpy as np
from scipy.signal import fftconvolve

RATE = 16000
CHANCES = {"band": 0.1, "room": 0.1, "noise": 0.15}  # of each segment


def narrower(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """x [N] without what is above 3.4 to 7 kHz, and in a third of cases below 80 to 300 Hz: telephones, old files."""
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    high = rng.uniform(3400, 7000)
    low = rng.uniform(80, 300) if rng.random() < 1 / 3 else 1.0
    gain = 1 / np.sqrt((1 + (f / high) ** 24) * (1 + (low / np.maximum(f, 1e-3)) ** 8))
    return np.fft.irfft(np.fft.rfft(x) * gain, len(x)).astype(np.float32)


def reverberant(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """x [N] in a room: noise that falls by 60 dB in 0.15 to 0.7 s, in all 3 to 18 dB below the sound itself."""
    decay = rng.uniform(0.15, 0.7)
    t = np.arange(int(decay * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * 10 ** (-3 * t / decay)
    tail[: int(0.002 * RATE)] = 0  # no wall is nearer than 35 cm
    tail *= 10 ** (-rng.uniform(3, 18) / 20) / np.sqrt(np.sum(tail * tail))
    tail[0] = 1.0
    return fftconvolve(x, tail)[: len(x)].astype(np.float32)


def noisy(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """x [N] with stationary noise 5 to 35 dB below it, its spectrum from white to falling with 9 dB an octave."""
    f = np.fft.rfftfreq(len(x), 1 / RATE)
    shape = np.maximum(f, 50.0) ** -rng.uniform(0, 1.5)
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(len(x))) * shape, len(x))
    level = 10 ** (-rng.uniform(5, 35) / 20) * np.sqrt(np.mean(x * x) / np.mean(noise * noise))
    return (x + level * noise).astype(np.float32)


def augment(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Speech float32 [N], most of the time as it is, else as other microphones, rooms and places would give it."""
    for kind, change in (("room", reverberant), ("noise", noisy), ("band", narrower)):
        if rng.random() < CHANCES[kind]:
            x = change(x, rng)
    return x
