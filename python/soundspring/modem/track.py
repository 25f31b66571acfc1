# SPDX-License-Identifier: GPL-3.0-or-later
"""What the channel does from symbol to symbol, beside the drift of carrier and clock."""

from functools import lru_cache

import numpy as np

from .burst import PREAMBLE_SYMBOLS

# What the smoother weighs: Doppler frequencies in cycles per symbol, and random walks' variances per symbol.
DOPPLERS = tuple(0.032 * 2.0 ** -np.arange(7))
WALKS = tuple(np.logspace(-6, -1, 6))
LEAST = 1e-9  # power of a change, the channel's being 1, that is not worth a row
SPAN = 96  # most points in time that are smoothed


@lru_cache(maxsize=32)
def processes(n: int, known: int = 0, noise: float = 1.0) -> tuple:
    """How changes over n symbols are smoothed: symbols in a group; middle of each group [g]; amplitude of the noise in
    each [g]; of the eigenvectors of a change's covariance over the noise's amplitude, under each of `count` processes,
    all that matter: the process [rows], the eigenvalue [rows], the vector [rows, g], that transposed and its square [g,
    rows]; count; and as `trend` has it [count], [count, n], [count, n].

    For each process (fading at some Doppler frequency, a random walk at some speed) the smoother is a Wiener filter,
    and how likely the process is follows from what was measured; the filters are averaged by that. Of bursts longer
    than SPAN symbols it is means over several symbols that are smoothed, so that the cost stays linear.

    The change is that since a reference, which knows the mean over its own symbols: the first `known` of these n, which
    are known on all carriers and therefore see the change with `noise` times the noise's variance, or else the
    preamble. With R the correlation over time and bars for that mean, the covariance is
    R(t - t') - R(t - .) - R(. - t') + R(. - .). A Rayleigh channel's R is J0 (Clarke's model); a random walk's is minus
    half its variogram, which serves here as well.
    """
    group = -(-n // SPAN)
    first = np.arange(0, n, group)
    ends = np.append(first[1:], n)
    t = (first + ends - 1) / 2
    amplitude = np.sqrt(np.add.reduceat(np.where(np.arange(n) < known, noise, 1.0), first) / (ends - first))
    reference = np.arange(known) if known else np.arange(-PREAMBLE_SYMBOLS, 0)
    times = np.concatenate([reference, t])
    lag = np.abs(times[:, None] - times)
    owners, values, vectors = [], [], []
    for c, r in enumerate(_correlations(lag)):
        mean = r[: len(reference)].mean(axis=0)
        r = r - mean - mean[:, None] + mean[: len(reference)].mean()
        r = r[len(reference) :, len(reference) :]
        value, vector = np.linalg.eigh(r / np.outer(amplitude, amplitude))
        kept = value > LEAST
        owners += [c] * int(kept.sum())
        values.append(value[kept])
        vectors.append(vector.T[kept])
    basis = np.concatenate(vectors)
    back = np.ascontiguousarray(basis.T)
    rows = np.array(owners), np.concatenate(values), basis, back, back * back
    return group, t, amplitude, *rows, len(DOPPLERS) + len(WALKS), *trend(n, known)


def trend(n: int, known: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the change from the preamble's mean to that of the first `known` symbols says of the changes since: for each
    process its variance [c], its covariance with the change at each of n symbols [c, n], and the variance of the
    latter [c, n]; all zero if there is none known."""
    if not known:
        count = len(DOPPLERS) + len(WALKS)
        return np.zeros(count), np.zeros((count, n)), np.zeros((count, n))
    header, before, t = np.arange(known), np.arange(-PREAMBLE_SYMBOLS, 0), np.arange(n)
    to_header, to_before = _means(t, header), _means(t, before)
    within, between = (x[:, :known].mean(axis=1, keepdims=True) for x in (to_header, to_before))
    variance = within - 2 * between + _means(before, before).mean(axis=1, keepdims=True)
    covariance = to_header - to_before - within + between
    covariance[len(DOPPLERS) :] = 0  # a walk does not go on; and what clipping does to a burst looks like one
    own = _correlations(np.zeros((1, 1)))[:, 0]
    return variance[:, 0], covariance, own - 2 * to_header + within


def _means(t: np.ndarray, over: np.ndarray) -> np.ndarray:
    """R between each of the times t [n] and the mean over others, [c, n]."""
    return _correlations(np.abs(t[:, None] - over)).mean(axis=2)


def _correlations(lag: np.ndarray) -> np.ndarray:
    """R of each process at each of these lags [n, m], in symbols, not negative; [c, n, m]."""
    angle = 2 * np.pi * np.sin(np.pi * (np.arange(16) + 0.5) / 32)
    fading = [np.cos(f * lag[:, :, None] * angle).mean(axis=2) for f in DOPPLERS]
    return np.array(fading + [-w * lag / 2 for w in WALKS])
