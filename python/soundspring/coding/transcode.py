# SPDX-License-Identifier: GPL-3.0-or-later
"""One layer group of a superframe to the payload of one packet, and back.

Both ends run the same walk (`_walk`) over the same arrays: what is not visible yet stands as zero, so nothing can leak.
Payload: [token check][range-coded: form, copies, tokens]. The check stands first, so zero bits behind the payload
(padding to bytes, to a code block, to a burst of fixed size) are harmless and no length needs to be told.
docs/wire-format.md has the bits.
"""
from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

from . import copies, pmf
from .crc import POLYNOMIALS, crc, to_bits, to_int
from .range_coder import Decoder, Encoder
from .search import Cost

TOKEN_BITS = 10
FORM_WEIGHT = 64  # one payload in so many is expected to be coded with the static table; far fewer are
SCHEDULE_5 = ((2,), (0, 4), (1, 3))  # the middle frame first, then what it helps on both sides


class PmfSource(Protocol):
    """What a model offers to the coder. Both are functions of their arguments alone, up to float64 noise."""

    def begin(self, tokens: np.ndarray, visible: np.ndarray) -> Any:
        """One pass over the window: tokens int16 [T, K] (0 where not visible), visible bool [T, K]; any state."""

    def logits(self, state: Any, frames: np.ndarray, layer: int, tokens: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Logits in nats, float64 [n, N], of `layer` in the frames int [n] of the window; `state` stays unchanged.

        May condition on the lower layers of the same frame where known bool [T, K] is set; other tokens are 0.
        """


class Choice(Protocol):
    """What to code in the frames of a step."""

    def best(self, n: int) -> np.ndarray:
        """Tokens int16 [f, n] for the group's first n layers."""

    def bits(self, n: int) -> float:
        """About how many bits they cost."""


_Rows = dict[tuple[int, int, bytes], tuple[np.ndarray, bool]]
# choose(frames int [f] of the superframe, cost: see search.Cost) -> a Choice.
Choose = Callable[[np.ndarray, Cost], Choice]


@dataclass(frozen=True)
class Group:
    """What both ends know about a layer group beforehand.

    index: its number in the superframe, 0 = base. layers: [start, stop). frames: frames of the superframe. schedule:
    steps, each the frames coded side by side; a step sees the tokens of earlier ones. check_bits: width of the token
    check. elastic: the number of layers sent is told in the payload (0..stop - start) instead of being all of them.
    copies: how many of the lowest layers of the superframe before, of the one before that, ... the packet carries too
    (fewer where there are no more); copy_schedule: the order of their frames.
    """

    index: int
    layers: tuple[int, int]
    frames: int = 5
    schedule: tuple[tuple[int, ...], ...] | None = None
    check_bits: int = 11
    elastic: bool = False
    copies: tuple[int, ...] = ()
    copy_schedule: tuple[tuple[int, ...], ...] | None = None

    def __post_init__(self) -> None:
        default = SCHEDULE_5 if self.frames == 5 else tuple((i,) for i in range(self.frames))
        for name in ("schedule", "copy_schedule"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
            steps = getattr(self, name)
            if sorted(f for step in steps for f in step) != list(range(self.frames)) or self.frames < 1:
                raise ValueError(f"{name}: must name each of the frames 0..{self.frames - 1} once; got {steps}")
        if not 0 <= self.layers[0] < self.layers[1]:
            raise ValueError(f"layers: must be (start, stop) with 0 <= start < stop; got {self.layers}")
        if self.check_bits not in POLYNOMIALS:
            raise ValueError(f"check_bits: must be one of {sorted(POLYNOMIALS)}; got {self.check_bits}")
        if not 0 <= self.index < 256:
            raise ValueError(f"index: must be 0..255; got {self.index}")

    @property
    def steps(self) -> tuple[tuple[int, ...], ...]:
        """The schedule, which is there once this is made."""
        return self.schedule or ()

    @property
    def copy_steps(self) -> tuple[tuple[int, ...], ...]:
        """The same of the copies."""
        return self.copy_schedule or ()

    @property
    def size(self) -> int:
        """Number of layers at most."""
        return self.layers[1] - self.layers[0]


@dataclass(frozen=True)
class EncodedGroup:
    """bits uint8 [n]; tokens int16 [frames, n_layers] that were coded; layers sent; fallback: coded with the static
    table; model_bits: ideal length of the tokens; copy_bits: of the copies before them."""

    bits: np.ndarray
    tokens: np.ndarray
    n_layers: int
    fallback: bool
    model_bits: float
    copy_bits: float = 0.0


@dataclass(frozen=True)
class DecodedGroup:
    """tokens int16 [frames, n_layers]; status "ok", "desync" (bits or context wrong) or "truncated" (no room for a
    check).

    Without "ok" there are no tokens: shape [frames, 0]. copies: tokens int16 [frames, layers] of the superframes
    before, the nearest first.
    """

    tokens: np.ndarray
    n_layers: int
    fallback: bool
    status: str
    copies: tuple[np.ndarray, ...] = ()


class _BadLogits(Exception):
    """Logits nothing can be coded upon: too near a rounding boundary, NaN or infinite."""


class _Full(Exception):
    """The code has outgrown its room."""


def token_check(tokens: np.ndarray, group: Group, sequence: int, carried: Sequence[np.ndarray] = ()) -> int:
    """CRC over sequence (8 bits) and group index (8), then the layer count (8) and the tokens [frames, n], frame by
    frame (10 each), of this group and of each copy."""
    parts = [to_bits(value, 8) for value in (sequence % 256, group.index)]
    for block in (tokens, *carried):
        body = block.astype(np.int64).reshape(-1, 1) >> np.arange(TOKEN_BITS - 1, -1, -1) & 1
        parts += [to_bits(block.shape[1], 8), body.ravel().astype(np.uint8)]
    return crc(np.concatenate(parts), group.check_bits)


def encode_group(source: PmfSource, tokens: np.ndarray, visible: np.ndarray, group: Group, *, offset: int = 0,
                 sequence: int = 0, max_bits: int | None = None, static: pmf.StaticPmf | None = None,
                 choose: Choose | None = None, earlier: Sequence[int] = ()) -> EncodedGroup:
    """Code the tokens of `group`: tokens int16 [T, K] of a window whose superframe starts at frame `offset`.

    visible bool [T, K] is what the decoder knows already. With max_bits (elastic groups only) as many whole layers are
    sent as fit. static: the table used when logits are too near a rounding boundary (None: 10 bits a token).
    choose: codes what it chooses instead of these, see `Choose`. earlier: how many layers there are to copy of the
    superframe before, of the one before that, ...; copies fill half of max_bits at most.
    Raises ValueError on wrong shapes, entries, visibility, or a max_bits that holds not even an empty payload.
    """
    job = _Job(source, tokens, visible, group, offset, static, choose)
    if max_bits is None:
        job.write_copies(earlier, None)
        result = job.encode(group.size, None)
    else:
        if not group.elastic:
            raise ValueError("max_bits: needs a group with elastic=True, otherwise the layers may not fit")
        room = max_bits - group.check_bits
        if room < _form_bits(group):
            raise ValueError(f"max_bits: must be at least {group.check_bits + _form_bits(group)} for this group; "
                             f"got {max_bits}")
        job.write_copies(earlier, room)
        result = job.fill(room)
    assert result is not None  # all fits where there is no limit, and an empty payload into any that passed
    coder, sent, fallback, model_bits = result
    carried = copies.nothing(job.past) if fallback else job.copies
    check = token_check(sent, group, sequence, carried.tokens)
    bits = np.concatenate([to_bits(check, group.check_bits), coder.finish()])
    return EncodedGroup(bits, sent, sent.shape[1], fallback, model_bits, carried.bits)


def decode_group(source: PmfSource, bits: np.ndarray, tokens: np.ndarray, visible: np.ndarray, group: Group, *,
                 offset: int = 0, sequence: int = 0, static: pmf.StaticPmf | None = None) -> DecodedGroup:
    """Undo `encode_group`, given the same visible tokens. Zero bits behind the payload may be there or not.

    Any bits are survived: wrong ones, a wrong context or a wrong model end in a status, not in an exception.
    """
    failed = np.zeros((group.frames, 0), np.int16)
    job = _Job(source, np.where(visible, tokens, 0), visible, group, offset, static)
    if len(bits) < group.check_bits:
        return DecodedGroup(failed, 0, False, "truncated")
    check, coder = to_int(bits[:group.check_bits]), Decoder(bits[group.check_bits:])
    n, fallback = divmod(coder.decode(_form_cumulative(group)), 2)
    n = n if group.elastic else group.size
    try:
        out = job.decode(coder, n, bool(fallback))
    except _BadLogits:
        return DecodedGroup(failed, 0, bool(fallback), "desync")
    if not coder.ends_clean() or token_check(out, group, sequence, job.copies.tokens) != check:
        return DecodedGroup(failed, 0, bool(fallback), "desync")
    return DecodedGroup(out, n, bool(fallback), "ok", job.copies.tokens)


def _form_cumulative(group: Group) -> np.ndarray:
    """Cumulative PMF of the form symbol 2 n + fallback (only `fallback` where the layer count is fixed)."""
    if not group.elastic:
        return _cumulative(np.array([FORM_WEIGHT - 1, 1]))
    weights = np.tile([FORM_WEIGHT - 1, 1], group.size + 1)
    weights[-2:] *= group.size  # all layers fit half of the time, any smaller number is equally likely
    return _cumulative(weights)


@dataclass
class _Pmfs:
    """cumulative int64 [f, N + 1] of one layer in the frames of a step; near: see pmf.near_boundary."""

    cumulative: np.ndarray
    near: bool

    def code_length(self, symbols: np.ndarray) -> float:
        """Ideal bits of `symbols` [f], summed."""
        rows, symbols = np.arange(len(symbols)), symbols.astype(np.int64)
        chosen = self.cumulative[rows, symbols + 1] - self.cumulative[rows, symbols]
        return float(np.sum(np.log2(self.cumulative[:, -1]) - np.log2(chosen)))

    def bits(self) -> np.ndarray:
        """What every entry costs, float32 [f, N]."""
        freqs = np.diff(self.cumulative).astype(np.float32)
        return np.log2(freqs.sum(1, keepdims=True)) - np.log2(freqs)


def _cumulative(freqs: np.ndarray) -> np.ndarray:
    """Frequencies [N] to 0, f0, f0 + f1, ..., total [N + 1]."""
    return np.concatenate([[0], np.cumsum(freqs)])


def _put(coder: Encoder, cumulative: np.ndarray, symbol: int) -> int:
    """Encode `symbol` under cumulative [N + 1]; returns it, so that writing looks like reading."""
    low, high = int(cumulative[symbol]), int(cumulative[symbol + 1])
    coder.encode(low, high - low, int(cumulative[-1]))
    return symbol


def _form_bits(group: Group) -> int:
    """Upper limit of the bits of a payload without tokens and copies, check not counted."""
    return int(np.ceil(np.log2(_form_cumulative(group)[-1]) + copies.empty_bits(group))) + 1


class _Job:
    """One group, one window: the checked arguments and the walks over them."""

    def __init__(self, source: PmfSource, tokens: np.ndarray, visible: np.ndarray, group: Group, offset: int,
                 static: pmf.StaticPmf | None, choose: Choose | None = None):
        tokens, visible = np.asarray(tokens), np.asarray(visible, dtype=bool)
        if tokens.ndim != 2 or tokens.shape != visible.shape:
            raise ValueError(f"tokens, visible: must be [T, K] alike; got {list(tokens.shape)}, {list(visible.shape)}")
        if not 0 <= offset <= len(tokens) - group.frames or max(group.layers[1], *group.copies, 0) > tokens.shape[1]:
            raise ValueError(f"offset, group: frames {offset}..{offset + group.frames - 1} and layers below "
                             f"{group.layers[1]} must lie in the window {list(tokens.shape)}")
        if offset < len(group.copies) * group.frames:
            raise ValueError(f"offset: must leave room for {len(group.copies)} superframes before; got {offset}")
        self.span = slice(offset, offset + group.frames)
        self.truth = tokens[self.span]
        own = slice(*group.layers)
        if visible[self.span, own].any():
            raise ValueError("visible: must be False for the tokens that are to be coded")
        used = np.concatenate([tokens[visible], self.truth[:, own].ravel()])
        if used.min() < 0 or used.max() >= 1 << TOKEN_BITS:
            raise ValueError(f"tokens: must be 0..{(1 << TOKEN_BITS) - 1}; got {used.min()}..{used.max()}")
        self.source, self.group, self.offset, self.visible = source, group, offset, visible
        self.static = static or pmf.StaticPmf.flat(group.layers[1])
        # What the job holds must not hold it: it is large, and would stay until a garbage collection that comes rarely.
        self.me = me = weakref.proxy(self)
        self.choose = choose or (lambda frames, _: _Given(me, frames))
        self.known_tokens = np.where(visible, tokens, 0).astype(np.int16)
        self.past = tokens[offset - len(group.copies) * group.frames : offset].astype(np.int16)  # what may be copied
        self.copies = copies.nothing(self.past)
        self._first_state: Any = None
        self._later_state: Any = None
        # Cumulative int64 [N + 1], near by layer, frame, lower tokens.
        self._first_rows: _Rows = {}
        self._later_rows: _Rows = {}
        self._first_choices: dict[tuple[int, ...], Choice] = {}  # by frames

    def write_copies(self, earlier: Sequence[int], room: int | None) -> None:
        """Prepare the copies, which are the same in every attempt: fewer layers where half the room does not hold
        them, none where they cannot be coded."""
        none = [0] * len(self.group.copies)
        layers = [min(pair) for pair in zip(self.group.copies, [*earlier, *none], strict=False)]
        limit = np.inf if room is None else (room - _form_bits(self.group)) / 2
        while any(layers):
            try:
                found = copies.write(self.source, self.group, self.past, layers)
            except ValueError:
                break
            if found.bits <= limit:
                return self._know(found)
            layers = [int(n * limit / found.bits) for n in layers]
        self._know(copies.write(self.source, self.group, self.past, none))

    def _know(self, found: copies.Copies) -> None:
        """Copies are context of a group that begins with layer 0; layers above gain nothing, so they go without."""
        size = len(self.past)
        if self.group.layers[0] == 0:
            own = slice(self.offset - size, self.offset)
            self.visible = self.visible.copy()
            self.known_tokens[own] = np.where(found.visible, found.known, self.known_tokens[own])
            self.visible[own] |= found.visible
        else:
            self.known_tokens, self.visible = self.known_tokens[size:], self.visible[size:]
            self.offset -= size
            self.span = slice(self.offset, self.offset + self.group.frames)
        self.copies = found

    def _begin(self, tokens: np.ndarray, visible: np.ndarray, first: bool) -> Any:
        """Trunk pass; the first one sees the same in every attempt, so it is done once."""
        if not first:
            return self.source.begin(tokens, visible)
        if self._first_state is None:
            self._first_state = self.source.begin(tokens, visible)
        return self._first_state

    def _rows(self, state: Any) -> _Rows:
        """PMFs of single frames that were asked for: of the first trunk pass, which is common to all attempts, and of
        the latest other one."""
        if state is self._first_state:
            return self._first_rows
        if state is not self._later_state:
            self._later_state, self._later_rows = state, {}
        return self._later_rows

    def _pmfs(self, state: Any, frames: np.ndarray, layer: int, tokens: np.ndarray, known: np.ndarray) -> _Pmfs:
        """PMFs of `layer`; the search, or another attempt, often asked for the same before."""
        rows = self._rows(state)
        keys = [(layer, int(f), tokens[f + self.offset, :layer].tobytes()) for f in frames]
        new = [i for i, key in enumerate(keys) if key not in rows]
        if new:
            logits = self.source.logits(state, frames[new] + self.offset, layer, tokens, known)
            try:
                found, near = pmf.cumulative(logits)
            except ValueError as error:
                raise _BadLogits from error
            rows.update((keys[i], (row, near)) for i, row in zip(new, found, strict=True))
        found = found if len(new) == len(keys) else np.stack([rows[key][0] for key in keys])
        return _Pmfs(found, any(rows[key][1] for key in keys))

    def _choice(self, state: Any, frames: np.ndarray, work: np.ndarray, seen: np.ndarray) -> Choice:
        """What to code in these frames; that of the first trunk pass is the same in every attempt."""
        if state is self._first_state and tuple(frames) in self._first_choices:
            return self._first_choices[tuple(frames)]
        me, start = self.me, self.group.layers[0]

        def cost(frames: np.ndarray, layer: int, lower: np.ndarray) -> np.ndarray:
            tokens, known = work.copy(), seen.copy()
            tokens[frames + me.offset, start:layer], known[frames + me.offset, start:layer] = lower, True
            return me._pmfs(state, frames, layer, tokens, known).bits()
        choice = self.choose(frames, cost)
        if state is self._first_state:
            self._first_choices[tuple(frames)] = choice
        return choice

    def _walk(self, n: int, code: Callable[[_Pmfs, np.ndarray], np.ndarray],
              choose: Callable[..., np.ndarray] | None = None) -> np.ndarray:
        """The order of everything: step by step, layer by layer, frame by frame. Returns the tokens int16 [frames, n].

        choose(state, frames [f], work, seen) -> the tokens int16 [f, n] to write in a step; code(PMFs, token [f] of
        them) gives the tokens [f] of a layer, read or written.
        """
        work, seen, start = self.known_tokens.copy(), self.visible.copy(), self.group.layers[0]
        for number, step in enumerate(self.group.steps if n else ()):
            frames = np.array(step)
            state = self._begin(work.copy(), seen.copy(), number == 0)
            chosen = choose(state, frames, work, seen) if choose else np.zeros((len(frames), n), np.int16)
            for layer in range(start, start + n):
                pmfs = self._pmfs(state, frames, layer, work, seen)
                work[frames + self.offset, layer] = code(pmfs, chosen[:, layer - start])
                seen[frames + self.offset, layer] = True
        return work[self.span, start:start + n]

    def _static_cost(self, frames: np.ndarray, layer: int, lower: np.ndarray) -> np.ndarray:
        """search.Cost by the static table."""
        freqs = self.static.frequencies(layer)
        return np.tile(np.log2(freqs.sum() / freqs).astype(np.float32), (len(frames), 1))

    def _static_walk(self, n: int, code: Callable[[np.ndarray, int], int], own: np.ndarray | None = None) -> np.ndarray:
        """The same order with the static table: code(cumulative [N + 1], token of own [frames, n]) gives the token."""
        start = self.group.layers[0]
        out = np.zeros((self.group.frames, n), np.int16)
        own = out if own is None else own
        tables = [_cumulative(self.static.frequencies(start + i)) for i in range(n)]
        for step in self.group.steps:
            for i in range(n):
                for frame in step:
                    out[frame, i] = code(tables[i], int(own[frame, i]))
        return out

    def decode(self, coder: Decoder, n: int, fallback: bool) -> np.ndarray:
        """Tokens int16 [frames, n], and those of `copies`; `coder` stands behind the form symbol."""
        if fallback:
            return self._static_walk(n, lambda cumulative, _: coder.decode(cumulative))
        try:
            self._know(copies.walk(self.source, self.group,
                                   lambda cumulative, *_: np.array([coder.decode(row) for row in cumulative]),
                                   self.past, [0] * len(self.group.copies)))
        except ValueError as error:
            raise _BadLogits from error

        def read(pmfs: _Pmfs, _: np.ndarray) -> np.ndarray:
            return np.array([coder.decode(row) for row in pmfs.cumulative])
        return self._walk(n, read)

    def encode(self, n: int, room: int | None) -> tuple[Encoder, np.ndarray, bool, float] | None:
        """Code n layers with the model, with the static table where the guard trips; None when `room` is too small."""
        coder, model_bits = Encoder(), 0.0
        _put(coder, _form_cumulative(self.group), self._form(n, False))
        for cumulative, symbol in self.copies.symbols:
            _put(coder, cumulative, symbol)

        def choose(state: Any, frames: np.ndarray, work: np.ndarray, seen: np.ndarray) -> np.ndarray:
            return self._choice(state, frames, work, seen).best(n)

        def write(pmfs: _Pmfs, chosen: np.ndarray) -> np.ndarray:
            nonlocal model_bits
            if pmfs.near:
                raise _BadLogits
            model_bits += pmfs.code_length(chosen)
            for row, token in zip(pmfs.cumulative, chosen, strict=True):
                _put(coder, row, int(token))
            if room is not None and coder.bits_if_finished() > room:  # more symbols never make it shorter
                raise _Full
            return chosen
        try:
            sent = self._walk(n, write, choose)
        except _BadLogits:
            return self.encode_static(n, room)
        except _Full:
            return None
        return coder, sent, False, model_bits

    def encode_static(self, n: int, room: int | None) -> tuple[Encoder, np.ndarray, bool, float]:
        """Code with the static table n layers, or as many of them as fit."""
        own = self.choose(np.arange(self.group.frames), self._static_cost).best(n)
        for count in range(n, -1, -1):
            coder = Encoder()
            _put(coder, _form_cumulative(self.group), self._form(count, True))
            self._static_walk(count, partial(_put, coder), own)
            if room is None or coder.bits_if_finished() <= room:
                break
        bits = self.static.code_length(own[:, :count], self.group.layers[0])
        return coder, own[:, :count], True, float(bits.sum())

    def fill(self, room: int) -> tuple[Encoder, np.ndarray, bool, float]:
        """The most layers that fit into `room` bits: all, or a guess from one trunk pass, corrected by coding."""
        best = self.encode(self.group.size, room)
        if best is not None:
            return best
        try:
            left = room - self.copies.bits
            costs = self._layer_costs(left)
        except _BadLogits:
            return self.encode_static(self.group.size, room)
        n = min(int(np.searchsorted(np.cumsum(costs), left, side="right")), self.group.size - 1)
        best = self.encode(n, room)
        while best is None:
            n -= 1
            best = self.encode(n, room)
            if best is not None:
                return best
        # Frames coded later know more than in the guess, so one layer more may fit after all.
        while n < min(len(costs), self.group.size - 1) and not best[2]:
            gain = best[3] / sum(costs[:n]) if n else 1.0
            if best[0].bits_if_finished() + gain * costs[n] > room + 3:  # the end may turn out short by luck
                break
            n += 1
            more = self.encode(n, room)
            if more is None or more[2]:
                break
            best = more
        return best

    def _layer_costs(self, room: float) -> list[float]:
        """Ideal bits of the layers, lowest first, each knowing the lower ones; ends with the first beyond `room`."""
        state = self._begin(self.known_tokens.copy(), self.visible.copy(), True)
        frames, (start, stop) = np.arange(self.group.frames), self.group.layers
        choice, total = self._choice(state, frames, self.known_tokens, self.visible), [0.0]
        while len(total) <= stop - start and total[-1] <= room:
            total.append(max(total[-1], choice.bits(len(total))))
        return list(np.diff(total))

    def _form(self, n: int, fallback: bool) -> int:
        return 2 * (n if self.group.elastic else 0) + fallback


class _Given:
    """The tokens of a job as they are, in `frames`: a Choice where there is none."""

    def __init__(self, job: _Job, frames: np.ndarray):
        self.job, self.frames, self.start, self.total = job, frames, job.group.layers[0], [0.0]

    def best(self, n: int) -> np.ndarray:
        return self.job.truth[self.frames, self.start:self.start + n]

    def bits(self, n: int) -> float:
        """By the model, in a first step with all the frames."""
        job = self.job
        work, known = job.known_tokens.copy(), job.visible.copy()
        while len(self.total) <= n:
            layer = self.start + len(self.total) - 1
            work[job.span, self.start:layer], known[job.span, self.start:layer] = self.best(layer - self.start), True
            pmfs = job._pmfs(job._first_state, self.frames, layer, work, known)
            self.total.append(self.total[-1] + pmfs.code_length(job.truth[self.frames, layer]))
        return self.total[n]
