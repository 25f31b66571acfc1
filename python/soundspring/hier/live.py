# SPDX-License-Identifier: GPL-3.0-or-later
"""Flowgraphs of the live link: a sender from a file or a microphone, a listener to a file or a loudspeaker."""

import logging
import os
import threading
import time
from collections import Counter
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path

import numpy as np
from gnuradio import analog, blocks, gr
from gnuradio import audio as sound_card

from ..blocks.pdu import PduDoor, entry, integer
from ..link import Link, superframes
from ..profile import FRAME, SAMPLE_RATE, load_ladder, with_radio
from .gain_control import GainControl
from .radio import radio_sink, radio_source
from .radio_file import recorder
from .receiver import receiver
from .transmitter import transmitter

_log = logging.getLogger(__name__)
LEAD_S = 1.0  # of silent speech before a file, for receivers to settle
DRAIN_S = 0.5  # of samples that the radio takes behind the last burst
RESTARTED = 512  # superframes; a longer step of the number is another transmission
STOP_S = 30.0
FINISH_S = 10.0  # for sound that was received to become complete
HEARD_S = 1.0  # since the last burst: the signal is there
QUIET_S = 2.0  # without anything to do, behind a recording
PLAYOUT_MS = 60.0  # of sound kept back, for superframes that come late
PLAYOUT_COPIES_MS = 30.0  # the same where each waits for its copies anyway
CARD_LEAD = 160  # samples between decoder and sound card
CARD_PERIODS, CARD_PERIODS_OF_GNURADIO = 3, 32  # of 10 ms in ALSA's own buffer, which is always full
CARD_SETTING = "GR_CONF_AUDIO_ALSA_NPERIODS"  # by which GNU Radio lets the environment overrule its configuration


class monitor(PduDoor, gr.basic_block):
    """Remembers what the bursts say of the radio link: port `pdus` takes what `burst_receiver` gives."""

    def __init__(self):
        gr.basic_block.__init__(self, name="SoundSpring monitor", in_sig=None, out_sig=None)
        self.last: dict[str, float] = {}
        self.heard_at: float | None = None  # monotonic
        self.transmissions = 0
        self.first: int | None = None  # sample where the first burst began
        self._sequence: int | None = None
        self.accept(np.complex64, self._note)

    def _note(self, meta, symbols: np.ndarray) -> None:
        sequence = integer(meta, "sequence", 1 << 40)
        if self._sequence is None or sequence - self._sequence > RESTARTED:
            self.transmissions += 1
        if self.first is None:
            self.first = int(entry(meta, "start"))
        self._sequence, self.heard_at = sequence, time.monotonic()
        self.last = {name: float(entry(meta, name)) for name in ("snr_db", "cfo_hz", "clock_ppm", "evm")}


class _Flow(gr.top_block):
    """A flowgraph that is watched: started, asked for its status, ended."""

    def __init__(self, name: str, profile):
        gr.top_block.__init__(self, name)
        self.ladder = load_ladder(profile)
        self.profile = with_radio(self.ladder.common)
        self.link = Link(self.ladder)
        self.ended, self._asked = threading.Event(), False
        self.broke = False  # it ended by itself
        self._mute = False  # the radio's sensors did not answer
        self._closing = []
        self._held: list = []

    def row(self, *points) -> None:
        """Connect blocks in a row and hold them: GNU Radio holds none of Python's."""
        self._held += points
        self.connect(*points)

    def begin(self) -> None:
        self.started_at = time.monotonic()
        self.start()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def _wait(self) -> None:
        self.wait()
        self.ended.set()

    def end(self) -> bool:
        """Stop, complete the files; False where a block does not let go. May be called again."""
        self.broke |= self.ended.is_set() and not self._asked
        self._asked = True
        self.stop()
        clean = self.ended.wait(STOP_S)
        while self._closing:
            self._closing.pop()()
        return clean

    @contextmanager
    def running(self):
        """Run beside something else."""
        self.begin()
        try:
            yield self
        finally:
            self.end()

    def tend(self) -> None:
        """What is to be done once a second."""

    def sensors(self) -> dict:
        """What the radio says of itself; nothing where it cannot be asked while it runs."""
        if self.radio.end.sensors is None or self._mute:
            return {}
        try:
            return self.radio.end.sensors()
        except (ImportError, OSError) as error:
            self._mute = True
            _log.info("the radio's sensors cannot be read: %s", error)
            return {}

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started_at


