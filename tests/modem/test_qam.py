# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erfc, logsumexp
from soundspring.modem.qam import BITS_PER_SYMBOL, demap, map_bits


def constellation(m):
    """All points, in the order of their labels, and the labels' bits."""
    bits = (np.arange(1 << m)[:, None] >> np.arange(m - 1, -1, -1)) & 1
    return map_bits(bits.ravel(), m), bits


@pytest.mark.parametrize("m", BITS_PER_SYMBOL)
def test_unit_energy_zero_mean_and_gray(m):
    points, bits = constellation(m)
    assert np.isclose(np.mean(np.abs(points) ** 2), 1, atol=1e-6)
    assert abs(points.mean()) < 1e-6
    distance = np.abs(points[:, None] - points)
    nearest = distance[distance > 1e-3].min()
    for i, j in np.argwhere(np.abs(distance - nearest) < 1e-3):
        assert np.sum(bits[i] != bits[j]) == 1


def written_out(b):
    """The formulas of clauses 5.1.2 to 5.1.6, term by term."""
    s = [1 - 2 * int(x) for x in b]
    if len(b) == 1:
        return (s[0] + 1j * s[0]) / np.sqrt(2)
    if len(b) == 2:
        return (s[0] + 1j * s[1]) / np.sqrt(2)
    if len(b) == 4:
        return (s[0] * (2 - s[2]) + 1j * s[1] * (2 - s[3])) / np.sqrt(10)
    if len(b) == 6:
        return (s[0] * (4 - s[2] * (2 - s[4])) + 1j * s[1] * (4 - s[3] * (2 - s[5]))) / np.sqrt(42)
    return (s[0] * (8 - s[2] * (4 - s[4] * (2 - s[6]))) + 1j * s[1] * (8 - s[3] * (4 - s[5] * (2 - s[7])))) / np.sqrt(
        170
    )


@pytest.mark.parametrize("m", BITS_PER_SYMBOL)
def test_points_of_ts_38_211(m):
    points, bits = constellation(m)
    assert np.allclose(points, [written_out(b) for b in bits], atol=1e-6)


