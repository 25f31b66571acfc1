#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the codec's decoder alone, on tokens of which packets were lost and the language model filled the gaps.

    python models/train/train_decoder.py --corpus DIR --codec CHECKPOINT --lm CHECKPOINT --run DIR --minutes 30

Encoder and codebooks stay as they are, so tokens and language model stay valid. Resumes from its own checkpoint.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from tokenise import load_codec
from train_codec import RATES, Trainer, arguments

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.lm.model import LmConfig, MaskedLm  # noqa: E402

BASE = 3
CONTEXT = 20  # frames, as lm.conceal.Concealer has by default


def losses(rng, frames, layers):
    """What arrives of a stream of `layers` layers, bool [frames, layers]: packets of base and enhancement."""
    size, received = int(rng.choice((1, 5), p=(0.3, 0.7))), np.ones((frames, layers), bool)
    if rng.random() < 0.3:
        return received, size
    p, q = rng.uniform(0.05, 0.4), rng.uniform(0, 0.4)
    for start in range(0, frames, size):
        own = slice(start, start + size)
        if rng.random() < p:
            received[own] = False
        elif rng.random() < q:
            received[own, BASE:] = False
    return received, size


@torch.no_grad()
def conceal(model, books, tokens, received, size):
    """The concealer's latents of a stream, [T, latent], with tokens int64 and received bool [T, K]; K >= BASE."""
    frames, layers = tokens.shape
    latent = (books[torch.arange(layers), tokens] * received[..., None]).sum(1)
    starts = [s for s in range(0, frames, size) if not received[s].all()]
    if not starts:
        return latent
    pad = torch.zeros(CONTEXT, layers, dtype=torch.int64)
    window = torch.tensor(starts)[:, None] + torch.arange(CONTEXT + size)
    seen = torch.cat([pad.bool(), received])[window]
    h = model.trunk(torch.cat([pad, tokens])[window], seen)[:, CONTEXT:].flatten(0, 1)
    rows = window[:, CONTEXT:].flatten() - CONTEXT
    logits = model.heads(h, tokens[rows], received[rows], slice(0, layers))
    expected = torch.bmm(logits.float().softmax(-1).transpose(0, 1), books[:layers])
    latent[rows] += (expected.transpose(0, 1) * ~received[rows][..., None]).sum(1)
    return latent


class DecoderTrainer(Trainer):
    def __init__(self, args):
        super().__init__(args)
        before = torch.load(args.codec, weights_only=True, map_location="cpu")
        self.earlier = {k: before[k] for k in ("step", "seconds")}
        self.lm = None
        if args.lm:
            books = self.codec.quantizer.codebooks
            self.lm = MaskedLm(LmConfig(), books).to(self.device).eval().requires_grad_(False)
            self.lm.load_state_dict(torch.load(args.lm, weights_only=True, map_location=self.device)["model"])

    def build(self):
        codec = load_codec(self.args.codec).train()
        for part in (codec.enc_skip, codec.enc_in, codec.encoder, codec.enc_out):
            part.requires_grad_(False)
        return codec

    def prepare(self, lr):
        """The quantiser does not change."""

    @torch.no_grad()
    def latents(self, x):
        codec = self.codec
        with torch.autocast(self.device.type, torch.bfloat16):
            z = codec.analyse(x, codec.encoder_state(len(x)))[0].float()
            tokens = codec.quantizer.encode(z.flatten(0, 1)).view(*z.shape[:2], -1)
            rows = [self.stream(t) for t in tokens]
        return torch.stack([r[0] for r in rows]).float(), torch.stack([r[1] for r in rows]), {}

    def stream(self, tokens):
        """tokens [T, K] -> (latents, layers that arrived [T]) at a random rate, with losses where there is a model."""
        n = int(self.rng.choice(RATES, p=(0.15, 0.2, 0.45, 0.2)))
        tokens, books = tokens[:, :n], self.codec.quantizer.codebooks
        if self.lm is None or n <= BASE:
            return self.codec.quantizer.decode(tokens), torch.full_like(tokens[:, 0], n)
        received, size = losses(self.rng, len(tokens), n)
        received = torch.from_numpy(received).to(tokens.device)
        return conceal(self.lm, books, tokens, received, size), received.sum(1)


def main():
    ap = arguments(__doc__)
    ap.add_argument("--codec", type=Path, required=True, help="checkpoint of the codec, its codebooks final")
    ap.add_argument("--lm", type=Path, help="checkpoint of the language model; without it nothing is lost")
    DecoderTrainer(ap.parse_args()).run()


if __name__ == "__main__":
    main()
