# SPDX-License-Identifier: GPL-3.0-or-later
"""What the language model is asked in use, drawn at random for training.

Each task returns boolean arrays [B, T, K]: `visible` (what the trunk sees), `known` (what the heads may use of
their own frame) and `target` (what is predicted), with the layers that the targets span.
"""

import numpy as np

BASE = 3
SCHEDULE = ((0, 2, 4), (1, 3))  # of all profiles with superframes of five frames
RATES = (6, 12, 24)


def base(rng, batch, layers, past=0, superframe=5):
    """A base packet, one step of its schedule; `past` earlier superframes are visible down to a random rate."""
    t = (past + 1) * superframe
    visible, target = (np.zeros((batch, t, layers), bool) for _ in range(2))
    visible[:, : past * superframe, : rng.choice(RATES) if past else 0] = True
    schedule = SCHEDULE if superframe == 5 else ((0,),)
    for b in range(batch):
        step = rng.integers(len(schedule))
        for earlier in schedule[:step]:
            visible[b, [past * superframe + f for f in earlier], :BASE] = True
        target[b, [past * superframe + f for f in schedule[step]], :BASE] = True
    known = visible | target
    return visible, known, target, slice(0, BASE)


def fine(rng, batch, layers, past=0, superframe=5, policy="layered"):
    """An enhancement packet in one pass: sees the base of its window, or everything earlier, or nothing."""
    t, n = (past + 1) * superframe, int(rng.choice(RATES, p=(0.2, 0.45, 0.35)))
    own = slice(past * superframe, t)
    visible, target = (np.zeros((batch, t, layers), bool) for _ in range(2))
    if policy != "independent":
        visible[:, :, :BASE] = True
    if policy == "chained":
        visible[:, : past * superframe, :n] = True
    target[:, own, BASE:n] = True
    return visible, visible | target, target, slice(BASE, n)


def copies(rng, batch, layers):
    """Copies of the lowest layers of the superframe before, one step of their schedule, an empty frame behind them."""
    n, step = int(rng.integers(3, 8)), int(rng.integers(len(SCHEDULE)))
    visible, target = (np.zeros((batch, 6, layers), bool) for _ in range(2))
    for earlier in SCHEDULE[:step]:
        visible[:, earlier, :n] = True
    target[:, SCHEDULE[step], :n] = True
    return visible, visible | target, target, slice(0, n)


def packet(rng, batch, layers, step=None):
    """A packet of one frame with copies of the two before it: the copies, the older first, or the frame upon both."""
    older, newer, n = (int(rng.choice(c)) for c in ((0, 1, 1, 2, 3), (0, 3, 4, 4, 5, 6), (13, 14, 15, 15)))
    counts, step = (older, newer, n), int(rng.choice(3, p=(0.15, 0.3, 0.55))) if step is None else step
    step = step if counts[step] else 2  # the first packets have nothing to copy
    visible, target = (np.zeros((batch, 3, layers), bool) for _ in range(2))
    for frame in range(step):
        visible[:, frame, : counts[frame]] = True
    target[:, step, : counts[step]] = True
    return visible, visible | target, target, slice(0, counts[step])


def conceal(rng, batch, layers, frames=25):
    """Erasures as packets make them: groups of one superframe (5 or 1 frames), look-ahead 0 or 1 superframe."""
    n = int(rng.choice((3, *RATES), p=(0.1, 0.2, 0.45, 0.25)))
    visible, target = (np.zeros((batch, frames, layers), bool) for _ in range(2))
    for b in range(batch):
        s = int(rng.choice((1, 5)))
        ahead = int(rng.integers(2)) * s
        p, q = rng.uniform(0, 0.5), rng.uniform(0, 0.5)  # loss of the base, and of the enhancement alone
        for start in range(0, frames, s):
            own = slice(start, start + s)
            if rng.random() > p:
                visible[b, own, :BASE] = True
                visible[b, own, BASE:n] = rng.random() > q
            elif rng.random() < 0.15:
                visible[b, own, BASE:n] = True
        asked = slice(frames - ahead - s, frames - ahead)
        gap = int(rng.choice((0, 0, 1, 2, 4))) * s
        visible[b, max(frames - ahead - s - gap, 0) : frames - ahead - s] = False
        kind = rng.random()
        visible[b, asked] = False
        if kind < 0.4:
            visible[b, asked, :BASE] = True  # only the enhancement is missing
        target[b, asked, :n] = ~visible[b, asked, :n]
    return visible, visible.copy(), target, slice(0, n)


def draw(rng, layers):
    """One training question: (visible, known, target, layers) with a batch size that suits its cost."""
    kind = rng.choice(11, p=(0.15, 0.07, 0.02, 0.19, 0.06, 0.07, 0.03, 0.03, 0.22, 0.06, 0.1))
    past = int(rng.integers(1, 5))
    return (
        lambda: base(rng, 64, layers),
        lambda: base(rng, 24, layers, past),
        lambda: base(rng, 128, layers, 0, 1),
        lambda: fine(rng, 32, layers),
        lambda: fine(rng, 20, layers, past),
        lambda: fine(rng, 20, layers, past, policy="chained"),
        lambda: fine(rng, 128, layers, 0, 1),
        lambda: fine(rng, 32, layers, policy="independent"),
        lambda: conceal(rng, 32, layers),
        lambda: copies(rng, 32, layers),
        lambda: packet(rng, 96, layers),
    )[kind]()
