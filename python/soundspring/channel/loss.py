# SPDX-License-Identifier: GPL-3.0-or-later
"""Packet loss: random processes and recorded traces that say which packets never arrive."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from .base import generator, number


class LossProcess(Protocol):
    """A stateful stream of losses; the losses of packets 0, 1, 2... do not depend on how many are asked for at once."""

    def step(self, n: int) -> np.ndarray:
        """Return bool [n] for the next `n` packets, True where the packet is lost."""
        ...


class Bernoulli:
    """Independent losses with probability `p`."""

    def __init__(self, p: float, seed: int = 0):
        """`p` from 0 to 1; ValueError otherwise."""
        self.loss_rate = number("p", p, 0.0, 1.0)
        self._rng = generator(seed, "packet loss")

    def step(self, n: int) -> np.ndarray:
        """Return bool [n], True where the packet is lost."""
        return self._rng.random(n) < self.loss_rate


class MarkovLoss:
    """A Markov chain that steps once a packet; in state i a packet is lost with probability loss[i].

    Before the first packet the chain is in its stationary distribution, so the statistics hold from packet 0 on.
    """

    def __init__(self, transition: ArrayLike, loss: ArrayLike, seed: int = 0):
        """`transition` [S, S]: row i holds the probabilities of the state after i; `loss` [S]."""
        self.transition = np.asarray(transition, dtype=np.float64)
        self.loss = np.asarray(loss, dtype=np.float64)
        states = self.loss.size
        if self.transition.shape != (states, states) or not np.allclose(self.transition.sum(axis=1), 1.0):
            raise ValueError(f"transition must be a [{states}, {states}] matrix whose rows sum to 1")
        if self.transition.min() < 0 or self.loss.min() < 0 or self.loss.max() > 1:
            raise ValueError("transition and loss must hold probabilities from 0 to 1")
        self._cumulative = np.cumsum(self.transition, axis=1)
        self._rng = generator(seed, "packet loss")
        self._state = self._draw(np.cumsum(self.stationary), self._rng.random())

    @staticmethod
    def _draw(cumulative: np.ndarray, u: float) -> int:
        return min(int(np.searchsorted(cumulative, u, side="right")), cumulative.size - 1)

    @property
    def stationary(self) -> np.ndarray:
        """Stationary probabilities of the states, float64 [S]."""
        states = self.loss.size
        equations = np.vstack([self.transition.T - np.eye(states), np.ones(states)])
        solution = np.linalg.lstsq(equations, np.append(np.zeros(states), 1.0), rcond=None)[0]
        return np.clip(solution, 0.0, 1.0)

    @property
    def loss_rate(self) -> float:
        """Long-term share of lost packets."""
        return float(self.stationary @ self.loss)

    @property
    def mean_burst(self) -> float:
        """Mean number of consecutive losses in a burst: the loss rate over the rate at which bursts begin."""
        begins = (self.stationary * (1 - self.loss)) @ self.transition @ self.loss
        return float(self.loss_rate / begins) if begins > 0 else (float("inf") if self.loss_rate else 0.0)

    def step(self, n: int) -> np.ndarray:
        """Return bool [n], True where the packet is lost."""
        draws = self._rng.random((n, 2))
        lost = np.empty(n, bool)
        for i, (move, loss) in enumerate(draws):
            self._state = self._draw(self._cumulative[self._state], move)
            lost[i] = loss < self.loss[self._state]
        return lost


class GilbertElliott(MarkovLoss):
    """The two-state model of Gilbert (1960) and Elliott (1963): a good and a bad state, each with its loss rate."""

    def __init__(self, p_gb: float, p_bg: float, loss_good: float = 0.0, loss_bad: float = 1.0, seed: int = 0):
        """`p_gb`, `p_bg`: probabilities of going from good to bad and back; `loss_good`, `loss_bad`: loss in each."""
        p_gb, p_bg = number("p_gb", p_gb, 0.0, 1.0), number("p_bg", p_bg, 0.0, 1.0)
        if p_gb == 0.0 and p_bg == 0.0:
            raise ValueError("p_gb and p_bg must not both be 0: the chain would never move")
        loss = [number("loss_good", loss_good, 0.0, 1.0), number("loss_bad", loss_bad, 0.0, 1.0)]
        super().__init__([[1 - p_gb, p_gb], [p_bg, 1 - p_bg]], loss, seed)

    @classmethod
    def from_rate(cls, loss_rate: float | str, mean_burst: float | str, seed: int = 0) -> GilbertElliott:
        """Build the chain that loses every packet of the bad state, from its loss rate and mean burst length.

        ValueError where there is none: bursts are at least 1 packet and the gaps between them too, which asks for
        mean_burst >= loss_rate / (1 - loss_rate).
        """
        loss_rate = number("loss_rate", loss_rate, 0.0, 1.0)
        mean_burst = number("mean_burst", mean_burst, 1.0)
        if loss_rate == 1.0 or mean_burst < loss_rate / (1 - loss_rate):
            raise ValueError(f"mean_burst must be at least loss_rate / (1 - loss_rate) with loss_rate below 1, "
                             f"not {mean_burst:g} at a loss_rate of {loss_rate:g}")
        p_bg = 1 / mean_burst
        return cls(p_bg * loss_rate / (1 - loss_rate), p_bg, seed=seed)


class Wlan(MarkovLoss):
    """Losses on a wireless LAN: the three-state Markov model of Milner and James, 13.8 % lost in bursts of 1.69.

    State 2 loses every packet, states 1 and 3 none: state 1 is the long quiet between groups of bursts, state 3 the
    short pause between two bursts of a group, so 1 and 3 never follow each other. Source: B. Milner and A. James, "An
    Analysis of Packet Loss Models for Distributed Speech Recognition", Interspeech 2004, with the parameters fitted
    to their WLAN: Q = 0.9363 (1 stays), Q' = 0.5662 (3 stays), p = 0.3631 (2 to 1), q = 0.4072 (2 stays).
    """

    def __init__(self, seed: int = 0):
        stay1, stay3, to1, stay2 = 0.9363, 0.5662, 0.3631, 0.4072
        transition = [[stay1, 1 - stay1, 0.0], [to1, stay2, 1 - to1 - stay2], [0.0, 1 - stay3, stay3]]
        super().__init__(transition, [0.0, 1.0, 0.0], seed)


class Trace:
    """Recorded losses from a text file, of one of two forms; what follows a '#' on a line is a comment.

    A map, one digit for each packet, 1 = lost, white space and commas ignored: `0 0 1 0` or `0010`. After its end the
    map begins again. Or the word `indices` followed by the numbers (from 0) of the lost packets: `indices 2 17 18`.
    After the last of them nothing is lost.
    """

    def __init__(self, path: str | Path):
        """ValueError when the file cannot be read, is empty or is of neither form."""
        self.path = Path(path)
        try:
            lines = self.path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"loss trace {self.path} cannot be read as text: {error}") from error
        words = " ".join(line.split("#")[0] for line in lines).replace(",", " ").split()
        self._cyclic = words[:1] != ["indices"]
        # Of a map bool [packets], of the other form the rising numbers of lost packets: there may be large ones.
        self._lost = self._read_map(words) if self._cyclic else self._read_indices(words[1:])
        self._position = 0

    def _read_map(self, words: list[str]) -> np.ndarray:
        digits = "".join(words)
        if not digits or set(digits) - {"0", "1"}:
            raise ValueError(f"loss trace {self.path} must hold a digit 0 or 1 for each packet, or the word 'indices' "
                             "followed by the numbers of the lost packets")
        return np.frombuffer(digits.encode(), np.uint8) == ord("1")

    def _read_indices(self, words: list[str]) -> np.ndarray:
        if not all(w.isascii() and w.isdigit() and len(w) < 10 for w in words):
            raise ValueError(f"loss trace {self.path} must hold only packet numbers from 0 on after the word 'indices'")
        return np.unique(np.array(words, dtype=np.int64))

    @property
    def loss_rate(self) -> float:
        """Share of lost packets in the file, up to its last entry."""
        if not self._lost.size:
            return 0.0
        return float(self._lost.mean() if self._cyclic else self._lost.size / (self._lost[-1] + 1))

    def step(self, n: int) -> np.ndarray:
        """Return bool [n], True where the packet is lost."""
        packets = np.arange(self._position, self._position + n)
        self._position += n
        if self._cyclic:
            return self._lost[packets % self._lost.size]
        return np.isin(packets, self._lost)


def _is_file(spec: str) -> bool:
    try:
        return Path(spec).is_file()
    except OSError:  # no name that a file can have
        return False


def parse_loss(spec: str, seed: int = 0) -> LossProcess:
    """Return the loss process that `spec` names.

    "none"; "bernoulli:P"; "gilbert:RATE,BURST" (loss rate, mean burst in packets); "wlan"; or the path of a trace file
    (see `Trace`). ValueError says what is wrong with any other.
    """
    name, _, arguments = str(spec).partition(":")
    values = arguments.split(",") if arguments else []
    counts = {"none": 0, "bernoulli": 1, "gilbert": 2, "wlan": 0}
    if name not in counts:
        if _is_file(spec):
            return Trace(spec)
        raise ValueError("loss must be none, bernoulli:P, gilbert:RATE,BURST, wlan or the path of an existing trace "
                         f"file, not {spec!r}")
    if len(values) != counts[name]:
        forms = {"bernoulli": "bernoulli:P", "gilbert": "gilbert:RATE,BURST"}
        raise ValueError(f"loss must have the form {forms.get(name, name)}, not {spec!r}")
    if name == "bernoulli":
        return Bernoulli(number("P of the loss bernoulli:P", values[0], 0.0, 1.0), seed)
    if name == "gilbert":
        return GilbertElliott.from_rate(values[0], values[1], seed)
    return Wlan(seed) if name == "wlan" else Bernoulli(0.0, seed)
