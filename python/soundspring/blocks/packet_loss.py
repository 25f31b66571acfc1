# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets to fewer packets: a network that loses some."""

from ..channel.loss import parse_loss
from .pdu import PduBlock, PduError, integer

FURTHEST = 1 << 20  # packets from one that comes to the next: many hours


class packet_loss(PduBlock):
    """Lets PDUs of any vector type pass or drops them, as a seeded loss process says; those that pass stay unchanged.

    PDU number n meets the n-th draw of the process, so the same packets are lost as by
    `channel.parse_loss(loss, seed).step(n)`.

    Args:
        loss: "none", "bernoulli:P", "gilbert:RATE,BURST", "wlan", the path of a trace file, or an object with
            `step(n) -> bool [n]`.
        seed: of the process, a non-negative integer.
        groups: packets a superframe. Then each packet has the draw of its place in the order of sending, by the entries
            `soundspring_sequence` and `soundspring_group`, whatever was lost before; 0: draws in order of arrival.

    Attributes:
        received, lost: PDUs that came in, and those of them that were dropped as lost.

    Raises:
        ValueError: `loss` or `seed` is none of these.
    """

    def __init__(self, loss: str = "bernoulli:0.1", seed: int = 0, groups: int = 0):
        PduBlock.__init__(self, "SoundSpring packet loss", None)
        if groups < 0:
            raise ValueError(f"groups: expected 0 or more, got {groups}")
        self._groups, self._drawn = groups, 0
        self.received = self.lost = 0
        self.set_loss(loss, seed)

    def set_loss(self, loss: str, seed: int = 0) -> None:
        """Start another loss process, from its beginning. Raises ValueError as the constructor does."""
        self._process, self._drawn = parse_loss(loss, seed) if isinstance(loss, str) else loss, 0

    def _draws(self, meta) -> int:
        """How many draws up to and with this packet's own."""
        if not self._groups:
            return 1
        place = integer(meta, "sequence", 1 << 40) * self._groups + integer(meta, "group", self._groups)
        if place < self._drawn:
            raise PduError(f"packet {place} comes late or twice; its draw is gone")
        if place - self._drawn > FURTHEST:
            raise PduError(f"packet {place} is {place - self._drawn} further than the one before: no loss is that long")
        return place + 1 - self._drawn

    def process(self, meta, data):
        draws = self._draws(meta)
        self.received += 1
        self._drawn += draws
        if self._process.step(draws)[-1]:
            self.lost += 1
            return []
        return [(meta, data)]
