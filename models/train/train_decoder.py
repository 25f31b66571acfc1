#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the codec's decoder alone, on tokens of which packets were lost and the language model filled the gaps.

    python models/train/train_decoder.py --corpus DIR --codec CHECKPOINT --lm CHECKPOINT --run DIR --minutes 30

Encoder and codebooks stay as they are, so tokens and language model stay valid. With --adversary discriminators learn
beside it, and the decoder against them. Resumes from its own checkpoint.
"""

from pathlib import Path

import gaps
import torch
from adversary import Adversary
from checkpoints import language_model, load_codec, read, spent
from choose import Chooser
from masks import BASE
from train_codec import RATES, Trainer, arguments, mean_scores, renditions, stack

LOST = "12 layers, 20 % lost"
WEIGHTS = (1.0, 1.7)  # of a bit, where tokens are chosen: what profiles come to with one path
FEATURES = 2.0  # weight of feature matching beside that of being taken for real


class DecoderTrainer(Trainer):
    learns_codebooks = False

    def __init__(self, args):
        super().__init__(args)
        self.lm = language_model(read(args.lm), self.codec.quantizer.codebooks) if args.lm else None
        self.choosers = [None] + [Chooser(self.lm, weight) for weight in WEIGHTS if args.lm]

    def build(self):
        codec = load_codec(self.args.codec).train()
        for part in (codec.enc_skip, codec.enc_in, codec.encoder, codec.enc_out, codec.level_skip, codec.level_in):
            part.requires_grad_(False)
        self.adversary = self.critic = None
        if self.args.adversary:
            self.adversary = Adversary().to(self.device)
            self.critic = torch.optim.AdamW(self.adversary.parameters(), lr=self.args.lr, betas=(0.8, 0.99), fused=True)
        return codec

    def spent(self):
        return spent(read(self.args.codec))

    def restore(self, saved):
        super().restore(saved)
        if self.adversary and "adversary" in saved:  # else they start anew beside the decoder of an earlier stage
            self.adversary.load_state_dict(saved["adversary"])
            self.critic.load_state_dict(saved["critic"])

    def state(self):
        if not self.adversary:
            return super().state()
        return super().state() | {"adversary": self.adversary.state_dict(), "critic": self.critic.state_dict()}

    def shared(self):
        return super().shared() + (list(self.adversary.parameters()) if self.adversary else [])

    def opposition(self, x, y):
        if not self.adversary:
            return {}
        with torch.autocast(self.device.type, torch.bfloat16):
            judged = self.adversary.judge(x, y)
        self.critic.zero_grad()
        judged.backward()
        self.critic.step()
        self.adversary.requires_grad_(False)
        with torch.autocast(self.device.type, torch.bfloat16):
            fool, match = self.adversary.advise(x, y)
        self.adversary.requires_grad_(True)
        weight = self.args.adversary
        return {"judged": judged.detach(), "fool": weight * fool, "match": weight * FEATURES * match}

    def prepare(self, lr):
        """The quantiser does not change; the discriminators learn as fast as the decoder."""
        if self.critic:
            for group in self.critic.param_groups:
                group["lr"] = lr

    @torch.no_grad()
    def latents(self, x):
        codec = self.codec
        with torch.autocast(self.device.type, torch.bfloat16):
            z = codec.analyse(x, codec.encoder_state(len(x)))[0].float()
            rows = [self.stream(row) for row in z]
        return torch.stack([r[0] for r in rows]).float(), torch.stack([r[1] for r in rows]), {}

    def stream(self, z):
        """Latents [T, latent] of the encoder -> (those of tokens at a random rate, layers that arrived [T]).

        Where there is a model, tokens are the nearest or chosen by it, and some are lost.
        """
        n = int(self.rng.choice(RATES, p=(0.15, 0.2, 0.45, 0.2)))
        codec, books = self.codec, self.codec.quantizer.codebooks
        choose = self.choosers[self.rng.integers(len(self.choosers))]
        tokens = choose(z.unflatten(0, (-1, 5)), n).flatten(0, 1) if choose else codec.quantizer.encode(z, n)
        if self.lm is None or n <= BASE:
            return codec.quantizer.decode(tokens), torch.full_like(tokens[:, 0], n)
        received, size = gaps.losses(self.rng, len(tokens), n)
        received = torch.from_numpy(received).to(tokens.device)
        return gaps.conceal(self.lm, books, tokens, received, size), received.sum(1)

    def renditions(self, x):
        decoded = renditions(self.codec, x)[0]
        return decoded | ({LOST: self.with_losses(x)} if self.lm else {})

    def with_losses(self, x):
        """audio [B, N] -> what is left of it where every fifth packet is lost, [B, n]."""
        tokens = renditions(self.codec, x, ())[1][..., :12]
        tokens = tokens[:, : tokens.shape[1] // 5 * 5]
        sounds = [gaps.play(self.codec, self.lm, t, gaps.fifth_lost(t), 5) for t in tokens]
        return torch.stack([torch.from_numpy(y) for y in sounds])

    def evaluate(self):
        curves, tracks = super().evaluate()
        if self.lm:
            x = stack(self.codec, self.utterances)
            pesq_wb, stoi = mean_scores(x, self.with_losses(x))
            print("valid", LOST, pesq_wb, stoi, flush=True)
            curves["PESQ-WB"][LOST], curves["STOI"][LOST] = pesq_wb, stoi
        return curves, tracks


def main(argv=None):
    ap = arguments(__doc__)
    ap.add_argument("--codec", type=Path, required=True, help="checkpoint of the codec, its codebooks final")
    ap.add_argument("--lm", type=Path, help="checkpoint of the language model; without it nothing is lost")
    ap.add_argument("--adversary", type=float, default=0.0, help="weight of the discriminators; 0: none")
    DecoderTrainer(ap.parse_args(argv)).run()


if __name__ == "__main__":
    main()
