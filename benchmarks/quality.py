#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quality of the codec alone, on voices it was not trained on: PESQ-WB, STOI, PLCMOS and SI-SDR at 3, 6 and 12 kbps.

PLCMOS judges without a reference, so that of the uncoded speech stands beside it: what a perfect codec would get.
Tokens go from encoder to decoder without loss or entropy coding. Also: each voice by itself, how evenly the entries of
every codebook are used (perplexity, at most 1024 and at most the number of frames), and what becomes of quiet, loud
and noisy speech at 6 kbps.
"""

import numpy as np
from common import about, arguments, mean, means, progress, score, show, speech, write
from soundspring import weights
from soundspring.codec.api import Decoder, Encoder, load
from soundspring.evaluation.metrics import plcmos

LAYERS = (6, 12, 24)
CONDITIONS = {"level -46 dBov": (0.1, None), "level -16 dBov": (3.16, None), "white noise at 20 dB SNR": (1.0, 20.0),
              "white noise at 10 dB SNR": (1.0, 10.0)}


def through(codec, x: np.ndarray, layers: int) -> tuple[np.ndarray, np.ndarray]:
    """Sound float32 [n] -> (tokens int16 [T, layers], decoded sound aligned with x)."""
    hop = codec.config.hop
    padded = np.pad(x, (0, -len(x) % hop + codec.delay))
    tokens = Encoder(codec, layers).push(padded)
    return tokens, Decoder(codec).push_tokens(tokens)[codec.delay :][: len(x)]


def perplexity(tokens: np.ndarray) -> list[int]:
    """tokens [T, K] -> exp of the entropy of each layer's entries."""
    out = []
    for layer in tokens.T:
        p = np.bincount(layer) / len(layer)
        p = p[p > 0]
        out.append(round(float(np.exp(-(p * np.log(p)).sum()))))
    return out


def at_rate(codec, utterances, layers: int) -> dict:
    scores, tokens = [], []
    for _, x in progress(utterances, f"{layers / 2:g} kbps"):
        own, y = through(codec, x, layers)
        tokens.append(own)
        scores.append(score(x, y))
    voices = sorted({v for v, _ in utterances})
    by_voice = {v: means([s for s, (w, _) in zip(scores, utterances, strict=True) if w == v]) for v in voices}
    used = perplexity(np.concatenate(tokens))
    return {"kbps": layers / 2, **means(scores), "perplexity": used, "frames": sum(map(len, tokens)),
            "voices": by_voice}


def condition(x: np.ndarray, gain: float, snr_db: float | None, rng: np.random.Generator) -> np.ndarray:
    """Speech at -26 dBov, made louder or noisier."""
    x = x * min(gain, 0.99 / np.abs(x).max())
    noise = 0.0 if snr_db is None else rng.standard_normal(len(x)) * np.sqrt(np.mean(x**2)) * 10 ** (-snr_db / 20)
    return np.clip(x + noise, -1, 1).astype(np.float32)


def robustness(codec, utterances, seed: int) -> dict:
    """Scores against the sound that went in, noise included, on one utterance a voice."""
    first = {voice: x for voice, x in reversed(utterances)}
    rng, out = np.random.default_rng(seed), {}
    for name, (gain, snr_db) in progress(CONDITIONS.items(), "conditions"):
        scores = []
        for x in first.values():
            x = condition(x, gain, snr_db, rng)
            scores.append(score(x, through(codec, x, 12)[1]))
        out[name] = means(scores)
    return out


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=180, length=4)
    utterances, codec = speech(args), load(weights.find_model("codec"))
    figures = {"about": about(args, utterances), "layers": {k: at_rate(codec, utterances, k) for k in LAYERS}}
    figures["original"] = {"plcmos": mean(plcmos(x) for _, x in utterances)}
    figures["conditions_at_6_kbps"] = robustness(codec, utterances, args.seed)
    for k, f in figures["layers"].items():
        print(f"{f['kbps']:4g} kbps  PESQ-WB {show(f['pesq_wb'])}  STOI {show(f['stoi'], 3)}  "
              f"PLCMOS {show(f['plcmos'])}  lowest perplexity {min(f['perplexity'])} of {f['frames']} frames")
        for voice, v in f["voices"].items() if k == 12 else ():
            print(f"    {voice:20} PESQ-WB {show(v['pesq_wb'])}  STOI {show(v['stoi'], 3)}  PLCMOS {show(v['plcmos'])}")
    print(f"as recorded  PLCMOS {show(figures['original']['plcmos'])}")
    for name, f in figures["conditions_at_6_kbps"].items():
        print(f"    {name:24} PESQ-WB {show(f['pesq_wb'])}  STOI {show(f['stoi'], 3)}")
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
