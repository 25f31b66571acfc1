#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality under packet loss with real entropy decoding, the model's concealment against three simple ones.

Losses are independent of each other, of single packets or of whole superframes (base and enhancement together), and
the same ones for every method. A packet that did not arrive is not there when its neighbours are decoded; what cannot
be decoded for want of its context counts as `undecodable` and is concealed too. Profiles: the reference (superframes
of 100 ms) and packet20 (of 20 ms), both at 6 kbps raw.
"""

import numpy as np
from common import MemoDecoder, about, arguments, means, progress, score, show, speech, write
from soundspring.baselines.concealers import FewerLayers, Mute, RepeatLatent
from soundspring.channel.loss import Bernoulli
from soundspring.link import Counts, Link, Models, encode, speak
from soundspring.profile import FRAME, load

LAYERS = 12
RATES = (0, 5, 10, 20, 30)  # percent
CASES = (("reference", "packets"), ("reference", "superframes"), ("packet20", "packets"))
METHODS = ("model", "fewer layers", "repeat and fade", "mute")


def concealer(link: Link, method: str):
    books = link.models.lm.codebooks.numpy()
    peers = {"fewer layers": FewerLayers, "repeat and fade": RepeatLatent, "mute": Mute}
    return peers[method](books) if method in peers else link.concealer()


def losses(kind: str, percent: int, seed: int, superframes: int, groups: int) -> np.ndarray:
    """bool [superframes, groups]. Under one seed the losses of a lower rate are among those of a higher one."""
    process = Bernoulli(percent / 100, seed)
    if kind == "superframes":
        return np.repeat(process.step(superframes)[:, None], groups, axis=1)
    return process.step(superframes * groups).reshape(superframes, groups)


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


def utterance(decoder: MemoDecoder, sent: list, x: np.ndarray, kind: str, seed: int, results: dict) -> None:
    """All rates and methods on one utterance, added to results[percent][method] and results[percent]["counts"]."""
    link = decoder.link
    for percent in RATES:
        lost = losses(kind, percent, seed, len(sent), len(link.profile.groups))
        left = ((s, [None if gone else bits for bits, gone in zip(payloads, row, strict=True)])
                for (s, payloads), row in zip(sent, lost, strict=True))
        known = decoder.decode(left)
        for method in METHODS if percent else METHODS[:1]:
            y = render(link, known, len(x), concealer(link, method))
            results[percent][method].append(score(x, y))
        counts = Counts()
        for superframe in known:
            counts.add(superframe)
        fates = [lost.size, counts.packets_lost, counts.packets_undecodable, counts.packets_desync]
        results[percent]["counts"].append(fates)


def case(models: Models, utterances, name: str, kinds: list[str], seed: int) -> dict:
    """{kind: {percent: figures}}: the sound is encoded once and every packet pattern decoded once."""
    profile = load(name)
    link = Link(profile.with_layers(LAYERS) if profile.phy else profile, models)
    results = {k: {p: {m: [] for m in (*METHODS, "counts")} for p in RATES} for k in kinds}
    for i, (_, x) in enumerate(progress(utterances, f"{name} {' and '.join(kinds)}")):
        decoder, sent = MemoDecoder(link), list(encode(link, x))
        for kind in kinds:
            utterance(decoder, sent, x, kind, seed + i, results[kind])
    return {k: {p: summary(results[k][p], results[k][0]) for p in RATES} for k in kinds}


def summary(result: dict, lossless: dict) -> dict:
    sent, lost, undecodable, desync = np.sum(result["counts"], axis=0).tolist()
    methods = {m: result[m] or lossless[METHODS[0]] for m in METHODS}  # without loss all play the same
    margins = {m: {k: means([{k: a[k] - b[k] if None not in (a[k], b[k]) else None for k in a} for a, b in
                             zip(methods["model"], methods[m], strict=True)])[k] for k in ("pesq_wb", "plcmos")}
               for m in METHODS[1:]}
    return {
        "packets_sent": sent, "packets_lost": lost, "packets_undecodable": undecodable, "packets_desync": desync,
        "decodable_fraction": round((sent - lost - undecodable - desync) / sent, 4),
        "methods": {m: means(s) for m, s in methods.items()},
        "model_minus_peer": margins,
    }


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=27, length=3)
    utterances, models = speech(args), Models()
    kinds = {}
    for name, kind in CASES:
        kinds.setdefault(name, []).append(kind)
    figures = {"about": about(args, utterances) | {"layers": LAYERS},
               "profiles": {n: case(models, utterances, n, k, args.seed) for n, k in kinds.items()}}
    for name, by_kind in figures["profiles"].items():
        for kind, rates in by_kind.items():
            print(f"{name}, loss of {kind}")
            for percent, f in rates.items():
                print(f"  {percent:2} %: {100 * f['decodable_fraction']:.1f} % of the packets decodable")
                for method, m in f["methods"].items() if percent else [("no loss", f["methods"]["model"])]:
                    print(f"      {method:16} PESQ-WB {show(m['pesq_wb'])}  STOI {show(m['stoi'], 3)}  "
                          f"PLCMOS {show(m['plcmos'])}")
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
