# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring rx`: a voice from the air."""

import argparse
from collections import deque
from contextlib import nullcontext

from ._common import one_thread, read_speech, say, writable
from ._guard import present, turn
from ._live import Events, add_live, chosen_ladder, guarded, over, watch

LOST_S = 1.5  # without a burst
FAINT_DB = -70.0
NOTHING_S = 5.0  # without a first burst: say what may be wrong
UNREAD = 20  # bursts without one packet that can be read: the same
MISMATCH, WINDOW_S = 0.05, 4.0  # of the sample rate, measured over so long
MISSED_S, LOOKS = 0.05, 3  # of samples that never came; the least delay of so many looks is theirs, not the machine's


def register(subparsers) -> None:
    parser = subparsers.add_parser("rx", help="receive speech by a radio")
    parser.add_argument("--out", metavar="WAV", help="file to write (default: play on the loudspeaker)")
    add_live(parser)
    parser.add_argument("--timeout", type=float, metavar="S", help="stop when no burst comes for S seconds, the first "
                        "S seconds included")
    parser.add_argument("--record", metavar="SIGMF", help="also write the samples, to X.sigmf-meta and X.sigmf-data")
    parser.add_argument("--send", metavar="FILE", help="also send FILE from here, to hear it come back: by the "
                        "loopback of --radio, or by --send-radio where a board's output is wired to its input")
    parser.add_argument("--send-radio", metavar="R", help="the radio of --send")
    parser.add_argument("--loss", default="none", metavar="L", help="drop packets: bernoulli:0.1, gilbert:0.1,3, wlan")
    parser.add_argument("--seed", type=int, default=0, help="of the loss (default: 0)")
    parser.add_argument("--no-copies", action="store_true", help="do not wait for the copies of what was lost: sooner "
                        "(by some 60 ms with the profile reference), but less is repaired")


def run(args: argparse.Namespace) -> int:
    writable(args.out, args.json, args.record)
    profile = chosen_ladder(args)
    if (code := guarded(args, "source")) is not None:
        return code
    one_thread()
    from ..hier.live import Listener
    from ..kernels import compile_kernels

    compile_kernels()
    out, record = turn().file(args.out), turn().file(args.record)
    listener = present(
        lambda: Listener(profile, args.radio, out, record, args.device, args.loss, args.seed, not args.no_copies), say)
    sender = own_sender(args, profile)
    events = Events(args.json)
    events.tell("start", f"listening to {args.radio}, profile {profile.name}; Ctrl-C ends", radio=args.radio,
                profile=profile.name, rate=listener.link.sample_rate)
    watched = Watch(listener, events)

    def look(status: dict) -> bool:
        watched.look(status)
        if sender and sender.done:
            sender.end()  # else it would send silence for ever
        played = sender is not None and sender.done and listener.silent_s > LOST_S
        return played or bool(args.timeout) and listener.silent_s > args.timeout

    with sender.running() if sender else nullcontext():
        watch(listener, events, args.duration, look)
    status = listener.status()
    watched.changes(status)
    watched.unread(status, least=1)
    events.tell("end", "end: " + line(status), **status)
    events.close()
    return over(listener, 0 if status["packets"] else 1)


def own_sender(args: argparse.Namespace, profile):
    """The sender of --send, if it is asked for."""
    from ..hier.live import Sender
    from ..hier.radio_address import parse

    if not args.send:
        return None
    radio, heard = args.send_radio, parse(args.radio, "source")
    if not radio and heard.kind != "loopback":
        raise ValueError(f"--send: say with --send-radio by which radio; {heard.kind} needs other options to send")
    return Sender(profile, radio or f"loopback:{heard.target}", read_speech(args.send))


