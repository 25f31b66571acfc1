# SPDX-License-Identifier: GPL-3.0-or-later
"""`soundspring link`: a sound file through the whole link, scored."""

import argparse
import json
from pathlib import Path

from ..profile import FRAME
from ._common import add_profile, chosen_profile, one_thread, read_speech, say, writable

BITS = ("bitrate_bps", "copies_bps", "overhead_bps", "padding_bps", "authentication_bps")
CHANNELS = ("none", "awgn", "rayleigh", "rician", "tdl-a", "tdl-c")
CODECS = ("opus", "amrwb", "codec2")


def register(subparsers) -> None:
    parser = subparsers.add_parser("link", help="send a sound file through the whole link and score what arrives")
    parser.add_argument("input", help="any sound file; mixed to mono and resampled to 16 kHz")
    parser.add_argument("output", help="the WAV file to write")
    add_profile(parser)
    parser.add_argument(
        "--scheme",
        type=scheme_name,
        default="soundspring",
        metavar="S",
        help="how sound becomes symbols, in the same bursts: soundspring (tokens, FEC, QAM), jscc (analog symbols of a "
        f"network), or {', '.join(CODECS)} (a conventional codec, FEC, QAM), these also with a mode such as opus:12 "
        "(default: soundspring)",
    )
    parser.add_argument("--channel", choices=CHANNELS, default="awgn", help="none: packets only (default: awgn)")
    parser.add_argument(
        "--snr",
        type=float,
        default=None,
        metavar="DB",
        help="mean Es/N0 per active carrier (default: 12 dB where there is a channel)",
    )
    parser.add_argument("--doppler", type=float, default=10.0, metavar="HZ", help="of fading channels (default: 10)")
    parser.add_argument(
        "--delay-spread", type=float, default=100.0, metavar="NS", help="of tdl-a, tdl-c (default: 100)"
    )
    parser.add_argument("--cfo", type=float, default=0.0, metavar="HZ", help="carrier frequency offset")
    parser.add_argument("--clock", type=float, default=0.0, metavar="PPM", help="sample clock error of the receiver")
    parser.add_argument(
        "--loss", metavar="L", help="drop packets as well: bernoulli:0.1, gilbert:0.1,3, wlan or a file"
    )
    parser.add_argument("--seed", type=int, default=0, help="of noise, fading and loss (default: 0)")
    parser.add_argument(
        "--engine",
        choices=("gnuradio", "functions"),
        default="gnuradio",
        help="a flowgraph of blocks, or the same as plain functions (default: gnuradio)",
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures to FILE (- for standard output)")
    parser.add_argument(
        "--report", metavar="DIR", type=Path, help="write an HTML page with sound, pictures and figures"
    )


def scheme_name(text: str) -> str:
    """An argument that names a scheme; its mode is looked at when the codec is there."""
    name, colon, _ = text.partition(":")
    if name not in CODECS and (name not in ("soundspring", "jscc") or colon):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of soundspring, jscc, {', '.join(CODECS)}; only the "
                                         "last ones may have a mode, such as opus:12")
    return text


def run(args: argparse.Namespace) -> int:
    from ..audio.io import write
    from ..channel.loss import parse_loss
    from ..kernels import compile_kernels

    writable(args.output, args.json)
    one_thread()
    if args.channel != "none" and args.snr is None:
        args.snr = 12.0
    if args.channel == "none" and args.snr is not None:
        raise ValueError("--snr: channel none has no noise; choose another --channel, or --loss for packet loss")
    link = make_link(args)
    channel, loss = make_channel(args, link), parse_loss(args.loss, args.seed) if args.loss else None
    audio = read_speech(args.input)
    if channel is not None:
        compile_kernels()  # what must be compiled or loaded is not to count as the link's time
    result = engine(args.scheme, args.engine)(link, audio, channel, loss)
    write(args.output, result.audio)
    figures = measure(args, link, audio, result)
    if args.json == "-":
        print(json.dumps(figures))
    elif args.json:
        Path(args.json).write_text(json.dumps(figures, indent=2) + "\n")
    say(summary(figures))
    if args.report:
        from ._report import write_link_report

        say(f"report: {write_link_report(args, link, audio, result, figures)}")
    return 0


def make_link(args: argparse.Namespace):
    """The link of --scheme: a Link, an AnalogLink or a CodecLink."""
    if args.scheme == "soundspring":
        from ..link import Link

        return Link(chosen_profile(args))
    if args.channel == "none":
        raise ValueError(f"--channel: scheme {args.scheme} is compared over a radio; choose awgn for instance")
    if args.policy:
        raise ValueError(f"--policy: scheme {args.scheme} has no packets that could lean on others; leave it out")
    if args.scheme == "jscc":
        from ..analog import AnalogLink

        return AnalogLink(chosen_profile(args))
    from ..comparison.codec_link import CodecLink

    try:
        return CodecLink(args.scheme, chosen_profile(args))
    except ImportError as error:
        raise ValueError(f"--scheme {args.scheme}: {error}") from error


def engine(scheme: str, name: str):
    """The function that runs a scheme's link."""
    if name == "functions":
        from .. import analog, link

        return (link if scheme == "soundspring" else analog).run
    from ..hier import engine as digital
    from ..hier import symbol_engine

    return (digital if scheme == "soundspring" else symbol_engine).run


