# SPDX-License-Identifier: GPL-3.0-or-later
"""Which packets a packet is coded upon, by dependency policy; one rule, followed by encoder and decoder alike.

A packet is named (back, group): the superframe so many before the packet's own, and the layer group. Group 0 is the
base.
"""
from __future__ import annotations

from collections.abc import Mapping

import numpy as np

POLICIES = ("independent", "layered", "chained")
SEQUENCE_CYCLE = 256  # context never reaches back over a sequence number that is a multiple of this


def dependencies(policy: str, group: int, sequence: int, *, groups: int = 2, window: int = 0, refresh: int = 5
                 ) -> tuple[tuple[int, int], ...]:
    """The packets (back, group) that the packet of layer group `group` in superframe `sequence` is conditioned on.

    independent: none. layered: an enhancement packet upon the base packets of its own superframe and of the `window`
    before. chained: every packet of the `window` superframes before and the lower groups of its own; a superframe whose
    number modulo 256 is a multiple of `refresh` starts anew, so an error spreads over `refresh` superframes at most.
    Both ends know the number modulo 256, so the context also starts anew where that wraps.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy: must be one of {', '.join(POLICIES)}; got {policy!r}")
    if window < 0 or refresh < 1 or not 0 <= group < groups:
        raise ValueError(f"window, refresh, group: need window >= 0, refresh >= 1, 0 <= group < groups = {groups}; "
                         f"got {window}, {refresh}, {group}")
    number = sequence % SEQUENCE_CYCLE
    if policy == "independent":
        return ()
    if policy == "layered":
        return tuple((back, 0) for back in range(min(window, number) + 1)) if group else ()
    past = min(window, number % refresh)
    return tuple((back, g) for back in range(1, past + 1) for g in range(groups)) + tuple((0, g) for g in range(group))


def context(needed: tuple[tuple[int, int], ...], present: Mapping[tuple[int, int], np.ndarray | None],
            shape: tuple[int, int]) -> np.ndarray | None:
    """Union of the masks (bool [T, K]) of the needed packets, or None when one is missing: then the packet is
    undecodable.

    `present` maps (back, group) to the mask of the tokens which that packet really carried in this window.
    """
    visible = np.zeros(shape, dtype=bool)
    for packet in needed:
        mask = present.get(packet)
        if mask is None:
            return None
        visible |= mask
    return visible
