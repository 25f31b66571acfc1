# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring lab`: a live window in which scheme, SNR, fading and loss change while a voice plays."""

import argparse
import signal

from ..channel.loss import parse_loss
from ._common import one_thread, read_speech, say, writable


def register(subparsers) -> None:
    parser = subparsers.add_parser("lab", help="a live window: change scheme, SNR, fading and loss while a voice plays")
    parser.add_argument("input", nargs="?", help="sound file to play in a loop (default: the examples' voice)")
    parser.add_argument("--out", metavar="WAV", help="write what is heard to this file; the sound card is not used")
    parser.add_argument("--scheme", default="reference", help="to begin with (default: reference)")
    parser.add_argument("--snr", type=float, default=12.0, metavar="DB", help="mean Es/N0 per carrier (default: 12)")
    parser.add_argument("--fading", default="none", metavar="F", help="none, rayleigh, tdl-a or tdl-c (default: none)")
    parser.add_argument("--loss", default="none", metavar="L", help="packets to drop as well, as of `soundspring link`")
    parser.add_argument("--seed", type=int, default=0, help="of noise, fading and loss (default: 0)")
    parser.add_argument("--device", default="", metavar="D", help="of the sound card (default: the usual one)")
    parser.add_argument("--duration", type=float, metavar="S", help="close after S seconds")
    parser.add_argument("--screenshot", metavar="PNG", help="a picture of the window when it closes")


def run(args: argparse.Namespace) -> int:
    writable(args.out, args.screenshot)
    one_thread()
    parse_loss(args.loss, args.seed)
    speech = read_speech(args.input or _example())
    from ..kernels import compile_kernels

    compile_kernels()
    from PyQt5.QtCore import QTimer
    from PyQt5.QtWidgets import QApplication

    from ..hier.lab_window import LabWindow

    application = QApplication.instance() or QApplication(["soundspring lab"])
    window = LabWindow(speech, scheme=args.scheme, snr_db=args.snr, fading=args.fading, loss=args.loss, out=args.out,
                       device=args.device, seed=args.seed)
    signal.signal(signal.SIGINT, lambda *_: window.close())
    signal.signal(signal.SIGTERM, lambda *_: window.close())
    if args.duration:
        QTimer.singleShot(int(1000 * args.duration), lambda: _finish(window, args.screenshot))
    window.show()
    window.begin()
    application.exec_()
    if args.out:
        say(f"{args.out}: {window.lab.played_s:.1f} s")
    return 0


def _example() -> str:
    from ..examples import example_file

    return example_file("speech.wav")


def _finish(window, screenshot: str | None) -> None:
    if screenshot:
        window.grab().save(screenshot)
    window.close()