class Sender(_Flow):
    """Speech to a radio.

    Args:
        profile: of the link, with a radio part, or a ladder of such.
        radio: address, as of `radio_sink`.
        speech: float32 [n] at 16 kHz, or None for the microphone.
        device: of the sound card; empty for the usual one.
        rung: place on the ladder, 0 is the most robust.

    Raises:
        ValueError, OSError: as `radio_sink`, or the sound card cannot be used.
    """

    def __init__(self, profile, radio: str, speech: np.ndarray | None = None, device: str = "", rung: int = 0):
        _Flow.__init__(self, "SoundSpring sender", profile)
        self.radio = radio_sink(radio, self.link.sample_rate)
        self._closing.append(self.radio.close)
        paced = self.radio.end.paced
        self.transmitter = transmitter(self.ladder, idle=paced, rung=rung)
        self.needed: int | None = None
        if speech is None:
            if not paced:
                raise ValueError(f"radio: {radio} keeps no time, so give it a file to send, not the microphone")
            self.row(_card(sound_card.source, device), self.transmitter, self.radio)
        elif paced:
            self.row(*self._for_ever(self._file(_led(speech))), self.transmitter, self.radio)
        else:
            # Who has the key reads from the first bursts of a recording too where their numbers start.
            speech = _led(speech) if self.profile.security else speech
            source = blocks.vector_source_f(self._file(speech))
            end = blocks.head(gr.sizeof_gr_complex, self.needed * self.link.period)
            self.row(source, self.transmitter, end, self.radio)
        self._last: tuple[float, int] | None = None  # when the last burst was made, and where the radio was then

    def _file(self, speech: np.ndarray) -> np.ndarray:
        """Whole superframes of speech, in one row, and of silence until the last copies of it are sent."""
        padded = superframes(speech, self.profile, FRAME + self.profile.wait * self.profile.superframe_samples)
        self.needed = len(padded)
        return padded.ravel()

    def _for_ever(self, speech: np.ndarray) -> tuple:
        """Speech, then silence without end, in real time."""
        silence = blocks.null_source(gr.sizeof_float)
        join = blocks.stream_mux(gr.sizeof_float, [speech.size, 1 << 30])
        self.connect(silence, (join, 1))
        self._held.append(silence)
        throttle = blocks.throttle(gr.sizeof_float, SAMPLE_RATE)
        throttle.set_max_noutput_items(160)
        return blocks.vector_source_f(speech), join, throttle

    @property
    def done(self) -> bool:
        """All of the file is on the air."""
        if self.ended.is_set():
            return True
        if self.needed is None or not self.radio.end.paced or self.transmitter.modulator.bursts < self.needed:
            return False
        now = (time.monotonic(), self.radio.end.chain[-1].nitems_read(0))
        self._last = self._last or now
        return now[1] - self._last[1] > DRAIN_S * self.radio.end.rate or now[0] - self._last[0] > STOP_S

    def status(self) -> dict:
        """Figures of the moment, plain numbers."""
        sent = self.transmitter.modulator.bursts
        told = sent if self.needed is None else min(sent, self.needed)  # silence follows a file until the radio has it
        made = self.transmitter.entropy.counts.packets_sent // self.profile.packets
        return {"time_s": round(self.seconds, 2), "bursts": told, "buffer_ms": round((made - sent) * self._frame_ms)}

    @property
    def _frame_ms(self) -> float:
        return 1000 / self.profile.superframes_per_second


