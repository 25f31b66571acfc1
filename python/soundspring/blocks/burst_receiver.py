# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples to symbols: finds bursts and equalises them."""

import threading
import time
from itertools import accumulate, pairwise

import numpy as np
import pmt
from gnuradio import gr

from ..burst_header import HeaderCode
from ..coding.packet import BurstHeader, PacketError
from ..link import Unwrapper, numerology_of
from ..modem.burst import BurstModulator
from ..modem.receiver import Burst
from ..modem.wide_search import make_receiver
from ..profile import load_ladder
from .pdu import PORT, PduDoor, clock, put_together, with_entry

THRESHOLD = 29.0  # as in modem.receiver
ABSENT = 10  # superframes without a burst after which none is expected
MOST_SLACK_S = 2.0


class burst_receiver(PduDoor, gr.sync_block):
    """A complex stream in, c32 PDUs of equalised symbols out: one for each packet of each burst that is received.

    Entries of the dictionary: `soundspring_group` (the packet's place in the burst), `soundspring_sequence` (the
    superframe's number: the header's 8 bits, unwrapped by the time of arrival), `soundspring_profile` (the id that the
    header announces: of a ladder, each burst may be of another rung), `soundspring_model`;
    `soundspring_noise_var` (f32 vector, one for each symbol: what the soft demapper needs),
    `soundspring_snr_db` (mean Es/N0 per active carrier), `soundspring_evm`,
    `soundspring_cfo_hz`, `soundspring_clock_ppm` and `soundspring_start` (number of the sample where it begins).

    Between them come clock PDUs with `soundspring_due`: all superframes before that number should have been received,
    and all copies of them.
    On the air (`first_sequence` -1) a second or so without a burst ends the transmission: the clock stops, and what
    comes then has numbers far ahead. So has a sender that was restarted.

    A burst comes out at most `latency` samples after its end; a stream that ends must end with that much silence.

    Args:
        profile: name of a link profile with a radio part or of a ladder, or a YAML file; bursts of others are dropped.
        model: first 6 bits of the weights' SHA-256, other bursts are dropped; None takes all.
        oversampling: sample rate of the stream over the critical rate, at least 1.5.
        rate: critical rate in samples per second; None for the profile's.
        threshold: of the search for the preamble; lower finds more, wrongly at last.
        max_cfo_hz: largest carrier offset; None for the profile's, or else 0.15 of the critical rate. Beyond a quarter
            of the rate a bank of receivers looks for the first burst (see `modem.wide_search`).
        first_sequence: superframe that starts with the stream, whose loss counts too; -1: join wherever it is.
        slack_s: how much later than the burst before makes expect a superframe may come, before the clock says that it
            is overdue; None: half a superframe, and what its copies need to come.

    Attributes:
        bursts: bursts received with a good header; dropped: those without.
        detections: preambles found. latency: in samples.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(
        self,
        profile: str = "reference",
        model: int | None = None,
        oversampling: float = 2,
        rate: float | None = None,
        threshold: float = THRESHOLD,
        max_cfo_hz: float | None = None,
        first_sequence: int = -1,
        slack_s: float | None = None,
    ):
        gr.sync_block.__init__(self, name="SoundSpring burst receiver", in_sig=[np.complex64], out_sig=None)
        self._ladder = load_ladder(profile)
        numerology = numerology_of(self._ladder.common, rate)
        phy = self._ladder.common.phy
        self._header_code = HeaderCode(phy.header_code_bits)
        self._model = model
        self._receiver = make_receiver(
            numerology,
            phy.header_code_bits,
            self._decode_header,
            lambda header: self._ladder.find(header.profile).phy.payload_symbols,
            oversampling,
            threshold=threshold,
            max_cfo_hz=phy.max_cfo_hz if max_cfo_hz is None else max_cfo_hz,
            encode_header=self._header_code.encode,
        )
        if first_sequence < -1:
            raise ValueError(f"first_sequence: expected -1 or more, got {first_sequence}")
        self._period = round(oversampling * numerology.rate / self._ladder.common.superframes_per_second)
        self._unwrap = Unwrapper(self._period, None if first_sequence < 0 else -first_sequence * self._period)
        self._due, self._seen, self._live, self._next = first_sequence, 0, first_sequence < 0, 0
        if slack_s is None:
            slack_s = (0.5 + len(self._ladder.common.copies)) / self._ladder.common.superframes_per_second
        if not 0 <= slack_s <= MOST_SLACK_S:
            raise ValueError(f"slack_s: expected 0 to {MOST_SLACK_S:g} seconds, got {slack_s}")
        # A burst of superframe s that starts so late has been reported after so many samples.
        longest = BurstModulator(numerology, phy.header_code_bits).samples_per_burst(self._ladder.payload_symbols)
        slack = round(slack_s * oversampling * numerology.rate)
        self.patience = slack + self._receiver.latency + round(oversampling * longest)
        self.latency = self._receiver.latency
        self.bursts = 0
        self._publishing = threading.Lock()  # that `finish` does not come between the packets of a burst
        self.message_port_register_out(PORT)
        self.init_drops()
        self._why = ""  # the latest header failed
        self._decode_header(np.zeros(phy.header_code_bits, np.float32))  # compiles before the start

    @property
    def detections(self) -> int:
        return self._receiver.detections

    def finish(self) -> int:
        """Tell those behind, by a clock, to wait for nothing any more; the number that the clock says."""
        with self._publishing:
            self._due = max(self._due, self._next)
            self.message_port_pub(PORT, clock(self._due))
            return self._due

    def _decode_header(self, llr: np.ndarray) -> BurstHeader | None:
        """As the receiver asks; it alone knows whether a failure is worth a word: see `work`."""
        try:
            header = self._header_code.decode(llr, self._model)
            if self._ladder.find(header.profile) is None:
                raise PacketError(f"burst of profile {header.profile}, which {self._ladder.name} has not")
            return header
        except PacketError as error:
            self._why = str(error)
            return None

    def work(self, input_items, output_items) -> int:
        samples = input_items[0]
        bursts = self._receiver.push(samples.copy())  # it keeps them, and the buffer is not ours
        with self._publishing:
            for burst in bursts:
                if burst.header is not None:
                    self._publish(burst)
                else:
                    self.drop(self._why)
            self._seen += len(samples)
            self._tick()
        self.cpu_s = time.thread_time()
        return len(samples)

    def _tick(self) -> None:
        """Say which superframes are overdue. Called once for any number of samples, it must not depend on their cut."""
        if self._unwrap.origin is None:
            return
        due = (self._seen - self.patience - self._unwrap.origin) // self._period + 1
        if self._live:
            due = min(due, self._next + ABSENT)
        if due > self._due:
            self._due = due
            self.message_port_pub(PORT, clock(due))

    def _publish(self, burst: Burst) -> None:
        self.bursts += 1
        meta = pmt.make_dict()
        origin = self._unwrap.origin
        if self._live and origin is not None and burst.start_sample - origin > (self._next + ABSENT) * self._period:
            self._unwrap.anew()
        sequence = self._unwrap(burst.header.sequence, int(burst.start_sample))
        self._next = sequence + 1
        meta = with_entry(meta, "sequence", sequence)
        for name in ("profile", "model"):
            meta = with_entry(meta, name, int(getattr(burst.header, name)))
        for name in ("snr_db", "evm", "cfo_hz", "clock_ppm"):
            meta = with_entry(meta, name, float(getattr(burst, name)))
        meta = with_entry(meta, "start", int(burst.start_sample))
        packets = self._ladder.find(burst.header.profile).phy.packets
        for group, (first, last) in enumerate(pairwise(accumulate((p.symbols for p in packets), initial=0))):
            own = with_entry(with_entry(meta, "group", group), "noise_var", burst.noise_var[first:last].copy())
            self.message_port_pub(PORT, put_together(own, burst.symbols[first:last].copy()))
