# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies: the lowest layers of the superframes before, carried once more at the head of a packet.

They stand in for packets that were lost, and a base that follows in the packet is coded knowing them. They themselves
are coded knowing nothing but the copies before them: the rest of the packet's context would save them one bit in fifty
and cost both ends a larger trunk pass.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from . import pmf

if TYPE_CHECKING:
    from .transcode import Group, PmfSource

WHOLE = 63  # weight of a copy with all its layers against each smaller number: before the first superframe there is 0
# code(cumulative int64 [f, N + 1], near: see pmf.near_boundary, symbols [f]) -> the symbols [f], read or written.
Code = Callable[[np.ndarray, bool, np.ndarray], np.ndarray]


@dataclass
class Copies:
    """The superframes before as far as they are copied: int16, bool [frames of all of them, K]; their tokens int16
    [frames, layers], the superframe just before first; of written ones also each symbol with its cumulative PMF, in
    order, and their ideal bits."""

    known: np.ndarray
    visible: np.ndarray
    tokens: tuple[np.ndarray, ...] = ()
    symbols: list[tuple[np.ndarray, int]] = field(default_factory=list)
    bits: float = 0.0


def nothing(past: np.ndarray) -> Copies:
    """No copies of the tokens int16 [frames of the superframes before, K]."""
    return Copies(np.zeros_like(past), np.zeros(past.shape, bool))


def walk(source: PmfSource, group: Group, code: Code, tokens: np.ndarray, layers: Sequence[int]) -> Copies:
    """The copies in a packet of `group`, the oldest first, each coded knowing those before it.

    tokens int16 [frames of the superframes before, K], and layers to copy of the superframe before, of the one before
    that, ...: what `code` may write. The window has an empty frame behind those: the model is not at its best in the
    last one. Raises ValueError on logits that are not finite.
    """
    known, found = np.zeros((len(tokens) + 1, tokens.shape[1]), np.int16), []
    visible = np.zeros(known.shape, bool)
    for back in range(len(group.copies), 0, -1):
        begin = len(tokens) - back * group.frames
        n = int(code(_layer_counts(group.copies[back - 1]), False, np.array([layers[back - 1]]))[0])
        for step in group.copy_steps if n else ():
            frames = np.array(step) + begin
            state = source.begin(known.copy(), visible.copy())
            for layer in range(n):
                cumulative, near = pmf.cumulative(source.logits(state, frames, layer, known, visible))
                known[frames, layer] = code(cumulative, near, tokens[frames, layer])
                visible[frames, layer] = True
        found.append(known[begin : begin + group.frames, :n].copy())
    return Copies(known[:-1], visible[:-1], tuple(found[::-1]))


def write(source: PmfSource, group: Group, tokens: np.ndarray, layers: Sequence[int]) -> Copies:
    """`walk` by a writer. Raises ValueError where the logits are not safe to code upon."""
    symbols: list[tuple[np.ndarray, int]] = []
    bits = 0.0

    def note(cumulative: np.ndarray, near: bool, chosen: np.ndarray) -> np.ndarray:
        nonlocal bits
        if near:
            raise ValueError("logits: too near a rounding boundary")
        symbols.extend((row, int(symbol)) for row, symbol in zip(cumulative, chosen, strict=True))
        bits += sum(float(np.log2(row[-1] / (row[s + 1] - row[s]))) for row, s in symbols[-len(chosen):])
        return chosen
    copies = walk(source, group, note, tokens, layers)
    copies.symbols, copies.bits = symbols, bits
    return copies


def empty_bits(group: Group) -> float:
    """Bits of copies of nothing, at most."""
    return float(sum(np.log2(_layer_counts(most)[0, -1]) for most in group.copies))


def _layer_counts(most: int) -> np.ndarray:
    """Cumulative PMF [1, most + 2] of how many layers a copy has."""
    return np.array([[*range(most + 1), most + WHOLE]])
