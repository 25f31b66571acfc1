# SPDX-License-Identifier: GPL-3.0-or-later
"""A row of superframes to payloads and back: the sequence numbers, the window, and what may lean on what.

Both ends keep the same short history, a `_Slot` per superframe; the policy says which packets of it a packet is
coded upon (`policy.py`), and `transcode.py` codes one packet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from . import pmf
from .policy import context, dependencies
from .search import RateDistortionSearch
from .transcode import EncodedGroup, Group, PmfSource, decode_group, encode_group


@dataclass(frozen=True)
class Plan:
    """What both ends agree on: superframe [frames], groups (layer at which each ends), policy and schedule of the base.

    past: earlier superframes in the window. room: payload bits of each group (None: variable length, all layers sent);
    where it names fewer groups, the last ones are not sent.
    copies: how many of the lowest layers of the superframe before, of the one before that, ... the last group's packet
    carries too.
    check_bits: width of each group's token check.
    """

    frames: int
    groups: tuple[int, ...]
    policy: str
    past: int
    refresh: int
    schedule: tuple[tuple[int, ...], ...]
    room: tuple[int, ...] | None = None
    check_bits: tuple[int, ...] = field(default=())
    copies: tuple[int, ...] = ()

    @property
    def layers(self) -> int:
        return self.groups[-1]

    def group(self, index: int) -> Group:
        """The base follows the schedule; an enhancement packet takes one pass: its layers gain little from more."""
        start = self.groups[index - 1] if index else 0
        schedule = self.schedule if index == 0 else (tuple(range(self.frames)),)
        checks = self.check_bits or (11,) + (8,) * (len(self.groups) - 1)
        copies = self.copies if index == len(self.groups) - 1 else ()
        return Group(index, (start, self.groups[index]), self.frames, schedule, checks[index], self.room is not None,
                     copies, self.schedule)

    def needs(self, group: int, sequence: int) -> tuple[tuple[int, int], ...]:
        return dependencies(
            self.policy, group, sequence, groups=len(self.groups), window=self.past, refresh=self.refresh
        )


@dataclass
class _Slot:
    """One superframe as known so far: tokens int16 [S, K], and the mask bool [S, K] of each packet that is there."""

    tokens: np.ndarray
    masks: dict[int, np.ndarray]

    def known(self) -> np.ndarray:
        """bool [S, K]: tokens of any packet that is there."""
        return np.logical_or.reduce([np.zeros(self.tokens.shape, bool), *self.masks.values()])

    def whole_layers(self) -> int:
        """How many layers, from the lowest on, are there in all frames."""
        return int(np.logical_and.accumulate(self.known().all(0)).sum())


class _History:
    """The superframes of the window, by sequence number."""

    def __init__(self, plan: Plan):
        self.plan = plan
        self.slots: dict[int, _Slot] = {}

    def open(self, sequence: int) -> _Slot:
        p = self.plan
        slot, reach = _Slot(np.zeros((p.frames, p.layers), np.int16), {}), max(p.past, len(p.copies))
        self.slots = {s: v for s, v in self.slots.items() if 0 < sequence - s <= reach} | {sequence: slot}
        return slot

    def layers_before(self, sequence: int) -> list[int]:
        """Layers that there are to copy of the superframe before, of the one before that, ..."""
        slots = [self.slots.get(sequence - back) for back in range(1, len(self.plan.copies) + 1)]
        return [slot.whole_layers() if slot else 0 for slot in slots]

    def window(self, sequence: int, group: int) -> tuple[np.ndarray, np.ndarray, int] | None:
        """tokens, visible [T, K] and the offset of the superframe in them; None when a needed packet is missing."""
        p = self.plan
        needed = p.needs(group, sequence)
        back = max([len(p.group(group).copies), *(b for b, _ in needed)])
        tokens = np.zeros(((back + 1) * p.frames, p.layers), np.int16)
        present: dict[tuple[int, int], np.ndarray | None] = {}
        for b in range(back + 1):
            slot = self.slots.get(sequence - b)
            own = slice((back - b) * p.frames, (back - b + 1) * p.frames)
            if slot is None:
                continue
            tokens[own] = slot.tokens
            for g, mask in slot.masks.items():
                present[b, g] = there = np.zeros(tokens.shape, bool)
                there[own] = mask
        visible = context(needed, present, (len(tokens), p.layers))
        return None if visible is None else (tokens, visible, back * p.frames)

    def mask(self, group: Group, n_layers: int) -> np.ndarray:
        out = np.zeros((self.plan.frames, self.plan.layers), bool)
        out[:, group.layers[0] : group.layers[0] + n_layers] = True
        return out


class SuperframeEncoder:
    """tokens of one superframe after the other -> the payloads of its packets. `source` is a PmfSource.

    search: chooses what is coded by its error and its bits, where the latents are at hand.
    """

    def __init__(
        self,
        source: PmfSource,
        plan: Plan,
        static: pmf.StaticPmf | None = None,
        search: RateDistortionSearch | None = None,
    ):
        self.source, self.plan, self.static, self.search = source, plan, static, search
        self.history, self.sequence = _History(plan), 0

    def push(
        self, tokens: np.ndarray | None = None, latent: np.ndarray | None = None, room: Sequence[int] | None = None
    ) -> tuple[int, list[EncodedGroup]]:
        """tokens int16 [S, K] or latent float32 [S, latent] -> (sequence number, one EncodedGroup per packet).

        Where there are a search and latents, it chooses the tokens that are sent, whatever `tokens` says. room: that of
        this superframe, where the plan has one too.
        Raises ValueError on another shape of the tokens, or where there are none but nothing to search in.
        """
        p = self.plan
        rooms: Sequence[int | None] = room or p.room or (None,) * len(p.groups)
        search = self.search if latent is not None else None
        if tokens is None:
            if search is None:
                raise ValueError("tokens: needed without latents or without a search (rate_weight 0)")
            tokens = np.zeros((p.frames, p.layers), np.int16)
        if tokens.shape != (p.frames, p.layers):
            raise ValueError(f"tokens: expected shape {(p.frames, p.layers)}, got {tokens.shape}")
        sequence, slot, out = self.sequence, self.history.open(self.sequence), []
        for index, max_bits in enumerate(rooms):
            group = p.group(index)
            found = self.history.window(sequence, index)
            assert found is not None  # where packets are made none is missing
            window, visible, offset = found
            own, choose = slice(*group.layers), None
            window[offset : offset + p.frames, own] = tokens[:, own]
            if search is not None and latent is not None:
                choose = search.above(latent, slot.tokens, slot.known(), own.start)
            coded = encode_group(
                self.source,
                window,
                visible,
                group,
                offset=offset,
                sequence=sequence,
                max_bits=max_bits,
                static=self.static,
                choose=choose,
                earlier=self.history.layers_before(sequence),
            )
            mask = self.history.mask(group, coded.n_layers)
            slot.tokens[mask], slot.masks[index] = coded.tokens.ravel(), mask
            out.append(coded)
        self.sequence += 1
        return sequence, out


@dataclass(frozen=True)
class DecodedSuperframe:
    """tokens int16 [S, K], received bool [S, K], and each packet's fate: "ok", "lost", "undecodable" or "desync".

    sent: layers of which there may have been tokens in the packets; those above belong to packets that are not sent.
    copies: tokens int16 [S, layers] of the superframe before, of the one before that, ..., as far as they came along.
    """

    sequence: int
    tokens: np.ndarray
    received: np.ndarray
    status: tuple[str, ...]
    sent: int
    copies: tuple[np.ndarray, ...] = ()


class SuperframeDecoder:
    """Payloads (or their absence) -> tokens and what of them is known. Never raises on wrong bits."""

    def __init__(self, source: PmfSource, plan: Plan, static: pmf.StaticPmf | None = None):
        self.source, self.plan, self.static = source, plan, static
        self.history = _History(plan)

    def push(self, sequence: int, payloads: Sequence[np.ndarray | None]) -> DecodedSuperframe:
        """payloads: uint8 bits of each packet that is sent, None where lost; `sequence` unwrapped, rising.

        Raises ValueError on more payloads than groups, or none, and on a sequence that does not rise.
        """
        p = self.plan
        if not 1 <= len(payloads) <= len(p.groups):
            raise ValueError(f"payloads: expected 1 to {len(p.groups)} (None for lost ones), got {len(payloads)}")
        if self.history.slots and sequence <= max(self.history.slots):
            raise ValueError(f"sequence: {sequence} comes after {max(self.history.slots)}; sort the packets first")
        slot, status = self.history.open(sequence), []
        copies: tuple[np.ndarray, ...] = ()
        for index, bits in enumerate(payloads):
            fate, found = ("lost", ()) if bits is None else self._packet(sequence, index, bits, slot)
            status.append(fate)
            copies = copies or found
        return DecodedSuperframe(
            sequence, slot.tokens, slot.known(), tuple(status), p.groups[len(payloads) - 1], copies
        )

    def _packet(self, sequence: int, index: int, bits: np.ndarray, slot: _Slot) -> tuple[str, tuple[np.ndarray, ...]]:
        """What became of it, and the copies in it."""
        found = self.history.window(sequence, index)
        if found is None:
            return "undecodable", ()
        tokens, visible, offset = found
        group = self.plan.group(index)
        got = decode_group(
            self.source, bits, tokens, visible, group, offset=offset, sequence=sequence, static=self.static
        )
        if got.status != "ok":
            return "desync", ()
        mask = self.history.mask(group, got.n_layers)
        slot.tokens[mask], slot.masks[index] = got.tokens.ravel(), mask
        return "ok", got.copies


class Repair:
    """Superframes wait until all copies of them have had their time; those fill what is missing.

    waiting: how many superframes later the last copy comes, the length of a plan's `copies`.
    """

    def __init__(self, waiting: int):
        self.room = waiting
        self.waiting: list[DecodedSuperframe] = []

    def push(self, decoded: DecodedSuperframe) -> DecodedSuperframe | None:
        """The next superframe, lost or not -> the one `waiting` before it; None at first."""
        self.waiting = [*(_mended(old, decoded) for old in self.waiting), decoded]
        return self.waiting.pop(0) if len(self.waiting) > self.room else None

    def release(self, before: int) -> list[DecodedSuperframe]:
        """Those of a lower number, which can wait no longer."""
        ready = [d for d in self.waiting if d.sequence < before]
        self.waiting = self.waiting[len(ready) :]
        return ready

    def flush(self) -> list[DecodedSuperframe]:
        """What still waits for copies that will not come."""
        rest, self.waiting = self.waiting, []
        return rest


def repaired(known: Iterable[DecodedSuperframe], waiting: int) -> Iterator[DecodedSuperframe]:
    """Consecutive superframes, what is missing in them filled in by later ones: all that `Repair` does."""
    repair = Repair(waiting)
    for decoded in known:
        if (ready := repair.push(decoded)) is not None:
            yield ready
    yield from repair.flush()


def _mended(old: DecodedSuperframe, later: DecodedSuperframe) -> DecodedSuperframe:
    """`old` with what `later` has a copy of and it has not itself."""
    back = later.sequence - old.sequence
    if not 1 <= back <= len(later.copies):
        return old
    copy = later.copies[back - 1]
    received, tokens = old.received.copy(), old.tokens.copy()
    own = slice(0, copy.shape[1])
    tokens[:, own] = np.where(received[:, own], tokens[:, own], copy)
    received[:, own] = True
    return replace(old, tokens=tokens, received=received)
