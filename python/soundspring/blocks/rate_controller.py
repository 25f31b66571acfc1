# SPDX-License-Identifier: GPL-3.0-or-later
"""The SNR of received bursts to the rung to send on."""

import pmt
from gnuradio import gr

from ..profile import MAX_RUNGS, load_ladder
from ..rate_control import RateControl
from .entropy_encoder import RUNG
from .pdu import PduDoor, PduError, entry

GROUP_OF_A_BURST = 0  # a burst has several PDUs; the base packet's stands for it


class rate_controller(PduDoor, gr.basic_block):
    """PDUs of the burst receiver in; out at port `rung` the place on the ladder to send on, whenever it changes.

    Of each burst it reads `soundspring_snr_db`. Superframes that the clock PDUs say should have come by now, and that
    did not, count as bursts that were missed. Connect `rung` to the transmitter's, whatever carries it there.

    Args:
        profile: name of a ladder, or a YAML file; its packets must say their thresholds.
        margin_db, hysteresis_db, patience, rung: as of `rate_control.RateControl`.

    Attributes:
        control: the `RateControl`.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(
        self,
        profile: str = "wide",
        margin_db: float = 2.0,
        hysteresis_db: float = 1.0,
        patience: int = 5,
        rung: int = 0,
    ):
        gr.basic_block.__init__(self, name="SoundSpring rate controller", in_sig=None, out_sig=None)
        self.control = RateControl(load_ladder(profile), margin_db, hysteresis_db, patience, rung)
        self._next: int | None = None  # the superframe after the last that came or was missed
        self.message_port_register_out(RUNG)
        self.accept(None, self._burst)

    def _burst(self, meta: pmt.pmt_base, _) -> None:
        """One packet of a burst came."""
        if entry(meta, "group", GROUP_OF_A_BURST) != GROUP_OF_A_BURST:
            return
        snr_db, sequence = entry(meta, "snr_db"), entry(meta, "sequence")
        if not isinstance(snr_db, float) or not isinstance(sequence, int):
            raise PduError("the entries soundspring_snr_db and soundspring_sequence of a received burst are needed")
        self._next = sequence + 1
        self._push(snr_db)

    def on_clock(self, due: int) -> None:
        if self._next is not None:
            for _ in range(min(due - self._next, MAX_RUNGS)):
                self._push(None)
            self._next = max(self._next, due)

    def _push(self, snr_db: float | None) -> None:
        before = self.control.rung
        if self.control.push(snr_db) != before:
            self.message_port_pub(RUNG, pmt.from_long(self.control.rung))
