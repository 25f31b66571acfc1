#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the corpus into codec tokens for the language model.

    python models/train/tokenise.py --corpus DIR --codec CHECKPOINT_OR_FOLDER --out DIR

writes DIR/tokens_{train,valid,test}.npz: `tokens` int16 [frames, layers], `voice` int16 [frames]; the clips of
one voice are joined (as in training of the codec), each at a random level. Tokens are the nearest ones, or with --lm
those that a transmitter would send.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from augment import GRID, other_voice, stretch
from checkpoints import language_model, load_codec, read
from choose import Chooser
from data import Corpus, level


def latents(codec, corpus, clips, rng, passes=1, training=False):
    """All clips of a voice, one after the other, through the encoder with its state carried on; so many times, and
    for training some of them as other voices."""
    hop, state = codec.config.hop, codec.encoder_state(1)
    for i, (start, length) in enumerate(clips * passes):
        skip = int(rng.integers(hop)) if i >= len(clips) else 0  # later passes begin elsewhere in the frame
        x = corpus.audio[start + skip : start + length].astype(np.float32) / 32768
        if training:
            x = x[: max(len(x) // GRID, 1) * GRID]
            x = other_voice(x, stretch(rng, len(x)))
        x = level(x, rng)
        z, state = codec.analyse(torch.from_numpy(x[: len(x) // hop * hop])[None], state)
        yield z[0]


def nearest(codec, beam):
    """latents [T, latent], clip by clip -> their tokens int16 [T, layers]."""
    return lambda clips: np.concatenate([codec.quantizer.encode(z, beam=beam).to(torch.int16).numpy() for z in clips])


def chosen(codec, lm, weight):
    """The same, but tokens as the transmitter would choose them, in whole superframes of five frames."""
    choose, layers = Chooser(language_model(read(lm), codec.quantizer.codebooks), weight), codec.config.layers

    def tokens(clips):
        z = torch.cat(list(clips))
        parts = z[: len(z) // 5 * 5].unflatten(0, (-1, 5)).split(256)
        return np.concatenate([choose(part, layers).flatten(0, 1).to(torch.int16).numpy() for part in parts])

    return tokens


def split_tokens(codec, corpus, tokens_of, args, training):
    """-> (tokens int16 [frames, layers], voice int16 [frames]) of all voices of a split."""
    tokens, rng = [], np.random.default_rng(0)
    for _, clips in sorted(corpus.voices.items()):
        own = latents(codec, corpus, clips[:: args.every], rng, args.passes if training else 1, training)
        tokens.append(tokens_of(own))
    return np.concatenate(tokens), np.repeat(np.arange(len(tokens), dtype=np.int16), [len(t) for t in tokens])


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--codec", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--beam", type=int, default=1)
    ap.add_argument("--lm", type=Path, help="checkpoint of a language model: choose tokens by what it says they cost")
    ap.add_argument("--weight", type=float, default=1.2, help="of a bit in that choice (see choose.py)")
    ap.add_argument("--every", type=int, default=1, help="take only every so many-th clip")
    ap.add_argument("--passes", type=int, default=1, help="over the training speech, each at other levels")
    ap.add_argument("--splits", default="valid,test,train")
    args = ap.parse_args(argv)
    torch.set_num_threads(1)
    codec = load_codec(args.codec)
    args.out.mkdir(parents=True, exist_ok=True)
    tokens_of = chosen(codec, args.lm, args.weight) if args.lm else nearest(codec, args.beam)
    for split in args.splits.split(","):
        with torch.inference_mode():
            tokens, voice = split_tokens(codec, Corpus(args.corpus, split), tokens_of, args, split == "train")
        temporary = args.out / "unfinished.npz"
        np.savez(temporary, tokens=tokens, voice=voice)
        temporary.replace(args.out / f"tokens_{split}.npz")
        print(f"{split}: {len(tokens)} frames", flush=True)


if __name__ == "__main__":
    main()
