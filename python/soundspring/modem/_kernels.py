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
def square(x):
    """|x|^2, without the root that np.abs would take."""
    return x.real**2 + x.imag**2


@numba.njit(cache=True)
def strongest(spectrum, width, weights):
    """The bin where several paths add up to most: for spectra complex64 [lags, bins] the one with the greatest energy
    of `width` neighbouring lags.

    Returns (that bin with a parabola's fraction, its energy, the power at each lag there without the noise's share
    [lags], the lag about which these lie; `weights` [odd] says how much those nearby count for one).
    """
    lags, bins = spectrum.shape
    energy = np.empty((lags, bins), np.float32)
    running, best, quietest = np.zeros(bins), np.zeros(bins), np.inf
    for i in range(lags):
        for b in range(bins):
            energy[i, b] = square(spectrum[i, b])
        quietest = min(quietest, energy[i].sum())
        for b in range(bins):
            running[b] += energy[i, b] - (energy[i - width, b] if i >= width else np.float32(0))
            best[b] = max(best[b], running[b])
    peak = best.argmax()
    left, right = best[peak - 1], best[(peak + 1) % bins]
    bend = left - 2 * best[peak] + right
    shift = 0.5 * (left - right) / bend if bend < 0 else 0.0
    noise = quietest / bins  # over all bins, at the quietest lag
    profile = np.maximum(energy[:, peak] - 3 * noise, 0.1 * noise)
    around = np.convolve(profile, weights)[len(weights) // 2 :][:lags]
    return peak + shift, best[peak], profile, around.argmax()


@numba.njit(cache=True)
def training_noise(received):
    """Noise variance per carrier from what differs between two training symbols, complex64 [2, active], apart from a
    common phase."""
    first, second = received[0], received[1]
    turn = np.vdot(first, second)
    turn = turn / np.float32(abs(turn)) if turn != 0 else np.complex64(1)
    difference = second * np.conj(turn) - first
    return np.vdot(difference, difference).real / 2 / (len(first) - 1) + 1e-20


@numba.njit(cache=True)
def estimate(answer, gram, profile, noise, steer, at):
    """Linear MMSE estimate of taps [lags] of which `profile` shows the power; answer = gram taps + noise of covariance
    gram * noise.

    steer [active, lags] carries taps to carriers, `at` are the pilots among these. Returns (taps, their error's
    covariance, and what `describe` says of them).
    """
    precision = square(np.diag(gram)) / np.maximum(profile, 1e-20)  # in silence the profile is zero
    covariance = np.linalg.inv(gram / noise + np.diag(precision).astype(np.complex128))
    taps = covariance @ (answer / noise)
    return taps, covariance, describe(taps, covariance, steer, at)


@numba.njit(cache=True)
def estimate_again(taps, covariance, h, error, power, response, noise, steer, overlap, at):
    """As `estimate`, of taps that were estimated before and have moved since, from another look at the carriers.

    response [active] has noise of variance `noise`; error [active] is the variance of that of h = steer taps; power
    [lags] is how strongly each tap can have moved, and how far all of them did is what of the difference to h is
    neither error nor noise; overlap = steer^H steer.
    """
    difference = response - h
    moved = max(square(difference).mean() - error.mean() - noise, 0.0) / power.sum()
    prior = covariance + np.diag(moved * power)
    covariance = np.linalg.solve(prior @ overlap / noise + np.eye(len(taps)), prior)
    taps = taps + covariance @ (np.ascontiguousarray(steer.conj().T) @ difference / noise)
    return taps, covariance, describe(taps, covariance, steer, at)


@numba.njit(cache=True)
def describe(taps, covariance, steer, at):
    """What `Channel` holds of these taps: (h, variance of its error, es, power, share, vectors, spread, unseen)."""
    h = steer @ taps
    carried = steer @ covariance
    error = np.empty(len(h))
    for j in range(len(h)):
        error[j] = np.vdot(steer[j], carried[j]).real
    es = (square(h) + error).mean()
    power = square(taps) + np.diag(covariance).real  # sharper than the profile, which the chirps' band smears
    power = es / power.sum() * power
    shape = (steer * power) @ np.ascontiguousarray(steer[at].conj().T)
    share, vectors = np.linalg.eigh(shape[at])
    share = np.maximum(share, 1e-6 * share[-1])
    vectors = np.ascontiguousarray(vectors)
    spread = (shape @ vectors) / share
    unseen = np.maximum(es - square(spread) @ share, 0)
    return h, error, es, power, share, vectors, spread, unseen


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
def weigh(parts, owner, values, count, share, noise):
    """Scale the parts of a change by the Wiener filters of all `count` processes, each weighted by how likely it is.

    parts [rows, 2 m], real and imaginary parts side by side, are scaled in place; owner [rows]: the process of each;
    values [rows]: variances under it per unit of share [m]. Returns the scales [rows, m], which times the noise are the
    variances of what is left of the errors, and the weights [count].
    """
    rows, m = len(values), len(share)
    keep = np.empty((rows, m))
    likelihood = np.zeros(count)  # but for what is the same for all
    for i in range(rows):
        product = 1.0
        for j in range(m):
            r = 1 / (1 + values[i] * share[j] / noise)
            keep[i, j] = 1 - r
            product *= r
            likelihood[owner[i]] += (parts[i, 2 * j] ** 2 + parts[i, 2 * j + 1] ** 2) / noise * (1 - r)
        likelihood[owner[i]] += math.log(max(product, 1e-300))
    weight = np.exp(likelihood - likelihood.max())
    weight /= weight.sum()
    for i in range(rows):
        for j in range(m):
            keep[i, j] *= weight[owner[i]]
            parts[i, 2 * j] *= keep[i, j]
            parts[i, 2 * j + 1] *= keep[i, j]
    return keep, weight


@numba.njit(cache=True)
def smooth(change, processes, share, noise):
    """`weigh` applied to the changes complex128 [n, m], or if there are many to the means over groups of symbols.

    processes: from `track.processes`. Returns (smoothed [n, m], variances of their errors [n, m], weights [count]).
    """
    group, middle, scale, owner, values, basis, back, squared, count = processes[:9]
    n, m = change.shape
    means = np.zeros((len(middle), m), np.complex128)
    for i in range(n):
        means[i // group] += change[i]
    # They are weighted like whole groups: the last may be shorter, which is a little too trusting of it.
    for i in range(len(middle)):
        means[i] /= min(group, n - i * group) * scale[i]
    parts = basis @ means.view(np.float64)  # real and imaginary parts side by side
    keep, weight = weigh(parts, owner, values, count, share, noise / group)
    smoothed = (back @ parts).view(np.complex128)
    variance = squared @ keep * (noise / group)
    for i in range(len(middle)):
        smoothed[i] *= scale[i]
        variance[i] *= scale[i] ** 2
    if group == 1:
        return smoothed, variance, weight
    out, spread, at = np.empty((n, m), np.complex128), np.empty((n, m)), np.arange(n)
    for j in range(m):
        out[:, j] = np.interp(at, middle, smoothed[:, j].real) + 1j * np.interp(at, middle, smoothed[:, j].imag)
        spread[:, j] = np.interp(at, middle, variance[:, j])
    return out, spread, weight


@numba.njit(cache=True)
def unwind(received, pilots, at, carriers, times, h, noise, start, span, prior):
    """Find the drift and take it out. With n symbols and the carriers `at` being pilots:

    received complex64 [n, active], pilots float32 [n, pilots] of +-1; start, span, prior: as of `gauss_newton`; h: see
    `Channel`. Returns (drift [4], received without it).
    """
    z = np.empty(pilots.shape, np.complex128)
    for i in range(len(z)):
        for p in range(len(at)):
            z[i, p] = received[i, at[p]] * pilots[i, p] * np.conj(h[at[p]])
    weight, k = square(h[at]), carriers[at]
    mixed = (weight * k).sum()
    by_carrier = np.array([[weight.sum(), mixed], [mixed, (weight * k * k).sum()]]) * (2 / noise)
    drift = gauss_newton(z, by_carrier, k, times, span, start, prior, 2 / noise)
    return drift, turn_back(received, drift, carriers, times)


@numba.njit(cache=True)
def follow(turned, known, pilots, at, h, noise, processes, share, vectors, spread):
    """Follow what the channel does beside the drift. turned, pilots, at: from and as of `unwind`; known complex64 [any,
    active]: what the first of these symbols are; processes: as of `smooth`; h, share, vectors, spread: see `Channel`.

    Symbols known on all carriers show the pilots' response with the noise of all of them. Returns (response complex64
    [n, active], size of the change beside the channel's [n], variance of its error [n, active], degrees of freedom that
    it took, weights of the processes).
    """
    n, active = turned.shape
    back = np.ascontiguousarray(spread.conj().T)
    fit = np.linalg.solve(back @ spread + np.diag(noise / share), back)
    change = np.empty((n, len(share)), np.complex128)
    seen = np.empty(active, np.complex128)
    for i in range(n):
        if i < len(known):
            for j in range(active):
                seen[j] = turned[i, j] * np.conj(known[i, j]) - h[j]
            change[i] = fit @ seen
        else:
            for m in range(len(share)):
                change[i, m] = 0
                for p in range(len(at)):
                    moved = turned[i, at[p]] * pilots[i, p] - h[at[p]]
                    change[i, m] += moved * np.conj(vectors[p, m])
    smoothed, error, weight = smooth(change, processes, share, noise)
    response = (h + smoothed @ np.ascontiguousarray(spread.T)).astype(np.complex64)
    moved = square(smoothed).sum(axis=1) / share.sum()
    return response, moved, error @ np.ascontiguousarray(square(spread).T), error.sum() / noise, weight


@numba.njit(cache=True)
def carry_on(response, moved, step, noise, weight, variance, covariance, power):
    """Let what the pilots do not show of the change go on as it did from the preamble to the header; in place.

    step [active] is by how much it then moved, known with `noise` per unit of power. What the change at each symbol has
    to do with it the processes say by the last three arguments (see `trend`), each by its weight: a linear prediction.
    response and moved are from `follow`; the latter goes down by what is now foreseen.
    """
    seen = (weight * variance).sum() + noise
    for i in range(len(response)):
        common = (weight * covariance[:, i]).sum()
        for j in range(len(step)):
            response[i, j] += np.complex64(common / seen * step[j])
        moved[i] *= 1 - common * common / (seen * (weight * power[:, i]).sum() + 1e-30)


@numba.njit(cache=True)
def settle(turned, response, pilots, at, rest, n_header, error, noise, noise_dof, dof, steady, moved, unseen):
    """Measure the noise again and divide by the response: what `follow` returned -> (symbols complex64 [n, rest], their
    noise variances float32, noise, noise_dof, rms of the pilots' residuals).

    The header is BPSK on the diagonal in the first n_header symbols, so that across it there is noise alone.
    """
    n = len(turned)
    residual = quadrature = 0.0
    for i in range(n):
        for p in range(len(at)):
            d = turned[i, at[p]] * pilots[i, p] - response[i, at[p]]
            residual += d.real * d.real + d.imag * d.imag
    symbols = np.empty((n, len(rest)), np.complex64)
    variance = np.empty((n, len(rest)), np.float32)
    for i in range(n):
        for place, j in enumerate(rest):
            h = response[i, j]
            y = turned[i, j] * np.conj(h)
            size = h.real * h.real + h.imag * h.imag + np.float32(1e-30)
            symbols[i, place] = y / size
            variance[i, place] = size
            if i < n_header:
                quadrature += (y.imag - y.real) ** 2 / (2 * size * (1 + error[j]))
    energy = noise * noise_dof + residual / (1 + error[at].mean()) + quadrature
    noise_dof += max(pilots.size - dof - 2, 1.0) + n_header * len(rest) / 2
    noise = energy / noise_dof
    for i in range(n):
        for place, j in enumerate(rest):
            spread = noise * (1 + error[j]) + steady[i, j] + moved[i] * unseen[j]
            variance[i, place] = spread / variance[i, place]
    return symbols, variance, noise, noise_dof, math.sqrt(residual / pilots.size)


@numba.njit(cache=True)
def drift_precision(noise, es, cfo_sd, clock_sd, carriers, preamble):
    """Inverse variances, before the pilots are seen, of the drift: rad, rad per symbol (of standard deviation cfo_sd),
    rad per carrier, rad per carrier and symbol (clock_sd). preamble: in symbols, from which the channel is known."""
    spread = noise / (2 * preamble * len(carriers) * es)
    tilt = spread * len(carriers) / (carriers * carriers).sum()
    return 1 / np.array([spread, cfo_sd**2, tilt, clock_sd**2])


@numba.njit(cache=True)
def receive(received, known, n_header, layout, channel, processes, start, span, prior):
    """What `equalise` does: drift, channel once more by what is known, its changes, symbols.

    layout: (carriers, pilots' places among them, data's, times [n], pilots' values [n, pilots]); channel: the fields of
    `Channel`. Returns (symbols, noise_var, drift, es, noise, rms of the pilots' residuals over that of their response).
    """
    carriers, at, rest, times, pilots = layout
    taps, covariance, steer, overlap, noise, noise_dof, h, error, es, power, share, vectors, spread, unseen = channel
    drift, turned = unwind(received, pilots, at, carriers, times, h, noise, start, span, prior)
    before, error_before = h, error.mean()
    if len(known):
        response = np.zeros(turned.shape[1], np.complex128)
        for i in range(len(known)):
            response += turned[i] * np.conj(known[i])
        response /= len(known)
        _, _, again = estimate_again(
            taps, covariance, h, error * noise, power, response, noise / len(known), steer, overlap, at
        )
        h, error, es, _, share, vectors, spread, unseen = again
        error = error / noise
    response, moved, steady, dof, weight = follow(
        turned, known, pilots, at, h, noise, processes, share, vectors, spread
    )
    if len(known):
        step = h - before
        step -= spread @ (np.ascontiguousarray(vectors.conj().T) @ step[at])
        uncertain = (error_before + error.mean()) * noise / (unseen.mean() + 1e-30)
        carry_on(response, moved, step, uncertain, weight, *processes[9:])
    symbols, variance, noise, noise_dof, rms = settle(
        turned, response, pilots, at, rest, n_header, error, noise, noise_dof, dof, steady, moved, unseen
    )
    return symbols, variance, drift, es, noise, rms / (math.sqrt(square(h[at]).mean()) + 1e-15)


@numba.njit(cache=True)
def within(parts, largest):
    """Whether no number of float32 [n] is beyond `largest`, or not a number."""
    good = True
    for x in parts:
        good &= abs(x) <= largest
    return good


@numba.njit(cache=True)
def moments(x):
    """Mean and mean power of complex64 [n]."""
    real = imag = power = 0.0
    for v in x:
        real, imag = real + v.real, imag + v.imag
        power += square(v)
    return complex(real, imag) / x.size, power / x.size


@numba.njit(cache=True)
def filtered(spectrum, bank):
    """The spectrum of a block, complex64 [m], at the rate of the filters complex64 [rows, size], m >= size, times each
    of them."""
    rows, size = bank.shape
    out, half = np.empty_like(bank), size // 2
    scale, left = np.float32(size / spectrum.size), spectrum.size - size
    for row in range(rows):
        for i in range(half):
            out[row, i] = bank[row, i] * (spectrum[i] * scale)
        for i in range(half, size):
            out[row, i] = bank[row, i] * (spectrum[left + i] * scale)
    return out


@numba.njit(cache=True)
def normalise(answers, length, keep, band):
    """Powers of the first two rows over the mean power in the band, as the third row shows it; float32 [keep] each.

    answers complex64 [3 or more, size]; the mean is over the `length` samples from each on, divided by `band`.
    """
    size = answers.shape[1]
    energy = np.zeros(size + 1)
    for i in range(size):
        energy[i + 1] = energy[i] + square(answers[2, i])
    least = 1e-10 * energy[-1] / size + 1e-30  # silence beside a burst is not a signal
    up, down = np.empty(keep, np.float32), np.empty(keep, np.float32)
    for i in range(keep):
        scale = np.float32(1 / max((energy[i + length] - energy[i]) / (band * length), least))
        up[i], down[i] = square(answers[0, i]) * scale, square(answers[1, i]) * scale
    return up, down


@numba.njit(cache=True)
def next_answer(up, down, chirp, first, stop, single, lone):
    """The first n from `first` on with up[n] above `single` or the down-chirp behind it above `lone`; else `stop`."""
    for n in range(first, stop):
        if up[n] > single or down[n + chirp] > lone:
            return n
    return stop


@numba.njit(cache=True)
def best_pair(up, down, first, last, single, chirp, reach, unlike, sure):
    """An answer of up[first..last] above `single` and the greatest of the down-chirps `chirp` later, give or take twice
    the reach: (their sum, both places), of the pair of greatest sum.

    The sum is 0 where one is more than `unlike` times the other, unless the smaller one is above `sure`.
    """
    best, at, partner = 0.0, first, first + chirp
    for n in range(first, min(last + 1, len(up))):
        if up[n] <= single:
            continue
        m = max(n + chirp - 2 * reach, 0)
        for i in range(m, min(n + chirp + 2 * reach + 1, len(down))):
            if down[i] > down[m]:
                m = i
        more, less = max(up[n], down[m]), min(up[n], down[m])
        if (more < unlike * less or less > sure) and more + less >= best:
            best, at, partner = more + less, n, m
    return best, at, partner
