# SPDX-License-Identifier: GPL-3.0-or-later
"""Long-term postfilter: weakens what lies between the harmonics of a voice, where the quantiser's noise is heard most.

Every 5 ms the sound is averaged with itself one and two pitch periods before, the more the more periodic it is; after
Chen and Gersho, "Adaptive postfiltering for quality enhancement of coded speech", IEEE Trans. Speech Audio Process.
3(1), 1995. Nothing is sent for it: pitch and periodicity are those of the decoded sound, from windows that end where
the frame does, so that it adds no delay.
"""

import math
from dataclasses import dataclass

import numba
import numpy as np

PARTS = 4  # of a frame, each with a pitch of its own
SHORTEST, LONGEST = 32, 320  # samples of a period at 16 kHz: 500 to 50 Hz
WINDOW = 320  # samples in which the pitch is looked for, about the middle of the part
APERIODIC = 0.25  # correlation with the period before at which nothing is averaged
SECOND = 0.5  # weight of the second period before beside the first
LONGER = 0.001  # of the correlation, by which each sample more of a period counts less: not two periods for one
SIDE = 4  # samples on each side of a place between samples
PAST = 2 * LONGEST + 2 * SIDE  # samples before a frame that it needs

_reorder = {"reassoc", "contract", "nsz"}


@numba.njit(cache=True, nogil=True, fastmath=_reorder)
def _dot(x, i, j, n):
    total = np.float32(0.0)
    for k in range(n):
        total += x[i + k] * x[j + k]
    return total


@numba.njit(cache=True, nogil=True)
def _period(x, begin, end):
    """The period of x[begin:end] in samples, between them too, by the correlation with what was before; and that."""
    n = end - begin
    own = _dot(x, begin, begin, n) + 1e-9
    before = np.zeros(LONGEST + 2)
    energy = float(_dot(x, begin - SHORTEST + 2, begin - SHORTEST + 2, n))
    for lag in range(SHORTEST - 1, LONGEST + 2):
        energy += float(x[begin - lag]) ** 2 - float(x[end - lag]) ** 2
        before[lag] = _dot(x, begin, begin - lag, n) / math.sqrt(own * (max(energy, 0.0) + 1e-9))
    period, correlation, best = float(SHORTEST), 0.0, 0.0
    for lag in range(SHORTEST, LONGEST + 1):
        left, peak, right = before[lag - 1], before[lag], before[lag + 1]
        bend = left - 2 * peak + right
        if left > peak or right > peak or bend >= 0.0:
            continue
        shift = 0.5 * (left - right) / bend  # of the peak of a parabola
        peak -= 0.25 * (left - right) * shift
        score = peak * (1 - LONGER * (lag - SHORTEST))
        if score > best:
            period, correlation, best = lag + shift, peak, score
    return period, correlation


@numba.njit(cache=True, nogil=True)
def periods(x, hop, lags, weights):
    """Of each part of the frames x[b, PAST:] float32 [B, PAST + T * hop]: the period in samples to lags [B, T * PARTS],
    how periodic it is, 0 to 1, to weights [B, T * PARTS]."""
    part = hop // PARTS
    for b in range(len(x)):
        for i in range((x.shape[1] - PAST) // part):
            begin = PAST + i * part
            end = min(begin + (part + WINDOW) // 2, PAST + (i // PARTS + 1) * hop)
            lag, correlation = _period(x[b], end - WINDOW, end)
            lags[b, i] = lag
            weights[b, i] = min(max((correlation - APERIODIC) / (1 - APERIODIC), 0.0), 1.0)


@numba.njit(cache=True, nogil=True)
def taps(lag, row):
    """Weights of x[i - k], .. to see x at i - lag, to row [2 * SIDE] -> k."""
    k = math.floor(-lag)
    place, total = -lag - k, 0.0
    for j in range(2 * SIDE):
        u = place - (j - SIDE + 1)
        row[j] = (math.sin(math.pi * u) / (math.pi * u) if abs(u) > 1e-6 else 1.0) * (
            0.5 + 0.5 * math.cos(math.pi * u / (SIDE + 0.5)))
        total += row[j]
    row /= total
    return int(-k) + SIDE - 1


@numba.njit(cache=True, nogil=True)
def average(x, hop, lags, weights, out):
    """x [B, PAST + N] -> out [B, N], float32. lags, weights [B, 1 + N / hop * PARTS]: the period, and what its average
    weighs beside the sound itself, of the part before and then of each.

    From part to part the filter is faded from one to the next.
    """
    part = hop // PARTS
    first, second = np.empty((2, 2 * SIDE)), np.empty((2, 2 * SIDE))
    for b in range(len(x)):
        for i in range(out.shape[1] // part):
            for side in range(2):
                k1, k2 = taps(lags[b, i + side], first[side]), taps(2 * lags[b, i + side], second[side])
                share = weights[b, i + side] / (1 + weights[b, i + side])
                for n in range(i * part, (i + 1) * part):
                    fade = (n - i * part + 0.5) / part
                    fade = (fade if side else 1 - fade)
                    own = float(x[b, PAST + n])
                    if share > 0.0:
                        earlier = 0.0
                        for j in range(2 * SIDE):
                            earlier += first[side, j] * x[b, PAST + n - k1 + j]
                            earlier += SECOND * second[side, j] * x[b, PAST + n - k2 + j]
                        own += share * (earlier / (1 + SECOND) - own)
                    out[b, n] = fade * own + (out[b, n] if side else 0.0)


@dataclass(frozen=True)
class State:
    """What was before: sound [B, PAST]; period and weight of the last part, [B, 1] each."""

    past: np.ndarray
    lag: np.ndarray
    weight: np.ndarray

    @classmethod
    def initial(cls, batch: int = 1) -> "State":
        """Silence."""
        return cls(np.zeros((batch, PAST), np.float32), np.full((batch, 1), float(SHORTEST)), np.zeros((batch, 1)))


def postfilter(sound: np.ndarray, hop: int, strength: float | np.ndarray, state: State) -> tuple[np.ndarray, State]:
    """Sound float32 [B, T * hop] -> the same filtered, without delay; and the state for what follows.

    strength: what the periods before weigh beside the sound itself where it is wholly periodic: 0 (no filter) to 1,
    the same everywhere or for each frame [B, T].
    """
    if not sound.size or np.ndim(strength) == 0 and not strength:
        return sound, state
    x = np.concatenate([state.past, sound], 1)
    lags, weights = (np.empty((len(x), sound.shape[1] // hop * PARTS)) for _ in "12")
    periods(x, hop, lags, weights)
    weights *= np.repeat(strength, PARTS, axis=1) if np.ndim(strength) else strength
    lags, weights = np.concatenate([state.lag, lags], 1), np.concatenate([state.weight, weights], 1)
    out = np.empty_like(sound)
    average(x, hop, lags, weights, out)
    return out, State(x[:, -PAST:].copy(), lags[:, -1:].copy(), weights[:, -1:].copy())
