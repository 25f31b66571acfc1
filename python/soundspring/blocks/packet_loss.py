# SPDX-License-Identifier: GPL-3.0-or-later
"""Packets to fewer packets: a network that loses some."""

from ..channel.loss import parse_loss
from .pdu import PduBlock


class packet_loss(PduBlock):
    """Lets PDUs of any vector type pass or drops them, as a seeded loss process says; those that pass stay unchanged.

    PDU number n meets the n-th draw of the process, so the same packets are lost as by
    `channel.parse_loss(loss, seed).step(n)`.

    Args:
        loss: "none", "bernoulli:P", "gilbert:RATE,BURST", "wlan" or the path of a trace file.
        seed: of the process, a non-negative integer.

    Attributes:
        received, lost: PDUs that came in, and those of them that were dropped as lost.

    Raises:
        ValueError: `loss` or `seed` is none of these.
    """

    def __init__(self, loss: str = "bernoulli:0.1", seed: int = 0):
        PduBlock.__init__(self, "SoundSpring packet loss", None)
        self.received = self.lost = 0
        self.set_loss(loss, seed)

    def set_loss(self, loss: str, seed: int = 0) -> None:
        """Start another loss process, from its beginning. Raises ValueError as the constructor does."""
        self._process = parse_loss(loss, seed)

    def process(self, meta, data):
        self.received += 1
        if self._process.step(1)[0]:
            self.lost += 1
            return []
        return [(meta, data)]
