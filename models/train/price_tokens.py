#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give the quantiser of a codec checkpoint its prices: rate-distortion search with the entries' own frequencies.

    python models/train/price_tokens.py --checkpoint RUN/checkpoint.pt --corpus DIR --weight 1.4

Encodes a few minutes of the training voices without prices, counts, and sets the prices from that.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from data import Corpus  # noqa: E402
from tokenise import load_codec  # noqa: E402


@torch.inference_mode()
def counts(codec, audio: torch.Tensor) -> torch.Tensor:
    """How often each entry is used in audio [B, N]: [layers, entries]."""
    latent, _ = codec.analyse(audio, codec.encoder_state(len(audio)))
    tokens = codec.quantizer.encode(latent.flatten(0, 1))
    return torch.stack([torch.bincount(t, minlength=codec.config.entries) for t in tokens.T])


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--checkpoint", type=Path, required=True)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--weight", type=float, default=1.4)
    ap.add_argument("--segments", type=int, default=300, help="of two seconds")
    args = ap.parse_args(argv)
    torch.set_num_threads(1)
    codec = load_codec(args.checkpoint)
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(Corpus(args.corpus, "train").batch(rng, args.segments, 32000))
    codec.quantizer.bonus.zero_()
    codec.quantizer.price(counts(codec, audio), args.weight)
    saved = torch.load(args.checkpoint, weights_only=True)
    saved["codec"] = codec.state_dict()
    torch.save(saved, args.checkpoint)
    print(f"{args.checkpoint}: prices of weight {args.weight} set")


if __name__ == "__main__":
    main()
