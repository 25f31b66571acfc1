#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn the corpus into codec tokens for the language model.

    python models/train/tokenise.py --corpus DIR --codec CHECKPOINT_OR_FOLDER --out DIR

writes DIR/tokens_{train,valid,test}.npz: `tokens` int16 [frames, layers], `voice` int16 [frames]; the clips of
one voice are joined (as in training of the codec), each at a random level.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from checkpoints import load_codec
from data import Corpus, level


@torch.inference_mode()
def encode_voice(codec, corpus, clips, rng, beam, passes=1):
    """All clips of a voice, one after the other, through the encoder with its state carried on; so many times."""
    hop, state, out = codec.config.hop, codec.encoder_state(1), []
    for i, (start, length) in enumerate(clips * passes):
        skip = int(rng.integers(hop)) if i >= len(clips) else 0  # later passes begin elsewhere in the frame
        x = level(corpus.audio[start + skip : start + length].astype(np.float32) / 32768, rng)
        x = torch.from_numpy(x[: len(x) // hop * hop])[None]
        z, state = codec.analyse(x, state)
        out.append(codec.quantizer.encode(z[0], beam=beam).to(torch.int16).numpy())
    return np.concatenate(out)


def main(argv=None):
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--codec", type=Path, required=True)
    ap.add_argument("--out", type=Path, required=True)
    ap.add_argument("--beam", type=int, default=1)
    ap.add_argument("--every", type=int, default=1, help="take only every so many-th clip")
    ap.add_argument("--passes", type=int, default=1, help="over the training speech, each at other levels")
    ap.add_argument("--splits", default="valid,test,train")
    args = ap.parse_args(argv)
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("medium")  # products in bfloat16, where a processor has them
    codec = load_codec(args.codec)
    args.out.mkdir(parents=True, exist_ok=True)
    for split in args.splits.split(","):
        corpus, rng = Corpus(args.corpus, split), np.random.default_rng(0)
        tokens, voice = [], []
        for i, (_, clips) in enumerate(sorted(corpus.voices.items())):
            passes = args.passes if split == "train" else 1
            tokens.append(encode_voice(codec, corpus, clips[:: args.every], rng, args.beam, passes))
            voice.append(np.full(len(tokens[-1]), i, np.int16))
        temporary = args.out / "unfinished.npz"
        np.savez(temporary, tokens=np.concatenate(tokens), voice=np.concatenate(voice))
        temporary.replace(args.out / f"tokens_{split}.npz")
        print(f"{split}: {sum(map(len, tokens))} frames", flush=True)


if __name__ == "__main__":
    main()
