# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring tx`: a voice on the air."""

import argparse

from ._common import one_thread, read_speech, say, writable
from ._guard import present
from ._live import Events, add_live, chosen_ladder, guarded, over, watch


def register(subparsers) -> None:
    parser = subparsers.add_parser("tx", help="send speech by a radio", description="Send speech by a radio. Neither "
                                   "frequency nor power has a default: use those that you may use.")
    parser.add_argument("input", nargs="?", help="sound file to send (default: the microphone, until Ctrl-C)")
    parser.add_argument("--rung", type=int, default=0, help="of a ladder of profiles; 0 is the most robust (default)")
    add_live(parser)


def run(args: argparse.Namespace) -> int:
    writable(args.json)
    profile = chosen_ladder(args)
    speech = read_speech(args.input) if args.input else None
    if (code := guarded(args, "sink")) is not None:
        return code
    one_thread()
    from ..hier.live import Sender
    from ..kernels import compile_kernels

    compile_kernels()
    sender = present(lambda: Sender(profile, args.radio, speech, args.device, args.rung), say)
    events = Events(args.json)
    events.tell("start", f"sending by {args.radio}, profile {profile.name}; Ctrl-C ends", radio=args.radio,
                profile=profile.name, rate=sender.link.sample_rate, bursts=sender.needed)

    def look(status: dict) -> bool:
        events.tell("status", f"{status['time_s']:6.0f} s  {status['bursts']} bursts  buffer {status['buffer_ms']} ms  "
                    f"CPU {100 * status['cpu']:.0f} %", **status)
        return False

    watch(sender, events, args.duration, look)
    status = sender.status()
    whole = sender.needed is None or status["bursts"] >= sender.needed
    count, rest = status["bursts"], "" if whole else "; the file was not sent to its end"
    of = "" if whole else f" of {sender.needed}"
    events.tell("end", f"{count}{of} bursts sent in {status['time_s']:.1f} s{rest}", **status)
    events.close()
    return over(sender, 0 if whole else 1)
