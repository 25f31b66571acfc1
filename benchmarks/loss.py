#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality under packet loss with real entropy decoding, against Opus with in-band FEC and against simple concealment.

Three cases, in each the same files and the same losses for every system:

datagrams          packet20: one datagram every 20 ms, with copies of the lower layers of earlier ones; of Opus the
                   packets at the same 20 ms positions are lost
superframes        reference: whole intervals of 100 ms are lost; of Opus the five packets of the same interval
reference packets  reference: base and enhancement are lost independently; against simple concealment only

Independent losses at several rates; in datagrams and superframes also a Gilbert-Elliott channel and a wireless LAN. A
packet that did not arrive is not there when its neighbours are decoded; what cannot be decoded for want of its context
counts as `undecodable`, and what no copy stands in for is concealed. Opus is told the loss rate and waits one packet
for the copy of a lost one.

kbps is all that is sent above FEC or, in a network, above UDP. Datagrams: header, range code, check, copies. Reference:
payloads, as far as they fill the burst, and burst header. Opus: its packets, first byte (TOC) included; the RTP that
would number them is not counted, though the numbers in our headers are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from common import RATE, MemoDecoder, about, arguments, mean, means, progress, score, show, speech, write
from soundspring.baselines import opus
from soundspring.baselines.concealers import FewerLayers, Mute, RepeatLatent
from soundspring.channel.loss import parse_loss
from soundspring.coding.packet import BURST_BITS
from soundspring.coding.superframe import repaired
from soundspring.link import Counts, Link, Models, encode, from_datagrams, speak, to_datagrams
from soundspring.profile import FRAME, FRAMES_PER_SECOND, load

INDEPENDENT = {f"{p} %": f"bernoulli:{p / 100}" for p in (5, 10, 20, 30)}
CHANNELS = {"0 %": "none"} | INDEPENDENT | {"10 % in bursts of 3": "gilbert:0.1,3", "WLAN": "wlan"}
DECLARED = {"bernoulli": lambda p: 100 * float(p), "gilbert": lambda p: 100 * float(p.split(",")[0]),
            "wlan": lambda p: 13.8, "none": lambda p: 0}
PEERS = {"fewer layers": FewerLayers, "repeat and fade": RepeatLatent, "mute": Mute}
OPUS_KBPS = (18, 24)
OURS = "soundspring"
SHOWN = ("pesq_wb", "stoi", "plcmos")


@dataclass(frozen=True)
class Case:
    """profile and losses by name; arrive(link, sent, lost) -> frames; bits(link, sent): of all that is sent.

    lost: bool [superframes, columns]; columns(link) fates a superframe are drawn. opus_packets: of one such superframe,
    0: no comparison.
    """

    profile: str
    losses: dict[str, str]
    arrive: Callable
    bits: Callable
    columns: Callable = lambda link: 1
    opus_packets: int = 1


def datagrams_left(link: Link, sent: list, lost: np.ndarray) -> list:
    every = zip(to_datagrams(link, sent), lost[:, 0], strict=True)
    return from_datagrams(link, [None if gone else datagram for datagram, gone in every])


def payloads_left(link: Link, sent: list, lost: np.ndarray) -> list:
    gone = np.broadcast_to(lost, (len(lost), len(link.profile.groups)))
    return [(s, [None if g else p for p, g in zip(payloads, row, strict=True)])
            for (s, payloads), row in zip(sent, gone, strict=True)]


def burst_bits(link: Link, sent: list) -> int:
    return sum(BURST_BITS + sum(map(len, payloads)) for _, payloads in sent)


CASES = {
    "datagrams": Case("packet20", CHANNELS, datagrams_left, lambda k, sent: 8 * sum(map(len, to_datagrams(k, sent)))),
    "superframes": Case("reference", CHANNELS, payloads_left, burst_bits, opus_packets=5),
    "reference packets": Case("reference", INDEPENDENT, payloads_left, burst_bits,
                              columns=lambda k: len(k.profile.groups), opus_packets=0),
}


def losses(spec: str, seed: int, superframes: int, columns: int) -> np.ndarray:
    """bool [superframes, columns]; column 0 is the same for any number of columns.

    Under one seed the independent losses of a lower rate are among those of a higher one.
    """
    return np.stack([parse_loss(spec, seed + 10_000 * c).step(superframes) for c in range(columns)], 1)


