# SPDX-License-Identifier: GPL-3.0-or-later
"""Bits to constellation symbols and back to log-likelihood ratios: BPSK to 256-QAM of 3GPP TS 38.211, clause 5.1."""

import numpy as np

BITS_PER_SYMBOL = (1, 2, 4, 6, 8)


def _check(bits_per_symbol: int) -> None:
    if bits_per_symbol not in BITS_PER_SYMBOL:
        raise ValueError(f"bits_per_symbol must be one of {BITS_PER_SYMBOL}, not {bits_per_symbol!r}")


def _levels(bits: np.ndarray) -> np.ndarray:
    """One dimension of the constellation: bits [..., m] -> odd integer level [...], by the nested form of 5.1."""
    level = 1 - 2 * bits[..., -1].astype(np.int32)
    for i in range(bits.shape[-1] - 2, -1, -1):
        level = (1 - 2 * bits[..., i].astype(np.int32)) * ((1 << (bits.shape[-1] - 1 - i)) - level)
    return level


def _pam(m: int) -> tuple[np.ndarray, np.ndarray]:
    """The 2^m levels of one dimension, scaled to an energy of 1/2, and the bits [2^m, m] that each stands for."""
    bits = (np.arange(1 << m)[:, None] >> np.arange(m - 1, -1, -1)) & 1
    scale = np.sqrt(1.5 / ((1 << 2 * m) - 1))
    return _levels(bits) * scale, bits


def map_bits(bits: np.ndarray, bits_per_symbol: int) -> np.ndarray:
    """Map bits onto symbols of unit mean energy.

    Args:
        bits: 0/1, [n * bits_per_symbol]
        bits_per_symbol: 1 (BPSK, on the diagonal), 2 (QPSK), 4, 6 or 8 (16-, 64-, 256-QAM)

    Returns:
        complex64 [n]

    Raises:
        ValueError: unknown `bits_per_symbol`, bits that are not 0/1 or do not fill the last symbol
    """
    _check(bits_per_symbol)
    bits = np.asarray(bits)
    if bits.ndim != 1 or bits.size % bits_per_symbol:
        raise ValueError(f"bits must be one row of a multiple of {bits_per_symbol} bits, not shape {bits.shape}")
    if bits.size and (bits.min() < 0 or bits.max() > 1):
        raise ValueError("bits must be 0 or 1")
    groups = bits.reshape(-1, bits_per_symbol)
    if bits_per_symbol == 1:
        return ((1 + 1j) * np.sqrt(0.5) * _levels(groups)).astype(np.complex64)
    scale = np.sqrt(1.5 / (2**bits_per_symbol - 1))
    return ((_levels(groups[:, 0::2]) + 1j * _levels(groups[:, 1::2])) * scale).astype(np.complex64)


def demap(symbols: np.ndarray, noise_var, bits_per_symbol: int, method: str = "maxlog") -> np.ndarray:
    """Log-likelihood ratios ln P(b=1|y) / P(b=0|y) of y = s + n: positive means bit 1 (many books have it reversed).

    Each dimension of a QAM symbol is a Gray-labelled PAM of its own, so at most 16 levels are compared per bit.

    Args:
        symbols: equalised, complex [n]
        noise_var: E|n|^2 of the complex noise, one number or one per symbol [n]; inf marks an erasure
        bits_per_symbol: as in `map_bits`
        method: "maxlog" (nearest level of each kind) or "exact" (all levels)

    Returns:
        float32 [n * bits_per_symbol], in the order of `map_bits`

    Raises:
        ValueError: unknown `bits_per_symbol` or `method`, `noise_var` not positive or of another length
    """
    _check(bits_per_symbol)
    if method not in ("maxlog", "exact"):
        raise ValueError(f"method must be 'maxlog' or 'exact', not {method!r}")
    symbols = np.asarray(symbols)
    noise_var = np.asarray(noise_var, np.float32)
    if noise_var.ndim > 1 or (noise_var.ndim and noise_var.shape != symbols.shape):
        raise ValueError(f"noise_var must be a number or have the shape of symbols {symbols.shape}")
    if not np.all(noise_var > 0):
        raise ValueError("noise_var must be positive")
    if bits_per_symbol == 1:
        return (-2 * np.sqrt(2) * (symbols.real + symbols.imag) * (1 / noise_var)).astype(np.float32)
    precision = np.broadcast_to(1 / noise_var, symbols.shape)
    llr = np.empty((symbols.size, bits_per_symbol), np.float32)
    for part, axis in enumerate((symbols.real, symbols.imag)):
        llr[:, part::2] = _demap_pam(axis, precision, bits_per_symbol // 2, method)
    return llr.ravel()


def _demap_pam(y: np.ndarray, precision: np.ndarray, m: int, method: str) -> np.ndarray:
    """LLRs [n, m] of one dimension y [n] of a QAM symbol with m bits in that dimension."""
    levels, bits = _pam(m)
    score = -((y[:, None].astype(np.float32) - levels.astype(np.float32)) ** 2) * precision[:, None]
    gather = _log_sum_exp if method == "exact" else (lambda s: s.max(axis=1))
    return np.stack([gather(score[:, bits[:, i] == 1]) - gather(score[:, bits[:, i] == 0]) for i in range(m)], axis=1)


def _log_sum_exp(score: np.ndarray) -> np.ndarray:
    top = score.max(axis=1)
    return top + np.log(np.exp(score - top[:, None]).sum(axis=1))
