# SPDX-License-Identifier: GPL-3.0-or-later
"""The flowgraph behind the lab: a voice without end over a simulated radio, all of it changeable while it plays.

Schemes are looked up by name in `SCHEMES`: each is a function that makes the two ends of a link (`Ends`). To add one:

    SCHEMES["mine"] = lambda: Ends(my_transmitter(), rx := my_receiver(), lambda: rx.status, "what it is", 2e6)
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from gnuradio import analog, blocks, gr, pdu
from gnuradio import audio as sound_card

from ..analog import AnalogLink, SymbolLink
from ..blocks.channel_model import channel_model
from ..comparison.codec_link import CodecLink
from ..profile import SAMPLE_RATE, PacketPhy, load, load_ladder
from .live import monitor
from .receiver import receiver
from .symbol_ends import symbol_receiver, symbol_transmitter
from .transmitter import transmitter

FADINGS = {"none": "awgn", "rayleigh": "rayleigh", "tdl-a": "tdl-a", "tdl-c": "tdl-c"}
MEMORY_S = 8.0
BURST_POWER = 52 / 64  # mean power of a burst: active carriers of all
SMOOTHING = 5e-3  # of the power that opens the spectrum's gate, a share of each sample
AHEAD = SAMPLE_RATE  # samples that the source may be ahead of what is heard: some superframes
CLOCK_SLACK = SAMPLE_RATE // 10
STALL_S, IDLE_S = 2.0, 0.005
PIECE = SAMPLE_RATE // 100  # samples that the source gives at a time, or more
WAIT_S = 0.1  # for a piece that is due; GNU Radio leaves a source that gives nothing alone for 250 ms
CARD_DELAY = SAMPLE_RATE // 4  # samples that wait before the sound card, so that it never waits for a superframe


@dataclass(frozen=True)
class Ends:
    """Both ends of a link.

    tx: block from speech (float, 16 kHz) to samples (complex at `rate`, bursts at `oversampling` times the critical
    rate). rx: the way back, aligned with what was sent, with a message port `symbols` as of `receiver` and a method
    `set_loss(loss, seed)`. status: gives the fates of the packets of each superframe so far, as `DecodedSuperframe` has
    them. about: a line for people.
    """

    tx: gr.hier_block2
    rx: gr.hier_block2
    status: Callable[[], Sequence[tuple[str, ...]]]
    about: str
    rate: float
    oversampling: float = 2.0


def digital(name: str) -> Ends:
    """The whole digital link by a profile that has a radio part."""
    profile, rx = load(name), receiver(name, 0)
    phy = profile.phy
    qam = ", ".join(map(_modulation, phy.packets))
    about = f"{sum(profile.room) * profile.superframes_per_second / 1000:.1f} kbit/s; {qam}"
    rate = phy.rate * phy.oversampling
    return Ends(transmitter(name), rx, lambda: rx.entropy.counts.status, about, rate, phy.oversampling)


def _modulation(block: PacketPhy) -> str:
    kind = {1: "BPSK", 2: "QPSK"}.get(block.bits_per_symbol, f"{1 << block.bits_per_symbol}-QAM")
    return f"{kind} rate {block.payload_bits / block.code_bits:.2f}"


def symbols(link: SymbolLink, about: str) -> Ends:
    """A scheme that makes the whole payload of the bursts of a profile."""
    rx, phy = symbol_receiver(link, 0), link.profile.phy
    return Ends(symbol_transmitter(link), rx, lambda: rx.decoder.counts.status, about, phy.rate * phy.oversampling,
                phy.oversampling)


def deep_jscc() -> Ends:
    """Deep JSCC, in the bursts of the profile `reference`."""
    return symbols(AnalogLink("reference"), "analog symbols, in the bursts of reference")


def conventional(name: str) -> Ends:
    """Opus, AMR-WB or Codec2, in the bursts of the profile `reference`. OSError where its library is not installed."""
    try:
        link = CodecLink(name)
    except ImportError as error:
        raise OSError(str(error)) from error
    block, rate = link.profile.phy.packets[0], link.source_bits * link.profile.superframes_per_second
    about = f"{rate / 1000:g} kbit/s; {_modulation(block)}; in the bursts of reference"
    return symbols(link, about)


SCHEMES: dict[str, Callable[[], Ends]] = {
    name: partial(digital, name) for name in ("reference", *(rung.name for rung in load_ladder("wide").rungs))
} | {"jscc": deep_jscc} | {name: partial(conventional, name) for name in ("opus", "amrwb", "codec2")}


class tape(gr.sync_block):
    """A sink that remembers the last seconds of a stream of sound and may write all of it to an open sound file."""

    def __init__(self, seconds: float = MEMORY_S, file=None):
        gr.sync_block.__init__(self, name="SoundSpring tape", in_sig=[np.float32], out_sig=None)
        self._ring, self._file, self._lock = np.zeros(int(seconds * SAMPLE_RATE), np.float32), file, threading.Lock()
        self.count = 0

    def work(self, input_items, output_items) -> int:
        sound = input_items[0]
        with self._lock:
            kept = sound[-len(self._ring) :]
            first = self.count + len(sound) - len(kept)
            self._ring[np.arange(first, first + len(kept)) % len(self._ring)] = kept
            self.count += len(sound)
        if self._file is not None:
            self._file.write(sound)
        return len(sound)

    def between(self, start: int, stop: int) -> np.ndarray | None:
        """Samples start..stop-1 of the stream, float32; None where some have not come or are forgotten."""
        with self._lock:
            if not max(self.count - len(self._ring), 0) <= start <= stop <= self.count:
                return None
            return self._ring[np.arange(start, stop) % len(self._ring)].copy()


class voice(gr.sync_block):
    """A source of speech in a loop, in real time, but never far ahead of what is heard of it.

    Packets wait in queues without end, so on a machine that is too slow a source that only went by the clock would let
    controls act later and later.

    Args:
        speech: float32 [n] at 16 kHz, from `position` on. heard: gives how many samples have been heard.
    """

    def __init__(self, speech: np.ndarray, position: int, heard: Callable[[], int]):
        gr.sync_block.__init__(self, name="SoundSpring voice", in_sig=None, out_sig=[np.float32])
        self._speech, self._position, self._heard = speech, position, heard
        self.count, self._due, self._now = 0, 0.0, None
        self._last, self._moved, self._grace = 0, 0.0, 0

    def work(self, input_items, output_items) -> int:
        end = time.monotonic() + WAIT_S
        while (allowed := self._allowed(time.monotonic())) < PIECE:
            if time.monotonic() > end:
                return 0
            time.sleep(IDLE_S)
        made = min(len(output_items[0]), allowed)
        places = np.arange(made) + self._position + self.count
        output_items[0][:made] = self._speech[places % len(self._speech)]
        self.count += made
        return made

    def _allowed(self, now: float) -> int:
        """Samples that may go out by the clock and by what is heard."""
        if self._now is None:
            self._now = self._moved = now
        elapsed, self._now = now - self._now, now
        self._due = min(self._due + elapsed * SAMPLE_RATE, self.count + CLOCK_SLACK)
        heard = self._heard()
        if heard != self._last:
            self._last, self._moved, self._grace = heard, now, 0
        elif now - self._moved > STALL_S:  # a scheme that needs more samples before it says anything
            self._moved, self._grace = now, self._grace + AHEAD // 4
        return int(min(self._due, heard + AHEAD + self._grace)) - self.count


class Lab:
    """Speech in a loop, a scheme, a channel, losses; out come sound and what displays want.

    Each scheme has a flowgraph of its own, `top`; displays, file and sound card go from one to the next.

    Args:
        speech: float32 [n] at 16 kHz, played again and again.
        scheme: one of `SCHEMES`. fading: one of `FADINGS`. snr_db, loss, seed: as of `channel_model` and `packet_loss`.
        out: WAV file to write, or None for the sound card `device`.
        constellation, spectrum: blocks with a complex input each that show equalised symbols and samples, or None.

    Raises:
        ValueError: naming the parameter that is out of range. OSError: the file or the sound card cannot be used.
    """

    def __init__(self, speech: np.ndarray, scheme: str = "reference", snr_db: float = 12.0, fading: str = "none",
                 loss: str = "none", out: str | Path | None = None, device: str = "", seed: int = 0,
                 constellation=None, spectrum=None):
        if not len(speech):
            raise ValueError("speech: there is no sound in it")
        self._speech, self._position = np.asarray(speech, np.float32), 0
        self.snr_db, self.loss, self.seed = float(snr_db), loss, seed
        self.fading = self._known("fading", fading, FADINGS)
        self.constellation, self.spectrum = constellation, spectrum
        self._file, self._card = _sound(out, device)
        self._running, self._past = False, []
        self._put_together(scheme, SCHEMES[self._known("scheme", scheme, SCHEMES)]())

    @staticmethod
    def _known(name: str, value: str, choices) -> str:
        if value not in choices:
            raise ValueError(f"{name}: {value!r} is not one of {', '.join(choices)}")
        return value

    def begin(self) -> None:
        self._running = True
        self.top.start()

    def end(self) -> None:
        """Stop and complete the file. May be called again."""
        self._halt()
        if self._file is not None:
            self._file.close()

    def _halt(self) -> None:
        if self._running:
            self.top.stop()
            self.top.wait()
        self._running = False

    def set_scheme(self, scheme: str) -> None:
        """Go on with another scheme where the sound is now; takes a moment.

        ValueError if there is none such, OSError if its model or library is not installed; then all stays as it was.
        """
        ends, running = SCHEMES[self._known("scheme", scheme, SCHEMES)](), self._running
        self._halt()
        self._position += self.received.count
        self._past = self.fates()
        self._put_together(scheme, ends)
        if running:
            self.begin()

    def set_snr_db(self, snr_db: float) -> None:
        """Mean Es/N0 per active carrier from now on."""
        self.snr_db = float(snr_db)
        self.air.set_snr_db(self.snr_db)
        if self.spectrum is not None:
            self.gate.set_threshold(self._between())

    def set_fading(self, fading: str) -> None:
        """Another channel from now on. ValueError if there is none such."""
        self.fading = self._known("fading", fading, FADINGS)
        self.air.set_channel(FADINGS[fading])

    def set_loss(self, loss: str) -> None:
        """Another process that drops packets. ValueError as of `packet_loss`."""
        self.ends.rx.set_loss(loss, self.seed)
        self.loss = loss

    def heard(self, seconds: float = 4.0) -> tuple[np.ndarray, np.ndarray] | None:
        """What was sent for what was heard last, and that, float32 [n] each; None while there is not so much."""
        stop = self.received.count
        start = stop - int(seconds * SAMPLE_RATE)
        got = self.received.between(start, stop)
        if got is None or start < 0:
            return None
        return self._speech[np.arange(self._position + start, self._position + stop) % len(self._speech)], got

    @property
    def played_s(self) -> float:
        """Seconds of sound so far, those of earlier schemes too."""
        return (self._position + self.received.count) / SAMPLE_RATE

    def fates(self) -> list[tuple[str, ...]]:
        """What became of the packets of each superframe so far, those of earlier schemes too."""
        return [*self._past, *self.ends.status()]

    def _put_together(self, scheme: str, ends: Ends) -> None:
        self.scheme, self.ends, self.top = scheme, ends, gr.top_block("SoundSpring lab")
        ends.rx.set_loss(self.loss, self.seed)
        self.received, self.monitor = tape(file=self._file), monitor()
        self.air = channel_model(FADINGS[self.fading], ends.rate, self.snr_db, ends.oversampling, seed=self.seed)
        self.source = voice(self._speech, self._position, lambda: self.received.count)
        self.top.connect(self.source, ends.tx, self.air, ends.rx, self.received)
        self.top.msg_connect((ends.rx, "symbols"), (self.monitor, "pdus"))
        if self._card:
            self.top.connect(ends.rx, *self._card)
        if self.constellation is not None:
            self.points = pdu.pdu_to_tagged_stream(gr.types.complex_t, "packet_len")
            self.top.msg_connect((ends.rx, "symbols"), (self.points, "pdus"))
            self.top.connect(self.points, self.constellation)
        if self.spectrum is not None:
            self.gate = analog.pwr_squelch_cc(self._between(), SMOOTHING, 0, True)
            self.top.connect(self.air, self.gate, self.spectrum)

    def _between(self) -> float:
        """Power in dB between that of noise alone and that of a burst upon it: the spectrum is of bursts, which are
        rare."""
        return float(10 * np.log10(self.ends.oversampling * 10 ** (-self.snr_db / 10) + BURST_POWER / 2))


def _sound(out: str | Path | None, device: str) -> tuple:
    """An open file or a row of blocks that ends with the sound card; the other is None."""
    if out is not None:
        import soundfile

        return soundfile.SoundFile(str(out), "w", SAMPLE_RATE, 1, "PCM_16", format="WAV"), None
    try:
        return None, (blocks.delay(gr.sizeof_float, CARD_DELAY), sound_card.sink(SAMPLE_RATE, device, True))
    except RuntimeError as error:
        raise OSError(f"the sound card {device or '(default)'} cannot be used ({error}): name another device, or give "
                      "a file with --out") from error