@pytest.mark.parametrize("method", ["maxlog", "exact"])
@pytest.mark.parametrize("m", BITS_PER_SYMBOL)
def test_llr_is_the_brute_force_ratio(m, method):
    rng = np.random.default_rng(m)
    points, bits = constellation(m)
    y = (rng.standard_normal(300) + 1j * rng.standard_normal(300)).astype(np.complex64)
    noise_var = rng.uniform(0.02, 2, 300).astype(np.float32)
    score = -(np.abs(y[:, None] - points) ** 2) / noise_var[:, None]
    gather = (lambda s: s.max(axis=1)) if method == "maxlog" else (lambda s: logsumexp(s, axis=1))
    expected = [gather(score[:, bits[:, i] == 1]) - gather(score[:, bits[:, i] == 0]) for i in range(m)]
    got = demap(y, noise_var, m, method)
    assert got.dtype == np.float32
    assert np.allclose(got, np.stack(expected, axis=1).ravel(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("m, snr_db", [(1, 4), (2, 6), (4, 12), (6, 18), (8, 24)])
def test_bit_error_rate_is_the_closed_form(m, snr_db):
    """Exact for BPSK and QPSK; for QAM the Gray-code sum over the levels of one dimension, counted here in full."""
    rng = np.random.default_rng(m)
    bits = rng.integers(0, 2, m * (400_000 // m)).astype(np.uint8)
    noise_var = 10 ** (-snr_db / 10)
    symbols = map_bits(bits, m)
    noise = rng.standard_normal((2, symbols.size)) * np.sqrt(noise_var / 2)
    llr = demap(symbols + noise[0] + 1j * noise[1], noise_var, m)
    measured = np.mean((llr > 0) != bits)
    assert abs(measured - closed_form(m, noise_var)) < 4 * np.sqrt(measured / bits.size)


def closed_form(m, noise_var):
    def q(x):
        return 0.5 * erfc(x / np.sqrt(2))

    if m == 1:
        return q(np.sqrt(2 / noise_var))
    half = m // 2
    points, bits = constellation(m)
    levels = {tuple(b[0::2]): p.real for p, b in zip(points, bits, strict=True)}
    order = sorted(levels, key=levels.get)
    value = np.array([levels[label] for label in order])
    edges = np.concatenate([[-np.inf], (value[1:] + value[:-1]) / 2, [np.inf]])
    sd = np.sqrt(noise_var / 2)
    lands = q((edges[:-1] - value[:, None]) / sd) - q((edges[1:] - value[:, None]) / sd)
    wrong = np.array([[np.sum(np.array(a) != np.array(b)) for b in order] for a in order])
    return np.sum(lands * wrong) / len(order) / half


def test_llr_is_calibrated():
    """Bits with an exact LLR near x are ones with probability 1 / (1 + exp(-x))."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2, 240_000)
    symbols = map_bits(bits, 4)
    noise = (rng.standard_normal(symbols.size) + 1j * rng.standard_normal(symbols.size)) * np.sqrt(0.2 / 2)
    llr = demap(symbols + noise, 0.2, 4, "exact")
    for x in (-2.0, -1.0, 1.0, 2.0):
        near = np.abs(llr - x) < 0.1
        assert abs(bits[near].mean() - 1 / (1 + np.exp(-x))) < 0.03


def bicm_capacity(m, noise_var):
    """Bits per symbol of BICM with this labelling (Caire, Taricco, Biglieri 1998), by Gauss-Hermite quadrature.

    Each dimension is a PAM of its own; per bit, I = 1 - E log2(sum of all likelihoods / sum of those with the bit).
    """
    points, bits = constellation(m)
    axis = points.real if m > 1 else np.sqrt(2) * points.real
    labels = bits[:, 0::2] if m > 1 else bits
    levels, first = np.unique(np.round(axis, 6), return_index=True)
    labels = labels[first]
    nodes, weights = np.polynomial.hermite.hermgauss(96)
    y = levels[:, None] + np.sqrt(noise_var) * nodes  # noise of variance noise_var / 2 in this dimension
    score = -((y[..., None] - levels) ** 2) / noise_var
    total = 0.0
    for bit in labels.T:
        same = bit[:, None] == bit
        ratio = logsumexp(score, axis=-1) - logsumexp(np.where(same[:, None], score, -np.inf), axis=-1)
        total += 1 - np.mean(ratio @ weights) / np.sqrt(np.pi) / np.log(2)
    return total * (1 if m == 1 else 2)


def mutual_information(llr, bits, m):
    """Bits per symbol that a decoder can get out of these LLRs, if it takes them for what they say."""
    wrong = np.where(bits == 1, -llr, llr).astype(float)
    return m * (1 - np.mean(np.logaddexp(0, wrong)) / np.log(2))


@pytest.mark.parametrize("m", BITS_PER_SYMBOL)
def test_mutual_information_is_the_bicm_capacity(m):
    """Exact LLRs within 1 %, of the capacity, at 1/4, 1/2 and 9/10 of the bits; max-log's loss is small there."""
    rng = np.random.default_rng(m)
    bits = rng.integers(0, 2, 600_000 if m <= 2 else 120_000).astype(np.uint8)
    symbols = map_bits(bits, m)
    noise = (rng.standard_normal(symbols.size) + 1j * rng.standard_normal(symbols.size)) / np.sqrt(2)
    for share, most in ((0.25, 0.03), (0.5, 0.03), (0.9, 0.01)):
        snr_db = brentq(lambda x, share=share: bicm_capacity(m, 10 ** (-x / 10)) - share * m, -15, 40)
        noise_var = 10 ** (-snr_db / 10)
        received = symbols + np.sqrt(noise_var) * noise
        exact = mutual_information(demap(received, noise_var, m, "exact"), bits, m)
        assert abs(exact / (share * m) - 1) < 0.01
        maxlog = mutual_information(demap(received, noise_var, m), bits, m)
        assert exact - most * m <= maxlog <= exact + 1e-6 * m


def test_bicm_capacity_of_the_quadrature():
    """BPSK's capacity at Es/N0 = 0 dB is 0.7215 bits; QPSK's is twice BPSK's at 3 dB less each."""
    assert abs(bicm_capacity(1, 1.0) - 0.7215) < 1e-3
    assert abs(bicm_capacity(2, 0.5) - 2 * bicm_capacity(1, 1.0)) < 1e-6


def test_erasure_has_no_opinion():
    llr = demap(map_bits([0, 1, 1, 0, 1, 1, 0, 0], 4), np.array([np.inf, 0.1]), 4)
    assert np.all(llr[:4] == 0) and np.all(llr[4:] != 0)


@pytest.mark.parametrize(
    "call, name",
    [
        (lambda: map_bits([0, 1], 3), "bits_per_symbol"),
        (lambda: map_bits([0, 1, 0], 2), "bits"),
        (lambda: map_bits([0, 2], 1), "bits"),
        (lambda: demap(np.ones(2), 0.0, 2), "noise_var"),
        (lambda: demap(np.ones(2), np.nan, 2), "noise_var"),
        (lambda: demap(np.ones(2), np.ones(3), 2), "noise_var"),
        (lambda: demap(np.ones(2), 1.0, 2, "soft"), "method"),
    ],
)
def test_wrong_arguments_are_named(call, name):
    with pytest.raises(ValueError, match=name):
        call()
