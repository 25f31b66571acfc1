# SPDX-License-Identifier: GPL-3.0-or-later
"""The inner loops of the receiver, compiled: a burst is short, and numpy would spend its time on starting them."""

import math

import numba
import numpy as np

EXACT = 32  # after so many steps a phasor is computed anew, so that rounding does not add up


@numba.njit(cache=True)
def rotate(x, phase, step):
    """x exp(j (phase + step n)), complex64 [n], for x complex64 [n]; radians."""
    y = np.empty_like(x)
    turn = complex(math.cos(step), math.sin(step))
    for first in range(0, x.size, EXACT):
        at = phase + step * first
        now = complex(math.cos(at), math.sin(at))
        for n in range(first, min(first + EXACT, x.size)):
            y[n] = x[n] * np.complex64(now)
            now *= turn
    return y


@numba.njit(cache=True)
def cut(x, spacing, count, size, phase, step):
    """Rows [count, size] of x exp(j (phase + step n)), each `spacing` samples after the one before; complex64."""
    rows = np.empty((count, size), np.complex64)
    for i in range(count):
        rows[i] = rotate(x[i * spacing : i * spacing + size], phase + step * i * spacing, step)
    return rows


@numba.njit(cache=True)
def widest_energy(spectrum, width):
    """Where several paths add up: for spectra complex64 [lags, bins] the greatest energy of `width` neighbouring lags.

    Returns (greatest [bins], energy of each lag summed over all bins [lags]).
    """
    lags, bins = spectrum.shape
    energy = np.empty((lags, bins), np.float32)
    running, best, total = np.zeros(bins), np.zeros(bins), np.zeros(lags)
    for i in range(lags):
        for b in range(bins):
            value = spectrum[i, b]
            energy[i, b] = value.real * value.real + value.imag * value.imag
        total[i] = energy[i].sum()
        for b in range(bins):
            running[b] += energy[i, b] - (energy[i - width, b] if i >= width else np.float32(0))
            best[b] = max(best[b], running[b])
    return best, total


@numba.njit(cache=True)
def gauss_newton(z, by_carrier, carriers, t, span, drift, prior, precision):
    """Maximum a posteriori (a, b, c, d) of the phase a + b t + c k + d k t, the span doubled until it is all of z.

    z complex128 [n, pilots]; by_carrier [2, 2] is the information on (a, c) of one symbol; carriers [pilots] are the
    values of k, t [n] those of t; prior [4] inverse variances; precision: 2 / noise variance.
    """
    count = z.shape[1]
    while True:
        span = min(span, len(t))
        times = np.array([[float(span), t[:span].sum()], [0.0, (t[:span] ** 2).sum()]])
        times[1, 0] = times[0, 1]
        information = np.diag(prior)
        for i in range(4):
            for j in range(4):
                information[i, j] += by_carrier[i // 2, j // 2] * times[i % 2, j % 2]
        for _ in range(2):
            slope = -prior * drift
            for i in range(span):
                for p in range(count):
                    k = carriers[p]
                    phase = drift[0] + drift[1] * t[i] + (drift[2] + drift[3] * t[i]) * k
                    error = precision * (z[i, p].imag * math.cos(phase) - z[i, p].real * math.sin(phase))
                    slope[0] += error
                    slope[1] += error * t[i]
                    slope[2] += error * k
                    slope[3] += error * k * t[i]
            drift = drift + np.linalg.solve(information, slope)
        if span == len(t):
            return drift
        span *= 2


@numba.njit(cache=True)
def turn_back(received, drift, k, t):
    """received [n, carriers] without the phase of this drift, complex64."""
    y = np.empty_like(received)
    for i in range(len(t)):
        common, ramp = -(drift[0] + drift[1] * t[i]), -(drift[2] + drift[3] * t[i])
        turn = complex(math.cos(ramp), math.sin(ramp))
        now = complex(0)
        for j in range(len(k)):
            if j == 0 or k[j] != k[j - 1] + 1:
                phase = common + ramp * k[j]
                now = complex(math.cos(phase), math.sin(phase))
            y[i, j] = received[i, j] * np.complex64(now)
            now *= turn
    return y


@numba.njit(cache=True)
def weigh(parts, values, share, noise):
    """Scale the parts of a change by the Wiener filters of all processes, each weighted by how likely it is.

    parts [processes, n, 2 m], real and imaginary parts side by side, are scaled in place; values [processes, n]:
    variances under each process per unit of share [m]. Returns the variance of the error, summed over n, [m].
    """
    processes, n, m = len(values), values.shape[1], len(share)
    rest = np.empty((processes, n, m))
    likelihood = np.zeros(processes)
    for c in range(processes):
        for i in range(n):
            product = 1.0
            for j in range(m):
                r = 1 / (1 + values[c, i] * share[j] / noise)
                power = (parts[c, i, 2 * j] ** 2 + parts[c, i, 2 * j + 1] ** 2) / noise
                rest[c, i, j] = r
                product *= r
                likelihood[c] -= power * r
            likelihood[c] += math.log(max(product, 1e-300))
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    variance = np.zeros(m)
    for c in range(processes):
        for i in range(n):
            for j in range(m):
                keep = weight[c] * (1 - rest[c, i, j])
                parts[c, i, 2 * j] *= keep
                parts[c, i, 2 * j + 1] *= keep
                variance[j] += keep * noise
    return variance


@numba.njit(cache=True)
def evidence(turned, response, pilots, at, rest, error, n_header):
    """Energies that are noise alone: (of the pilots, of the header's quadrature divided by 1 + error).

    turned, response [n, active]; pilots [n, pilots] of +-1 on the carriers `at`; the header is BPSK on the diagonal, in
    the first n_header symbols on the carriers `rest`.
    """
    residual = quadrature = 0.0
    for i in range(len(turned)):
        for p in range(len(at)):
            d = turned[i, at[p]] * pilots[i, p] - response[i, at[p]]
            residual += d.real * d.real + d.imag * d.imag
    for i in range(n_header):
        for j in rest:
            h = response[i, j]
            y = turned[i, j] * np.conj(h)
            size = h.real * h.real + h.imag * h.imag + 1e-30
            quadrature += (y.imag - y.real) ** 2 / (2 * size * (1 + error[j]))
    return residual, quadrature


@numba.njit(cache=True)
def divide(turned, response, rest, steady, moved, unseen):
    """Symbols complex64 and their noise variances float32 [n, len(rest)]: turned / response, and (steady[j] +
    moved[i] unseen[j]) / |response|^2; steady, unseen [active], moved [n].
    """
    symbols = np.empty((len(turned), len(rest)), np.complex64)
    variance = np.empty(symbols.shape, np.float32)
    for i in range(len(turned)):
        for place, j in enumerate(rest):
            h = response[i, j]
            scale = 1 / (h.real * h.real + h.imag * h.imag + 1e-30)
            symbols[i, place] = turned[i, j] * np.conj(h) * scale
            variance[i, place] = (steady[j] + moved[i] * unseen[j]) * scale
    return symbols, variance


@numba.njit(cache=True)
def pair(up, down, n, low, high, unlike):
    """An answer up[n] with the greatest of down[low:high]: (sum, place of that); the sum of unlike ones is 0."""
    m = low
    for i in range(low, min(high, len(down))):
        if down[i] > down[m]:
            m = i
    a, b = up[n], down[m]
    return (a + b if max(a, b) < unlike * min(a, b) else 0.0), m