class Watch:
    """Makes events of what changes from status to status."""

    def __init__(self, listener, events: Events):
        self._listener, self._events = listener, events
        self._signal, self._flowing, self._hinted, self._refused, self._unread = False, False, False, False, False
        self._transmissions, self._samples = 0, 0
        self._off = False  # the rate, in the last window
        self._mark: tuple[float, int] | None = None  # time and samples where the measurement of the rate began
        self._delays: deque[float] = deque(maxlen=2 * LOOKS)  # seconds by which samples are behind the clock

    def look(self, status: dict) -> None:
        self._flow(status)
        self.changes(status)
        if not status["bursts"] and status["time_s"] > NOTHING_S and not self._hinted:
            self._hinted = True
            self._events.tell("nothing", "nothing received so far: " + self._hint(status))
        if status.get("packets_refused") and not status["packets"] and not self._refused:
            self._refused = True
            self._events.tell("refused", f"all {status['packets_refused']} packets so far were refused; the same key "
                              "there, and the same tags and encryption?", packets_refused=status["packets_refused"])
        self.unread(status)
        self._events.tell("status", line(status), **status)

    def unread(self, status: dict, least: int = UNREAD) -> None:
        """Tell once of `least` bursts or more whose packets cannot be read, not one of them: none can be counted."""
        counted = status["packets"] or status.get("packets_refused")
        if status["bursts"] >= least and not counted and not self._unread:
            self._unread = True
            text = (f"{status['bursts']} bursts so far, and none of their packets can be read: is the profile the "
                    f"sender's? Or is the signal too weak (SNR {status['snr_db']} dB)?")
            self._events.tell("unread", text, bursts=status["bursts"], snr_db=status["snr_db"])

    def changes(self, status: dict) -> None:
        """Signal found or lost, sender restarted."""
        present = bool(status["bursts"]) and self._listener.silent_s < LOST_S
        if status["transmissions"] > max(self._transmissions, 1):
            self._events.tell("restart", "the sender began anew, or samples were missed", time_s=status["time_s"])
        elif present and not self._signal:
            self._events.tell("signal", "signal found", time_s=status["time_s"], snr_db=status["snr_db"])
        elif self._signal and not present and not self._listener.played:
            self._events.tell("lost", f"no signal any more: {self._hint(status)}", time_s=status["time_s"])
        self._signal, self._transmissions = present, status["transmissions"]

    def _hint(self, status: dict) -> str:
        """What may be wrong when no bursts come."""
        if not self._flowing:
            return "no samples come from the radio; is it connected, is the sender running?"
        if status["level_db"] is None or status["level_db"] < FAINT_DB:
            return f"hardly any level ({status['level_db']} dB of full scale); frequency, gain, antenna, cable?"
        return f"the level is {status['level_db']} dB of full scale; the same profile, rate and weights there?"

    def _flow(self, status: dict) -> None:
        """Compare the radio's samples a second with what they should be, while they come at all."""
        end, now = self._listener.radio.end, (status["time_s"], status["samples"])
        self._flowing, self._samples = now[1] > self._samples, now[1]
        # Within one process nothing is dropped, and a slow machine slows both ends.
        told = end.paced and self._listener.radio.address.kind != "loopback"
        if not told or not self._flowing or self._mark is None:
            self._mark, self._off = now if self._flowing else None, False
            self._delays.clear()
            return
        self._overflow(now[0] - now[1] / end.rate)
        seconds = now[0] - self._mark[0]
        if seconds < WINDOW_S:
            return
        rate, self._mark = (now[1] - self._mark[1]) / seconds, now
        off, self._off = self._off, abs(rate / end.rate - 1) > MISMATCH
        if self._off and off:  # twice in a row: a sender that starts or stops is no mismatch
            why = "the sender runs at another rate" if rate > end.rate else (
                "this machine is too slow and the radio overflows, or the sender pauses or runs at another rate")
            text = f"{rate / 1e6:.3f} million samples come a second instead of {end.rate / 1e6:.3f}: {why}"
            self._events.tell("rate", text, rate=round(rate), expected=end.rate)

    def _overflow(self, delay: float) -> None:
        """Tell of samples that were dropped on the way: those behind them are late for good."""
        self._delays.append(delay)
        if len(self._delays) < 2 * LOOKS:
            return
        missed = min(list(self._delays)[LOOKS:]) - min(list(self._delays)[:LOOKS])
        if missed > MISSED_S:
            self._events.tell("overflow", f"{1000 * missed:.0f} ms of samples were missed: this machine was too slow, "
                              "or the sender paused", missed_s=round(missed, 3))
            self._delays.clear()


def line(status: dict) -> str:
    """The status for a person."""

    def show(value, form: str) -> str:
        return "-" if value is None else format(value, form)

    lost = status["packets_lost"] + status["packets_undecodable"] + status["packets_desync"]
    refused = f", {status['packets_refused']} refused" if status.get("packets_refused") else ""
    load = f"  CPU {100 * status['cpu']:.0f} %" if "cpu" in status else ""
    return "  ".join([
        f"{status['time_s']:.0f} s",
        f"SNR {show(status['snr_db'], '.1f')} dB",
        f"CFO {show(status['cfo_hz'], '+.0f')} Hz",
        f"{status['bursts']} bursts",
        f"packets {status['packets']}, {lost} lost{refused}",
        f"{status['frames_concealed']} frames concealed",
        f"buffer {status['buffer_ms']} ms{load}",
    ])
