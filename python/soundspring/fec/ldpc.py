# SPDX-License-Identifier: GPL-3.0-or-later
"""LDPC codes of 5G NR, 3GPP TS 38.212: base graph choice (6.2.2, 7.2.2), code (5.3.2), rate matching (5.4.2).

One code block per code: segmentation (5.2.2) is the caller's business, and so is the CRC.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from . import back_substitution, min_sum
from .base_graphs import COLUMNS, INFO_COLUMNS, LIFTING_SETS, LIFTING_SIZES, base_graph
from .layout import Layout

MAX_K = {1: 8448, 2: 3840}  # largest code block of each base graph
MAX_RATE = 0.95  # above it a receiver need not decode, TS 38.214 clause 5.1.3
_START = {1: (0, 17, 33, 56), 2: (0, 13, 25, 43)}  # k_0 / Z of each redundancy version, Table 5.4.2.1-2
_CORE_ROWS = 4


class DecodeResult(NamedTuple):
    """What `LdpcCode.decode` returns; the leading dimensions are those of the LLRs."""

    bits: np.ndarray  # uint8 [..., k]
    ok: np.ndarray  # bool [...]: the decoder ended on a codeword with every information bit decided
    iterations: np.ndarray  # int32 [...]: iterations used


@dataclass(frozen=True)
class LdpcCode:
    """A code block of `k` bits sent as `e` bits. Immutable; build it once and use it from any thread.

    Args:
        k: bits in, CRC included: 1..3840 with base graph 2, 1..8448 with base graph 1.
        e: bits out, at least k / 0.95 and a multiple of `bits_per_symbol`; bits repeat when e exceeds the mother code.
        bits_per_symbol: modulation order of the bit interleaver (5.4.2.2); 1 leaves the order as it is.
        base_graph: 1 or 2; None chooses by k and k/e as 6.2.2 does, with k for the payload size.
        rv: redundancy version 0..3; only 0 is made to be decoded alone.

    Attributes beside the arguments: `lifting_size` (Z), `rate` (k/e).

    Raises:
        ValueError: an argument is out of range; the message names it.
    """

    k: int
    e: int
    bits_per_symbol: int = 1
    base_graph: int | None = None
    rv: int = 0
    lifting_size: int = field(init=False, repr=False, compare=False)
    _graph: int = field(init=False, repr=False, compare=False)
    _index: np.ndarray = field(init=False, repr=False, compare=False)
    _rows: "_Rows" = field(init=False, repr=False, compare=False)
    _layout: Layout = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_arguments(self.k, self.e, self.bits_per_symbol, self.base_graph, self.rv)
        graph = self.base_graph or _select_base_graph(self.k, self.e)
        if self.k > MAX_K[graph]:
            hint = "; base_graph=1 takes up to 8448" if self.k <= MAX_K[1] else ""
            raise ValueError(
                f"k: {self.k} bits exceed one code block, {MAX_K[graph]} bits with base graph {graph} "
                f"(chosen at rate {self.k / self.e:.3f}){hint}"
            )
        size = _select_lifting_size(self.k, graph)
        object.__setattr__(self, "base_graph", graph)
        index = _rate_matching(self, graph, size)
        rows = _Rows.build(graph, size, self.k, index)
        layout = Layout.build(
            rows.starts, rows.columns, rows.shifts, rows.extension, rows.n_columns, size, self.k,
            INFO_COLUMNS[graph] * size, index,
        )  # fmt: skip
        self.__dict__.update(lifting_size=size, _graph=graph, _index=index, _rows=rows, _layout=layout)

    @property
    def rate(self) -> float:
        """Code rate k/e."""
        return self.k / self.e

    def encode(self, bits: np.ndarray) -> np.ndarray:
        """Code bits of each block, in the order in which they are sent.

        Args:
            bits: 0/1, shape [..., k].

        Returns:
            uint8 [..., e].

        Raises:
            ValueError: `bits` has another length or other values.
        """
        bits = np.asarray(bits)
        if bits.ndim == 0 or bits.shape[-1] != self.k:
            raise ValueError(f"bits: shape [..., {self.k}] is needed, not {bits.shape}")
        if bits.dtype.kind not in "buif" or not ((bits == 0) | (bits == 1)).all():
            raise ValueError("bits: only 0 and 1 are allowed")
        rows = self._rows
        batch = int(np.prod(bits.shape[:-1]))
        codeword = np.zeros((batch, rows.n_columns, self.lifting_size), dtype=np.uint8)
        flat = codeword.reshape(batch, rows.n_columns * self.lifting_size)
        flat[:, : self.k] = bits.reshape(batch, self.k)
        back_substitution.encode(
            codeword, rows.starts, rows.columns, rows.shifts, rows.extension, INFO_COLUMNS[self._graph],
            rows.core_shift,
        )  # fmt: skip
        return flat[:, self._index].reshape(*bits.shape[:-1], self.e)

    def decode(self, llr: np.ndarray, iterations: int = 20) -> DecodeResult:
        """Decode by layered corrected min-sum (A-min*), stopping at the first codeword.

        Args:
            llr: real, shape [..., e], ln P(1)/P(0): positive means bit 1. 0 and NaN mean erased; magnitudes
                are clipped at 1e5, infinities included. A scale wrong by 1 dB costs about 0.1 dB;
                2 dB too large 0.3 dB, and much too small LLRs do not decode.
            iterations: most iterations, at least 1.

        Returns:
            DecodeResult. `ok` proves a codeword, not the one sent: only a CRC tells that.

        Raises:
            ValueError: `llr` has another length or is not real, or `iterations` is not positive.
        """
        llr = np.asarray(llr)
        if llr.ndim == 0 or llr.shape[-1] != self.e or llr.dtype.kind not in "buif":
            raise ValueError(f"llr: real, shape [..., {self.e}] is needed, not {llr.dtype} {llr.shape}")
        if iterations != int(iterations) or iterations < 1:
            raise ValueError(f"iterations: a positive whole number is needed, not {iterations!r}")
        with np.errstate(over="ignore"):  # float64 beyond float32 becomes infinite, which is allowed
            blocks = np.array(llr, dtype=np.float32, order="C").reshape(-1, self.e)
        batch, shape = len(blocks), llr.shape[:-1]
        result = DecodeResult(np.empty((batch, self.k), np.uint8), np.empty(batch, bool), np.empty(batch, np.int32))
        min_sum.decode(blocks, self._layout, int(iterations), *result)
        return DecodeResult(*(part.reshape(shape + part.shape[1:]) for part in result))


class _Rows(NamedTuple):
    """The rows of the base graph that a code uses, as the encoder walks them."""

    n_columns: int
    starts: np.ndarray
    columns: np.ndarray
    shifts: np.ndarray
    core_shift: int
    extension: np.ndarray

    @classmethod
    def build(cls, graph: int, size: int, k: int, index: np.ndarray) -> "_Rows":
        """Keep the four core rows and those whose extension bit is sent; drop columns that hold only filler bits."""
        info = INFO_COLUMNS[graph]
        rows, columns, shifts = base_graph(graph)
        shifts = shifts[:, _lifting_set(size)] % size
        core = shifts[(rows < _CORE_ROWS) & (columns == info)]
        sent = np.unique(index // size)
        kept = np.concatenate([np.arange(_CORE_ROWS), sent[sent >= info + _CORE_ROWS] - info])
        extension = np.where(kept < _CORE_ROWS, -1, kept + info)
        used = np.isin(rows, kept) & (columns < info + _CORE_ROWS) & ((columns * size < k) | (columns >= info))
        counts = np.bincount(np.searchsorted(kept, rows[used]), minlength=len(kept))
        return cls(
            n_columns=int(max(info + _CORE_ROWS, extension.max() + 1)),
            starts=np.concatenate([[0], np.cumsum(counts)]),
            columns=np.ascontiguousarray(columns[used]),
            shifts=np.ascontiguousarray(shifts[used]),
            # Two of the three elements of the first parity column are alike and cancel; 0 stays where all are.
            core_shift=int(np.bitwise_xor.reduce(core)),
            extension=extension,
        )


def _check_arguments(k: int, e: int, bits_per_symbol: int, graph: int | None, rv: int) -> None:
    for name, value in (("k", k), ("e", e), ("bits_per_symbol", bits_per_symbol)):
        if not isinstance(value, (int, np.integer)) or value < 1:
            raise ValueError(f"{name}: a positive whole number is needed, not {value!r}")
    if k > MAX_RATE * e:
        raise ValueError(f"e: {e} bits are too few for k={k}, the rate {k / e:.3f} exceeds {MAX_RATE}")
    if e % bits_per_symbol:
        raise ValueError(f"e: {e} is not a multiple of bits_per_symbol={bits_per_symbol}")
    if graph not in (None, 1, 2):
        raise ValueError(f"base_graph: 1, 2 or None is needed, not {graph!r}")
    if rv not in (0, 1, 2, 3):
        raise ValueError(f"rv: 0, 1, 2 or 3 is needed, not {rv!r}")


def _select_base_graph(k: int, e: int) -> int:
    """TS 38.212 clauses 6.2.2 and 7.2.2: graph 2 for short blocks and low rates."""
    return 2 if k <= 292 or (k <= 3824 and k <= 0.67 * e) or 4 * k <= e else 1


def _select_lifting_size(k: int, graph: int) -> int:
    """Smallest Z with K_b Z >= k; graph 2 leaves whole information columns empty for short blocks (5.2.2)."""
    if graph == 1:
        columns = 22
    else:
        columns = 10 if k > 640 else 9 if k > 560 else 8 if k > 192 else 6
    return next(size for size in LIFTING_SIZES if columns * size >= k)


def _lifting_set(size: int) -> int:
    return next(i for i, sizes in enumerate(LIFTING_SETS) if size in sizes)


def _rate_matching(code: LdpcCode, graph: int, size: int) -> np.ndarray:
    """Position in the codeword (punctured bits included) of each sent bit: 5.4.2.1, then the interleaver 5.4.2.2."""
    buffer: np.ndarray = np.arange(2 * size, COLUMNS[graph] * size)  # the first two columns are never sent
    buffer = np.roll(buffer, -_START[graph][code.rv] * size)
    buffer = buffer[(buffer < code.k) | (buffer >= INFO_COLUMNS[graph] * size)]  # filler bits are skipped
    selected = np.resize(buffer, code.e)  # repeats from the start when the buffer is exhausted
    return np.ascontiguousarray(selected.reshape(code.bits_per_symbol, -1).T).reshape(-1)
