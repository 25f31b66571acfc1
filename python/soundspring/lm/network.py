# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of `model.py` once more, for the coder: matrix products of integers, and all else float64 in a written
order, no maths library.

Additions, multiplications, divisions and square roots are exact to the last bit on every machine (IEEE 754); the
exponential is made of them. So the trunk and the heads give the same bits wherever they are computed.
"""

from __future__ import annotations

import numba
import numpy as np

from ..product import Linear, linear, product
from .model import Block, MaskedLm

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")
# exp(y) = 1 + y (1 + y/2 (1 + y/3 (...))) on [-1, 0]; the 64th power is taken by squaring.
_TAYLOR = tuple(1 / n for n in range(13, 0, -1))
# erfc(u) = exp(-u^2) (a1 t + ... + a5 t^5) with t = 1 / (1 + p u), u >= 0, within 1.5e-7: Abramowitz and Stegun 7.1.26.
_P, _A1, _A2, _A3, _A4, _A5 = 0.3275911, 0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429
_SQRT_HALF = 0.7071067811865476


@_compiled
def _exp(x):
    """exp(x) for x <= 0 to nine digits; at -64 and below the value at -64."""
    y = max(x, -64.0) * 0.015625
    s = 1.0
    for c in _TAYLOR:
        s = 1.0 + (y * c) * s
    for _ in range(6):
        s = s * s
    return s


@_compiled
def gelu(x):
    """x times the Gaussian distribution function of x, in place; float64 [n, M]."""
    flat = x.reshape(-1)
    for i in range(flat.size):
        v = flat[i]
        u = abs(v) * _SQRT_HALF
        t = 1.0 / (1.0 + _P * u)
        tail = t * (_A1 + t * (_A2 + t * (_A3 + t * (_A4 + t * _A5)))) * _exp(-(u * u))
        flat[i] = max(v, 0.0) - 0.5 * abs(v) * tail
    return x


@_compiled
def layer_norm(x, weight, bias, epsilon):
    """Each row of x float64 [n, M] to mean 0 and variance 1, then weight and bias [M]."""
    rows, size = x.shape
    out = np.empty((rows, size))
    for i in range(rows):
        total, power = 0.0, 0.0
        for j in range(size):
            total += x[i, j]
        mean = total / size
        for j in range(size):
            power += (x[i, j] - mean) * (x[i, j] - mean)
        factor = 1.0 / np.sqrt(power / size + epsilon)
        for j in range(size):
            out[i, j] = (x[i, j] - mean) * factor * weight[j] + bias[j]
    return out


@_compiled
def attention(qkv, bias):
    """qkv float64 [T, 3 * dim], bias [heads, 2 * span + 1] by distance -> [T, dim]."""
    frames, heads, span = qkv.shape[0], bias.shape[0], bias.shape[1] // 2
    dim = qkv.shape[1] // 3
    size = dim // heads
    out, weights = np.zeros((frames, dim)), np.empty(frames)
    for h in range(heads):
        q, k, v = h * size, dim + h * size, 2 * dim + h * size
        for i in range(frames):
            for s in range(frames):
                dot = 0.0
                for j in range(size):
                    dot += qkv[i, q + j] * qkv[s, k + j]
                weights[s] = dot / np.sqrt(size) + bias[h, min(max(s - i, -span), span) + span]
            top, total = weights.max(), 0.0
            for s in range(frames):
                weights[s] = _exp(weights[s] - top)
                total += weights[s]
            for s in range(frames):
                share = weights[s] / total
                for j in range(size):
                    out[i, h * size + j] += share * qkv[s, v + j]
    return out


@_compiled
def gather(table, tokens, known, start, stop, out):
    """out [n, dim] += the rows of table [K, entries, dim] for the known ones of tokens int16 [n, K], layer by layer
    from `start` to before `stop`."""
    for i in range(tokens.shape[0]):
        for k in range(start, stop):
            if known[i, k]:
                row = table[k, tokens[i, k]]
                for j in range(row.size):
                    out[i, j] += row[j]


def _array(x) -> np.ndarray:
    return x.detach().double().cpu().numpy()


def _linear(layer) -> Linear:
    return linear(_array(layer.weight).T, _array(layer.bias))


def _norm(layer) -> tuple[np.ndarray, np.ndarray, float]:
    return _array(layer.weight), _array(layer.bias), layer.eps


class _Block:
    """`model.Block` on float64 [T, dim]."""

    def __init__(self, block: Block):
        a = block.attention
        self.norm1, self.norm2, self.bias = _norm(block.norm1), _norm(block.norm2), _array(a.bias)
        self.qkv, self.out, self.up, self.down = map(_linear, (a.qkv, a.out, block.up, block.down))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        x = x + product(attention(product(layer_norm(x, *self.norm1), self.qkv), self.bias), self.out)
        return x + product(gelu(product(layer_norm(x, *self.norm2), self.up)), self.down)


class Network:
    """The Transformer and the small network that all heads share, with the weights of `model` in integers."""

    def __init__(self, model: MaskedLm):
        self.blocks, self.norm = [_Block(b) for b in model.blocks], _norm(model.norm)
        self.head_norm = _norm(model.head_norm)
        self.head_up, self.head_down = _linear(model.head_up), _linear(model.head_down)

    def body(self, x: np.ndarray) -> np.ndarray:
        """`MaskedLm.body` of embedded frames float64 [T, dim]."""
        for block in self.blocks:
            x = block(x)
        return layer_norm(x, *self.norm)

    def neck(self, z: np.ndarray) -> np.ndarray:
        """`MaskedLm.neck` of rows float64 [n, dim]."""
        return z + product(gelu(product(layer_norm(z, *self.head_norm), self.head_up)), self.head_down)