class Listener(_Flow):
    """Speech from a radio.

    Args:
        profile: of the link, with a radio part, or a ladder, whose rungs it follows.
        radio: address, as of `radio_source`.
        out: WAV file to write, or None for the loudspeaker.
        record: SigMF recording to make beside, or None.
        device: of the sound card; empty for the usual one.
        loss, seed: packets to drop, as of `receiver`.
        copies: wait for the copies of lost superframes.

    Raises:
        ValueError, OSError: as `radio_source`; a file or the sound card cannot be used.
    """

    def __init__(self, profile, radio: str, out: str | Path | None = None, record: str | Path | None = None,
                 device: str = "", loss: str = "none", seed: int = 0, copies: bool = True):
        _Flow.__init__(self, "SoundSpring listener", profile)
        rate = self.link.sample_rate
        self.radio = radio_source(radio, rate, self.profile.phy.oversampling)
        self._closing.append(self.radio.close)
        # A recording is decoded faster than it is played, so nothing of it may be left out.
        follows = out is None and self.radio.end.paced
        late = PLAYOUT_COPIES_MS if copies and self.profile.copies else PLAYOUT_MS
        self.receiver = receiver(self.ladder, idle=out is None, loss=loss, seed=seed,
                                 playout_ms=late if follows else 0.0, copies=copies)
        self.monitor, self.power = monitor(), analog.probe_avg_mag_sqrd_c(0, 10 / rate)
        self.row(self.radio, self.receiver)
        self.row(self.radio, self.power)
        self.msg_connect((self.receiver, "symbols"), (self.monitor, "pdus"))
        if self.radio.end.gain:
            self.gain = GainControl(self.radio.end.gain.least, self.radio.end.gain.most)
            self.radio.end.gain.set(self.gain.gain)
        self._moved: tuple = (None, 0.0)  # what had come of a recording, and when that was new
        self._file = None
        self._sound(out, device)
        if record is not None:
            form = "ci16_le" if self.radio.bounded else "cf32_le"
            chain, close = recorder(record, rate, self.radio.address.options.get("frequency"), form)
            self.row(self.radio, *chain)
            self._closing.append(close)

    def _sound(self, out: str | Path | None, device: str) -> None:
        if out is None:
            card = _card(sound_card.sink, device)
            self.receiver.codec.stay_near(card, CARD_LEAD)
            self.row(self.receiver, card)
            return
        Path(out).write_bytes(b"")  # says why, where wavfile_sink would not
        self._file = blocks.wavfile_sink(str(out), 1, SAMPLE_RATE, blocks.FORMAT_WAV, blocks.FORMAT_PCM_16)
        self._closing.append(self._file.close)
        self.row(self.receiver, self._file)

    def end(self) -> bool:
        """As of any flowgraph, but what was received goes into the file first, also on a busy machine."""
        if self._file is not None and not self._asked and not self.ended.is_set():
            self.receiver.finish()
            limit = time.monotonic() + FINISH_S
            while not (self._written or self.ended.is_set()) and time.monotonic() < limit:
                time.sleep(0.02)
        return _Flow.end(self)

    @property
    def _written(self) -> bool:
        return self.receiver.finished and self._file.nitems_read(0) >= self.receiver.codec.nitems_written(0)

    def tend(self) -> None:
        gain = self.radio.end.gain
        if gain is None:
            return
        level, before = self._level_db(), self.gain.gain
        if level is not None:
            level -= self.radio.address.options.get("level", 0.0)
        if self.gain.push(level, self.silent_s < HEARD_S and self.monitor.heard_at is not None) != before:
            gain.set(self.gain.gain)

    def _level_db(self) -> float | None:
        """Mean power of what comes, in dB of full scale; None where nothing does."""
        power = self.power.level()
        return 10 * np.log10(power) if power > 0 else None

    @property
    def done(self) -> bool:
        """The recording is over: to a file the flowgraph ends by itself, a loudspeaker would play silence for ever."""
        if self.ended.is_set():
            return True
        now = (self.receiver.bursts.nitems_read(0), self.receiver.codec.waiting, self.radio.samples)
        if now != self._moved[0]:
            self._moved = (now, time.monotonic())
        return self.played and now[1] == 0 and time.monotonic() - self._moved[1] > QUIET_S

    @property
    def played(self) -> bool:
        """All samples of a recording have been given."""
        count = self.radio.end.count
        return count is not None and self.radio.samples >= count

    @property
    def silent_s(self) -> float:
        """Seconds since the last burst, or since the start."""
        return time.monotonic() - (self.monitor.heard_at or self.started_at)

    def status(self) -> dict:
        """Figures of the moment, plain numbers; None for what is not known yet."""
        heard, (fates, behind) = self.monitor.last, self._tally()
        first, gain = self.monitor.first, self.radio.end.gain
        return {
            "time_s": round(self.seconds, 2),
            "bursts": self.receiver.bursts.bursts,
            "snr_db": _rounded(heard.get("snr_db"), 1),
            "cfo_hz": _rounded(heard.get("cfo_hz"), 1),
            "clock_ppm": _rounded(heard.get("clock_ppm"), 1),
            "level_db": _rounded(self._level_db(), 1),
            "gain_db": _rounded(None if gain is None else self.gain.gain, 1),
            "packets": fates.total(),
            "packets_lost": fates["lost"],
            "packets_undecodable": fates["undecodable"],
            "packets_desync": fates["desync"],
            "frames_concealed": max(self.receiver.concealer.frames_concealed - behind * self.profile.superframe, 0),
            "transmissions": self.monitor.transmissions,
            "join_s": _rounded(None if first is None else first / self.link.sample_rate, 3),
            "buffer_ms": round(self.receiver.codec.waiting * 1000 / SAMPLE_RATE),
            "samples": self.radio.samples,
        } | self._playout() | self._checked()

    def _playout(self) -> dict:
        """How playing goes: the sender's clock against the sound card's, and where sound came too late or too much."""
        follower = self.receiver.codec.follower
        if follower is None:
            return {}
        counts = follower.counts
        return {"drift_ppm": round(follower.drift_ppm, 1), "gaps": counts.gaps, "skips": counts.skips}

    def _checked(self) -> dict:
        """How many packets were refused, where packets are authenticated; not those before the link was joined."""
        refused = self.receiver.refused
        return {"packets_refused": refused["unverified"] + refused["replayed"]} if self.profile.security else {}

    def _tally(self) -> tuple[Counter, int]:
        """What became of the packets up to the last that came, and how many superframes missed behind it were played.

        Perhaps nothing was sent any more: those count only when something comes again.
        """
        counts = self.receiver.entropy.counts
        fates, behind = Counter(counts.fates), list(takewhile(_nothing_came, reversed(list(counts.status))))
        fates["lost"] -= sum(map(len, behind))
        return fates, max(len(behind) - self.profile.lookahead, 0)


def _led(speech: np.ndarray) -> np.ndarray:
    """Speech behind the silence in which receivers settle."""
    return np.concatenate([np.zeros(int(LEAD_S * SAMPLE_RATE), np.float32), speech])


def _nothing_came(fates: tuple[str, ...]) -> bool:
    return set(fates) == {"lost"}


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(float(value), digits)


def _card(make, device: str):
    if gr.prefs().get_long("audio_alsa", "nperiods", CARD_PERIODS_OF_GNURADIO) == CARD_PERIODS_OF_GNURADIO:
        os.environ[CARD_SETTING] = str(CARD_PERIODS)  # a third of a second would be too much delay
    try:
        return make(SAMPLE_RATE, device, True)
    except RuntimeError as error:
        raise OSError(f"the sound card {device or '(default)'} cannot be used ({error}): name another device with "
                      "--device (`aplay -L` lists them), or use a file: `tx FILE`, `rx --out X.wav`") from error