class Ready:
    """Stands in for a codec decoder that is asked piece by piece, having decoded everything in one call: faster."""

    def __init__(self, decoder, estimates: list):
        self.audio = decoder.push(*(np.concatenate([getattr(e, f) for e in estimates]) for f in ("latent", "layers")))

    def push(self, latent: np.ndarray, layers: np.ndarray) -> np.ndarray:
        """The sound of the next len(layers) frames."""
        piece, self.audio = np.split(self.audio, [len(layers) * FRAME])
        return piece


def render(link: Link, known: list, samples: int, concealer) -> np.ndarray:
    """What link.render makes of these superframes, in a fraction of its time."""
    estimates = [e for d in known if (e := concealer.push(d.tokens, d.received)) is not None] + concealer.flush()
    ready = Ready(link.codec_decoder(), estimates)
    return np.concatenate([speak(ready, e) for e in estimates])[link.models.codec.delay :][:samples]


class Opus:
    """Scores of one utterance under losses; coded once for each declared loss, decoded once for each pattern."""

    def __init__(self, audio: np.ndarray):
        self.audio, self.coded, self.scores = audio, {}, {}

    def score(self, kbps: int, spec: str, lost: np.ndarray) -> dict:
        """lost: bool, a value a packet, as many as there are packets or more."""
        name, _, parameters = spec.partition(":")
        declared = DECLARED[name](parameters)
        if (kbps, declared) not in self.coded:
            encoder = opus.OpusEncoder(kbps, declared)
            self.coded[kbps, declared] = encoder.encode(self.audio), encoder.delay
        packets, delay = self.coded[kbps, declared]
        lost = lost[: len(packets)]
        if (key := (kbps, declared, lost.tobytes())) not in self.scores:
            left = [None if gone else p for p, gone in zip(packets, lost, strict=True)]
            sound = opus.OpusDecoder().decode(left, len(self.audio), delay)
            sent = 8 * sum(map(len, packets)) * FRAMES_PER_SECOND / len(packets) / 1e3
            self.scores[key] = score(self.audio, sound) | {"kbps": sent}
        return self.scores[key]


class Utterance:
    """One utterance on its way through every case of one profile: coded once, every packet pattern decoded once."""

    def __init__(self, link: Link, audio: np.ndarray, peer: Opus | None):
        self.link, self.audio, self.peer = link, audio, peer
        self.decoder, self.sent = MemoDecoder(link), list(encode(link, audio))
        self.seconds = len(self.sent) / link.profile.superframes_per_second

    def run(self, case: Case, spec: str, seed: int, concealers: bool) -> dict:
        """{"systems": {name: score}, "concealers": {name: score}, "fates": what became of the packets}."""
        link = self.link
        lost = losses(spec, seed, len(self.sent), case.columns(link))
        known = self.decoder.decode(case.arrive(link, self.sent, lost))
        counts = Counts()
        for superframe in known:
            counts.add(superframe)
        known = list(repaired(known, len(link.profile.copies)))
        kbps = {"kbps": case.bits(link, self.sent) / self.seconds / 1e3}
        systems = {OURS: score(self.audio, render(link, known, len(self.audio), link.concealer())) | kbps}
        if self.peer and case.opus_packets:
            gone = np.repeat(lost[:, 0], case.opus_packets)
            systems |= {f"opus {k} FEC": self.peer.score(k, spec, gone) for k in OPUS_KBPS}
        books = link.models.lm.codebooks.numpy()
        simple = {name: score(self.audio, render(link, known, len(self.audio), kind(books)))
                  for name, kind in PEERS.items() if concealers}
        fates = [len(known) * len(link.profile.groups), counts.packets_lost, counts.packets_undecodable,
                 counts.packets_desync]
        return {"systems": systems, "fates": fates,
                "concealers": {"model": systems[OURS]} | simple if simple else {}}


def differences(ours: list[dict], theirs: list[dict]) -> dict:
    """Means of ours less theirs, paired."""
    pairs = list(zip(ours, theirs, strict=True))
    return {m: mean(a[m] - b[m] if None not in (a[m], b[m]) else None for a, b in pairs) for m in SHOWN}


