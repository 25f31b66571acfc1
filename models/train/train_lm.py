#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the masked language model on codec tokens for a number of minutes; resumes from its own checkpoint.

python models/train/train_lm.py --tokens DIR --codec CODEC --run models/train/runs/lm --minutes 60
"""

import argparse
import json
import math
import sys
from pathlib import Path

import gaps
import masks
import numpy as np
import torch
import torch.nn.functional as F
from checkpoints import load_codec, read, spent
from loop import Training, options
from optimizer import KINDS, optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from soundspring.evaluation.report import Track  # noqa: E402
from soundspring.lm.model import LmConfig, MaskedLm  # noqa: E402

PARTS = {"0-2": slice(0, 3), "3-11": slice(3, 12), "12-23": slice(12, 24)}


def nats(model, tokens, question):
    """Cross entropy [n targets] in nats of one question over tokens int64 [B, T, K], and the layer of each."""
    visible, known, target, layers = (
        torch.from_numpy(q).to(tokens.device) if isinstance(q, np.ndarray) else q for q in question
    )
    h = model.trunk(tokens, visible)
    rows = target.any(-1)
    asked = target[rows][:, layers]
    logits = model.heads(h[rows], tokens[rows], known[rows], layers)
    loss = F.cross_entropy(logits.float()[asked], tokens[rows][:, layers][asked], reduction="none")
    layer = torch.arange(tokens.shape[-1], device=tokens.device)[layers].expand_as(asked)[asked]
    return loss, layer


def crops(rng, tokens, count, frames):
    """Random stretches [count, frames, K] of the token stream."""
    at = rng.integers(0, len(tokens) - frames, count)
    return torch.from_numpy(tokens[at[:, None] + np.arange(frames)].astype(np.int64))


@torch.no_grad()
def evaluate(model, tokens, rng, batches=12):
    """Mean bits per token of each coding job on held-out tokens."""
    jobs = {
        "base": lambda: masks.base(rng, 96, tokens.shape[1]),
        "base_chained": lambda: masks.base(rng, 32, tokens.shape[1], 4),
        "base_20ms": lambda: masks.base(rng, 300, tokens.shape[1], 0, 1),
        "fine": lambda: masks.fine(rng, 48, tokens.shape[1]),
        "fine_window4": lambda: masks.fine(rng, 32, tokens.shape[1], 3),
        "fine_chained": lambda: masks.fine(rng, 32, tokens.shape[1], 4, policy="chained"),
        "fine_20ms": lambda: masks.fine(rng, 240, tokens.shape[1], 0, 1),
        "fine_alone": lambda: masks.fine(rng, 48, tokens.shape[1], policy="independent"),
        "conceal": lambda: masks.conceal(rng, 48, tokens.shape[1]),
        "copies": lambda: masks.copies(rng, 48, tokens.shape[1]),
        "packet": lambda: masks.packet(rng, 240, tokens.shape[1], 2),
    }
    out = {}
    for name, job in jobs.items():
        total, count = torch.zeros(24, dtype=torch.float64), torch.zeros(24, dtype=torch.float64)
        for _ in range(batches):
            question = job()
            sample = crops(rng, tokens, *question[0].shape[:2]).to(model.bias.device)
            loss, layer = (x.cpu() for x in nats(model, sample, question))
            total.index_add_(0, layer, loss.double() / math.log(2))
            count.index_add_(0, layer, torch.ones_like(loss, dtype=torch.float64))
        bits = [float((total / count)[own].mean()) for own in PARTS.values()]
        out[name] = {part: None if math.isnan(b) else round(b, 3) for part, b in zip(PARTS, bits, strict=True)}
    return out


def histogram(tokens, entries):
    """Counts [K, entries] of every layer, each at least a half."""
    return np.stack([np.bincount(tokens[:, k], minlength=entries) for k in range(tokens.shape[1])]) + 0.5


class Trainer(Training):
    def __init__(self, args):
        super().__init__(args)
        self.tokens = np.concatenate([np.load(folder / "tokens_train.npz")["tokens"] for folder in args.tokens])
        self.valid = dict(np.load(args.tokens[0] / "tokens_valid.npz"))
        self.codec = load_codec(args.codec).to(self.device)
        books = self.codec.quantizer.codebooks
        config = LmConfig(**{"latent": books.shape[-1]} | args.sizes)
        self.model = MaskedLm(config, books).to(self.device)
        self.earlier = {"step": 0, "seconds": 0.0}  # what other stages have spent on these weights
        if args.start:
            before = read(args.start)
            self.restore(before)
            self.earlier = spent(before)
        self.static_bits = self.start_from_histogram()
        self.optimizer = optimizer(args.optimizer, self.model, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.03)
        self.resume()

    def start_from_histogram(self):
        """Give every layer the logits of its histogram -> bits per token under it, held out, [K]."""
        counts, held_out = (histogram(t, self.model.config.entries) for t in (self.tokens, self.valid["tokens"]))
        static = np.log(counts / counts.sum(1, keepdims=True))
        self.model.bias.data.copy_(torch.from_numpy(static))
        held_out -= 0.5
        bits = -(held_out * static).sum(1) / held_out.sum(1) / math.log(2)
        print("static histogram, bits per token:", np.round(bits, 2).tolist(), flush=True)
        return bits

    def restore(self, saved):
        self.model.load_state_dict(saved["model"])

    def state(self):
        return {"model": self.model.state_dict(), "config": self.model.to_dict(), "earlier": self.earlier}

    def shared(self):
        return self.model.parameters()

    def one_step(self):
        question = masks.draw(self.rng, self.tokens.shape[1])
        tokens = crops(self.rng, self.tokens, *question[0].shape[:2]).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.args.bf16):
            loss, _ = nats(self.model, tokens, question)
        loss = loss.mean()
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {"bits a token": float(loss.detach()) / math.log(2)}

    def evaluate(self):
        jobs = evaluate(self.model, self.valid["tokens"], np.random.default_rng(0), self.args.eval_batches)
        print("valid", json.dumps(jobs), flush=True)
        curves = {f"bits a token, layers {part}": {k: v[part] for k, v in jobs.items() if v[part] is not None}
                  | {"static histogram": float(self.static_bits[own].mean())} for part, own in PARTS.items()}
        return curves, self.tracks()

    def tracks(self):
        """Four seconds of two voices at 12 layers, whole, and with every fifth packet lost and concealed."""
        out, voice = [], self.valid["voice"]
        for v in np.unique(voice)[:2]:
            tokens = torch.from_numpy(self.valid["tokens"][voice == v][:200, :12].astype(np.int64)).to(self.device)
            tokens = tokens[: len(tokens) // 5 * 5]
            for what, received in (("nothing lost", torch.ones_like(tokens, dtype=torch.bool)),
                                   ("20 % lost", gaps.fifth_lost(tokens))):
                sound = gaps.play(self.codec, self.model, tokens, received, 5)
                out.append(Track(f"voice {v}: {what}", sound))
        return out


def parser():
    ap = options(__doc__, lr=8e-4, rise=300)
    ap.add_argument("--tokens", type=Path, nargs="+", required=True, help="folders; the first is validated with")
    ap.add_argument("--codec", type=Path, required=True)
    ap.add_argument("--start", type=Path, help="checkpoint or folder of a model for an earlier codec")
    ap.add_argument("--eval-batches", type=int, default=12, help="for each coding job")
    ap.add_argument("--sizes", type=json.loads, default={}, help="of LmConfig, as JSON; default: the full model")
    ap.add_argument("--optimizer", choices=KINDS, default="muon")
    ap.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    return ap


def main(argv=None):
    Trainer(parser().parse_args(argv)).run()


if __name__ == "__main__":
    main()
