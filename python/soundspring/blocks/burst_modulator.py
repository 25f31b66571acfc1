# SPDX-License-Identifier: GPL-3.0-or-later
"""Symbols to samples: OFDM bursts with silence between them."""

import time
from collections import deque

import numpy as np
import pmt
from gnuradio import gr

from ..burst_header import HeaderCode
from ..coding.packet import BurstHeader
from ..link import numerology_of
from ..modem.burst import BurstModulator
from ..profile import MAX_RUNGS, LinkProfile, load_ladder
from .pdu import PduDoor, PduError, entry, integer

SEQUENCES = 1 << 40
QUEUE_LIMIT = 10_000  # bursts; a sender that far ahead of its radio will never be caught up with
OPEN_LIMIT = 256  # bursts of which some packets came: as many as a header can number
IDLE_S = 0.002
SILENCE_S = 0.001  # the most that a burst waits for a piece of silence to end
CATCH_UP = 0.9  # of a period: how soon bursts may follow one another after one was late
FASTER = 500e-6  # by which waiting bursts may outrun the radio, whose clock is not that of their sound
MEMORY = 10  # periods of delay that are caught up with
TAG = pmt.intern("soundspring_burst")


class burst_modulator(PduDoor, gr.sync_block):
    """c32 PDUs of symbols in, a stream of bursts out, one a superframe, each with a header of its own.

    Entries of a PDU's dictionary: `soundspring_sequence`, the superframe's number (the header carries the lowest
    8 bits), `soundspring_group`, the packet's place in the burst, and `soundspring_profile`, the id of the
    ladder's rung that the header announces (the lowest, where it is missing). The burst is made when all its packets
    are there; one whose packets are still missing when a later burst is complete is dropped. A PDU without a group
    is the whole payload. PDUs wait in a queue until the stream gets to them.

    The first sample of a burst has the tag `soundspring_burst` with the burst's length.

    Args:
        profile: name of a link profile with a radio part or of a ladder, or a YAML file.
        model: first 6 bits of the weights' SHA-256, for the header.
        oversampling: samples are made at this multiple of the critical rate.
        rate: critical rate in samples per second; None for the profile's.
        period_s: from the start of a burst to the start of the next; the rest is silence. None: the superframe's
            duration, which is real time.
        idle: send silence while no burst waits, as a radio needs, and each burst when it is ready; where one was late
            the next follow a little faster. Without it the stream pauses, and periods are exact.

    Attributes:
        bursts: bursts sent; samples_per_burst, samples_per_period: in samples, of the longest burst.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(
        self,
        profile: str = "reference",
        model: int = 0,
        oversampling: int = 2,
        rate: float | None = None,
        period_s: float | None = None,
        idle: bool = False,
    ):
        gr.sync_block.__init__(self, name="SoundSpring burst modulator", in_sig=None, out_sig=[np.complex64])
        self._ladder = load_ladder(profile)
        common = self._ladder.common
        numerology = numerology_of(common, rate)
        phy = common.phy
        self._modulator = BurstModulator(numerology, phy.header_code_bits, oversampling, phy.papr_db)
        self._header_code = HeaderCode(phy.header_code_bits)
        self._header_code.encode(BurstHeader(common.id, model, 0))  # checks, and compiles before the start
        self._model = model
        self.samples_per_burst = self._modulator.samples_per_burst(self._ladder.payload_symbols)
        seconds = 1 / common.superframes_per_second if period_s is None else period_s
        self.samples_per_period = round(seconds * numerology.rate * oversampling)
        if self.samples_per_period < self.samples_per_burst:
            needed = self.samples_per_burst / (numerology.rate * oversampling)
            raise ValueError(f"period_s: a burst takes {needed:g} s, so {seconds:g} s are too few")
        self._idle = bool(idle)
        self._silence = max(round(SILENCE_S * numerology.rate * oversampling), 1)
        self._closest = max(self.samples_per_burst, round(CATCH_UP * self.samples_per_period))
        self._since = self.samples_per_period  # from the start of the last burst to the end of what is prepared
        self._late = 0.0  # samples by which bursts are behind
        self.bursts = 0
        # Packets of incomplete bursts, by sequence and profile, then by group.
        self._open: dict[tuple[int, int], dict[int, np.ndarray]] = {}
        self._queue: deque[tuple[LinkProfile, int, np.ndarray]] = deque()
        self._pending = np.zeros(0, np.complex64)
        self.accept(np.complex64, self._collect)

    @property
    def waiting(self) -> int:
        """Bursts that are complete and not yet sent."""
        return len(self._queue)

    def _collect(self, meta: pmt.pmt_base, symbols: np.ndarray) -> None:
        """Take one packet's symbols; queue the burst that they complete."""
        sequence = integer(meta, "sequence", SEQUENCES)
        profile = self._profile_of(meta)
        packets = profile.phy.packets
        if entry(meta, "group") is None:
            self._check_length(symbols, profile.phy.payload_symbols)
            self._complete(profile, sequence, symbols)
            return
        group = integer(meta, "group", len(packets))
        self._check_length(symbols, packets[group].symbols)
        parts = self._open.setdefault((sequence, profile.id), {})
        parts[group] = symbols
        if len(self._open) > OPEN_LIMIT:
            self._drop_oldest()
        if len(parts) == len(packets):
            self._complete(profile, sequence, np.concatenate([parts[i] for i in range(len(packets))]))

    def _profile_of(self, meta: pmt.pmt_base) -> LinkProfile:
        if entry(meta, "profile") is None:
            return self._ladder.common
        profile = self._ladder.find(integer(meta, "profile", MAX_RUNGS))
        if profile is None:
            raise PduError(f"profile {entry(meta, 'profile')} is not of the ladder {self._ladder.name}")
        return profile

    @staticmethod
    def _check_length(symbols: np.ndarray, wanted: int) -> None:
        if symbols.size != wanted:
            raise PduError(f"{symbols.size} symbols where the profile has {wanted}")
        if not np.isfinite(symbols).all():
            raise PduError("symbols that are not finite")

    def _complete(self, profile: LinkProfile, sequence: int, payload: np.ndarray) -> None:
        """Queue a burst. Packets come in order, so bursts that were begun before it will not be completed any more."""
        while self._open:
            if next(iter(self._open)) == (sequence, profile.id):
                self._open.pop((sequence, profile.id))
                break
            self._drop_oldest()
        if len(self._queue) >= QUEUE_LIMIT:
            raise PduError(f"{QUEUE_LIMIT} bursts wait already: they come faster than the stream takes them")
        self._queue.append((profile, sequence, payload))

    def _drop_oldest(self) -> None:
        """Give up the burst that was begun first."""
        (sequence, _), parts = next(iter(self._open.items()))
        del self._open[next(iter(self._open))]
        self.drop(f"burst {sequence} is missing packets, it has {len(parts)}")

    def work(self, input_items, output_items) -> int:
        out = output_items[0]
        made = 0
        while made < len(out):
            if not self._pending.size and not self._next(made):
                break
            count = min(len(out) - made, self._pending.size)
            out[made : made + count] = self._pending[:count]
            self._pending = self._pending[count:]
            made += count
        if not made:
            time.sleep(IDLE_S)  # the scheduler would call again at once
        self.cpu_s = time.thread_time()
        return made

    @property
    def _soonest(self) -> int:
        """Samples from the start of a burst to that of the next, at least."""
        if not self._idle:
            return self.samples_per_period
        return max(self._closest, round((1 - FASTER) * self.samples_per_period - self._late))

    def _next(self, offset: int) -> bool:
        """Prepare the next samples, which go out from `offset` on; False if there are none."""
        if self._queue and self._since >= self._soonest:
            profile, sequence, payload = self._queue.popleft()
            header = BurstHeader(profile.id, self._model, sequence % 256)
            burst = self._modulator.modulate(self._header_code.encode(header), payload)
            silence = 0 if self._idle else self.samples_per_period - burst.size
            self._pending = np.concatenate([burst, np.zeros(silence, np.complex64)])
            self.add_item_tag(0, self.nitems_written(0) + offset, TAG, pmt.from_long(burst.size))
            behind = self._late + self._since - (1 - FASTER) * self.samples_per_period if self.bursts else 0.0
            self._late, self._since = min(max(behind, 0.0), MEMORY * self.samples_per_period), 0
            self.bursts += 1
        elif self._idle:
            wait = self._soonest - self._since if self._queue else self._silence
            self._pending = np.zeros(min(wait, self._silence), np.complex64)
        self._since += self._pending.size
        return bool(self._pending.size)