def summary(runs: list[dict]) -> dict:
    """Figures of one case and loss from those of the utterances."""
    sent, lost, undecodable, desync = np.sum([r["fates"] for r in runs], axis=0).tolist()
    systems = {n: [r["systems"][n] for r in runs] for n in runs[0]["systems"]}
    told = [r["concealers"] for r in runs if r["concealers"]]
    simple = {n: [t[n] for t in told] for n in told[0]} if told else {}
    return {
        "packets": sent, "packets_missing": lost, "packets_undecodable": undecodable, "packets_desync": desync,
        "decodable_fraction": round((sent - lost - undecodable - desync) / sent, 4),
        "systems": {n: {"kbps": round(float(np.mean([s["kbps"] for s in scores])), 2)} | means(scores)
                    for n, scores in systems.items()},
        "ours_minus": {n: differences(systems[OURS], scores) for n, scores in systems.items() if n != OURS},
        "methods": {n: means(scores) for n, scores in simple.items()},
        "model_minus_peer": {n: differences(simple["model"], simple[n]) for n in simple if n != "model"},
    }


def setting(link: Link) -> dict:
    """What stands beside the figures of a profile."""
    p = link.profile
    return {"profile": p.name, "policy": p.policy, "window": p.window, "lookahead": p.lookahead,
            "copies": list(p.copies), "layers": p.layers, "wait_ms": 1e3 * p.wait / p.superframes_per_second}


def measure(links: dict[str, Link], utterances, with_peers: set[int], with_opus: bool, seed: int) -> dict:
    """{case: {"setting", "losses": {loss: figures}}}; with_peers: which utterances the simple concealers get."""
    results = {c: {loss: [] for loss in case.losses} for c, case in CASES.items()}
    for i, (_, x) in enumerate(progress(utterances, "loss")):
        peer = Opus(x) if with_opus else None
        sent = {p: Utterance(link, x, peer) for p, link in links.items()}
        for c, case in CASES.items():
            if case.opus_packets or i in with_peers:
                for loss, spec in case.losses.items():
                    simple = i in with_peers and loss in INDEPENDENT
                    results[c][loss].append(sent[case.profile].run(case, spec, seed + i, simple))
    return {c: {"setting": setting(links[case.profile]),
                "losses": {loss: summary(runs) for loss, runs in results[c].items()}}
            for c, case in CASES.items() if all(results[c].values())}


def table(cases: dict) -> Iterable[str]:
    """The figures for people."""
    for name, case in cases.items():
        yield f"{name}: {', '.join(f'{k} {v}' for k, v in case['setting'].items())}"
        for loss, f in case["losses"].items():
            yield f"  {loss}: {100 * f['decodable_fraction']:.1f} % of the packets decodable"
            rows = [(f"{n}, {s['kbps']:.1f} kbps", s) for n, s in f["systems"].items()]
            for label, s in rows + [(f"  {n}", s) for n, s in f["methods"].items()]:
                yield (f"      {label:24} PESQ-WB {show(s['pesq_wb'])}  STOI {show(s['stoi'], 3)}  "
                       f"PLCMOS {show(s['plcmos'])}")


def main(argv=None) -> dict:
    args = arguments(
        __doc__, argv, seconds=180, length=3,
        peers_seconds={"type": float, "default": 27, "help": "speech for the simple concealers (default: %(default)g)"},
        packet_profile={"default": "packet20", "help": "another profile without radio for its cases, or a YAML file"},
    )
    utterances, with_opus = speech(args), opus.available()
    if not with_opus:
        print(f"without Opus: {opus.MISSING}")
    told = min(-(-args.peers_seconds // args.length), len(utterances))  # utterances, evenly over the voices
    with_peers = {int(i * len(utterances) / told) for i in range(int(told))}
    models = Models()
    links = {"packet20": Link(load(args.packet_profile), models),
             "reference": Link(load("reference"), models)}
    cases = measure(links, utterances, with_peers, with_opus, args.seed)
    seconds = sum(len(utterances[i][1]) for i in with_peers) / RATE
    figures = {"about": about(args, utterances) | {"opus": opus.version() if with_opus else None,
                                                   "concealers_seconds": round(seconds, 1)}, "cases": cases}
    print("\n".join(table(cases)))
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
