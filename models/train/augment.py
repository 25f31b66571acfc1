# SPDX-License-Identifier: GPL-3.0-or-later
"""Other voices from those of the corpus, and what microphones add: their response, a room, noise, a narrower band.

The codec is to carry all of it as it is. Without other voices it learns those of the corpus by heart.
"""

import numpy as np
from scipy.signal import fftconvolve, resample

RATE = 16000
CHANCES = {"voice": 0.5, "inverted": 0.5, "response": 0.25, "room": 0.1, "noise": 0.15, "band": 0.1}  # of each segment
HIGHEST = 1.25  # and 1 / HIGHEST the lowest pitch and formants of other voices
GRID = 160  # samples: lengths that are multiples of it have quick Fourier transforms


def stretch(rng: np.random.Generator, samples: int) -> int:
    """How many samples of a voice are to become so many: as many, or for another voice up to HIGHEST times or part."""
    if rng.random() >= CHANCES["voice"]:
        return samples
    ratio = HIGHEST ** rng.uniform(-1, 1)
    return max(round(samples * ratio / GRID), 1) * GRID


def other_voice(x: np.ndarray, samples: int) -> np.ndarray:
    """x [N] played in the time of so many samples: pitch, formants and tempo change by one ratio, float32 [samples]."""
    return x if len(x) == samples else resample(x, samples).astype(np.float32)


def heard_through(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """x [N] through a microphone whose response wanders by some 4 dB from octave to octave."""
    f = np.maximum(np.fft.rfftfreq(len(x), 1 / RATE), 1.0)
    octaves = np.log2(f / 62.5)
    gain = np.interp(octaves, np.arange(8), 4.0 * rng.standard_normal(8))
    return np.fft.irfft(np.fft.rfft(x) * 10 ** (gain / 20), len(x)).astype(np.float32)


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
    """Speech float32 [N], half of it as it is but for its sign, else as other microphones and places would give it."""
    if rng.random() < CHANCES["inverted"]:
        x = -x
    changes = (("response", heard_through), ("room", reverberant), ("noise", noisy), ("band", narrower))
    for kind, change in changes:
        if rng.random() < CHANCES[kind]:
            x = change(x, rng)
    return x