def make_channel(args: argparse.Namespace, link):
    """The seeded sample channel, or None for a link of packets alone."""
    from ..channel.factory import make_channel as make

    if args.channel == "none":
        return None
    if link.profile.phy is None:
        raise ValueError(f"--channel: profile {link.profile.name} has no phy section; use --channel none with it")
    for option, value, limit in (("--cfo", args.cfo, 1e6), ("--clock", args.clock, 1e4)):
        if not abs(value) <= limit:
            raise ValueError(f"{option}: must be a number from -{limit:g} to {limit:g}, not {value}")
    return make(
        args.channel,
        rate=link.sample_rate,
        snr_db=args.snr,
        oversampling=link.profile.phy.oversampling,
        doppler_hz=args.doppler,
        delay_spread_s=args.delay_spread * 1e-9,
        cfo_hz=args.cfo,
        clock_ppm=args.clock,
        seed=args.seed,
    )


def measure(args: argparse.Namespace, link, audio, result) -> dict:
    """The figures of one run; null where there is nothing to measure or a metric is not installed."""
    from ..evaluation.metrics import score

    seconds, c, phy = len(audio) / 16000, result.counts, link.profile.phy if args.channel != "none" else None
    burst = link.burst_samples if phy else 0
    frame_ms = 1000 * link.profile.superframe_samples / 16000
    digital, codec = args.scheme == "soundspring", c.model_bits > 0
    wait, delay = (link.profile.wait, FRAME) if digital else (0, link.delay)
    return {
        "scheme": args.scheme if digital else link.label,
        "profile": link.profile.name,
        "policy": link.profile.policy if digital else None,
        "engine": args.engine,
        "model": link.models.sha256[:16],
        "channel": args.channel,
        "snr_db": args.snr,
        "loss": args.loss,
        "seed": args.seed,
        "duration_s": round(seconds, 3),
        "raw_bps": link.profile.raw_bps if digital else None,
        **(bits(link, c, seconds, phy is not None) if codec else dict.fromkeys(BITS)),
        "channel_uses_per_s": round(burst * 1000 / frame_ms, 1) if phy else None,
        "bursts_sent": c.bursts_sent,
        "bursts_detected": c.bursts_detected,
        "packets_sent": c.packets_sent,
        "packets_lost": c.packets_lost,
        "packets_undecodable": c.packets_undecodable,
        "packets_desync": c.packets_desync,
        "packets_refused": c.packets_refused,
        "frames_concealed": c.frames_concealed,
        "snr_measured_db": round(sum(result.snr_db) / len(result.snr_db), 2) if result.snr_db else None,
        **score(audio, result.audio),
        "rtf_tx": round(result.timer.tx / seconds, 3),
        "rtf_rx": round(result.timer.rx / seconds, 3),
        "latency_ms": round(frame_ms * (1 + wait) + delay / 16 + (1000 * burst / phy.rate if phy else 0), 1),
    }


def bits(link, counts, seconds: float, radio: bool) -> dict:
    """Bits per second of a digital scheme: of tokens, around them, and of room that was not used."""
    from ..coding.packet import BURST_BITS, OVERHEAD

    c, superframes = counts, len(counts.status)
    header = BURST_BITS * superframes if radio else 8 * OVERHEAD * c.packets_sent
    security = link.profile.security
    filled = radio or (security and link.profile.room)  # sealed packets are of one size
    room = sum(link.profile.room) * superframes if filled else c.payload_bits
    return {
        "bitrate_bps": round(c.model_bits / seconds, 1),
        "copies_bps": round(c.copy_bits / seconds, 1),
        "overhead_bps": round((c.payload_bits - c.model_bits - c.copy_bits + header) / seconds, 1),
        "padding_bps": round((room - c.payload_bits) / seconds, 1),
        "authentication_bps": round(security.cost_bits * c.packets_sent / seconds, 1) if security else 0.0,
    }


def summary(f: dict) -> str:
    """The figures as a few lines for a person."""

    def show(value, form="{:.2f}"):
        return "-" if value is None else form.format(value)

    refused = f["packets_refused"]
    where = f["channel"] + (f" at {f['snr_db']:g} dB" if f["snr_db"] is not None else "")
    what = f"{f['scheme']}: " + ("analog symbols" if f["bitrate_bps"] is None else
                                 f"{f['bitrate_bps']:.0f} bit/s + {f['overhead_bps']:.0f} overhead")
    if f["raw_bps"] is not None:
        what = (f"{f['bitrate_bps']:.0f} bit/s of tokens ({f['raw_bps']:.0f} raw) + {f['copies_bps']:.0f} of copies + "
                f"{f['overhead_bps']:.0f} overhead" + (
                    f" + {f['authentication_bps']:.0f} of authentication" if f["authentication_bps"] else ""))
    bursts = f"; bursts {f['bursts_detected']} of {f['bursts_sent']}" if f["bursts_sent"] else ""
    return (
        f"{f['duration_s']:.2f} s over {where}, profile {f['profile']}, engine {f['engine']}\n"
        f"  {what}{bursts}\n"
        f"  packets {f['packets_sent']} sent, {f['packets_lost']} lost, {f['packets_undecodable']} undecodable, "
        f"{f['packets_desync']} damaged{f', {refused} refused' if refused else ''}; "
        f"{f['frames_concealed']} frames concealed\n"
        f"  PESQ-WB {show(f['pesq_wb'])}  STOI {show(f['stoi'], '{:.3f}')}  SI-SDR {show(f['si_sdr_db'])} dB  "
        f"PLCMOS {show(f['plcmos'])}\n"
        f"  real-time factor: transmitter {f['rtf_tx']:.2f}, receiver {f['rtf_rx']:.2f}; "
        f"latency {f['latency_ms']:.0f} ms"
    )
