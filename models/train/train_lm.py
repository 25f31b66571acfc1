#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the masked language model on codec tokens for a number of minutes; resumes from its own checkpoint.

python models/train/train_lm.py --tokens DIR --codec CODEC --run models/train/runs/lm --minutes 60
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
import masks  # noqa: E402
from soundspring.lm.model import LmConfig, MaskedLm  # noqa: E402
from together import Together  # noqa: E402
from tokenise import load_codec  # noqa: E402


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
        bits = total / count
        out[name] = {
            "0-2": round(float(bits[:3].mean()), 3),
            "3-11": round(float(bits[3:12].mean()), 3),
            "12-23": round(float(bits[12:].mean()), 3),
        }
    return out


def histogram(tokens, entries):
    """Counts [K, entries] of every layer, each at least a half."""
    return np.stack([np.bincount(tokens[:, k], minlength=entries) for k in range(tokens.shape[1])]) + 0.5


class Trainer:
    def __init__(self, args):
        self.args = args
        args.run.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        self.together = Together()
        self.rng = np.random.default_rng([args.seed, self.together.rank])
        self.tokens = np.load(args.tokens / "tokens_train.npz")["tokens"]
        self.valid = np.load(args.tokens / "tokens_valid.npz")["tokens"]
        self.device = torch.device(args.device)
        self.model = MaskedLm(LmConfig(), load_codec(args.codec).quantizer.codebooks).to(self.device)
        counts = histogram(self.tokens, self.model.config.entries)
        static = np.log(counts / counts.sum(1, keepdims=True))
        self.model.bias.data.copy_(torch.from_numpy(static))
        held_out = histogram(self.valid, self.model.config.entries) - 0.5
        bits = -(held_out * static).sum(1) / held_out.sum(1) / math.log(2)
        print("static histogram, bits per token:", np.round(bits, 2).tolist(), flush=True)
        decay = [p for p in self.model.parameters() if p.ndim > 1]
        plain = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": decay, "weight_decay": 0.03}, {"params": plain, "weight_decay": 0}],
            lr=args.lr,
            betas=(0.9, 0.98),
        )
        self.step, self.seconds = 0, 0.0
        self.checkpoint = args.run / "checkpoint.pt"
        if self.checkpoint.exists():
            saved = torch.load(self.checkpoint, weights_only=True, map_location=self.device)
            self.model.load_state_dict(saved["model"])
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.seconds = saved["step"], saved["seconds"]
            self.rng = np.random.default_rng([args.seed + self.step, self.together.rank])

    def save(self):
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(
            {
                "model": self.model.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            temporary,
        )
        temporary.replace(self.checkpoint)

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
        return float(loss.detach()) / math.log(2)

    def run(self):
        a, begin, mean = self.args, time.time(), None
        last_save = last_eval = begin
        before = self.seconds
        while True:
            now = time.time()
            self.seconds = before + now - begin
            meeting = self.together.world == 1 or self.step % a.sync == 0
            if meeting and self.together.meet(self.model.parameters(), now - begin >= 60 * a.minutes):
                break
            lr = self.rate(before + 60 * a.minutes)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            bits = self.one_step()
            mean = bits if mean is None else 0.99 * mean + 0.01 * bits
            if self.together.rank:
                continue
            if self.step % 200 == 0:
                print(f"step {self.step} {self.seconds / 60:.1f} min lr {lr:.1e} bits {mean:.3f}", flush=True)
            if now - last_save > 180:
                self.save()
                last_save = now
            if now - last_eval > 60 * a.eval_minutes:
                self.report()
                last_eval = now
        if not self.together.rank:
            self.save()
            self.report()

    def report(self):
        """Print the bits of every coding job on the validation voices."""
        print("valid", json.dumps(evaluate(self.model, self.valid, np.random.default_rng(0))), flush=True)

    def rate(self, end):
        """The learning rate now: a cosine over the whole budget, so that a run ends annealed."""
        progress = min(self.seconds / (60 * self.args.total_minutes or end), 1.0)
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        return self.args.lr * min(1.0, (self.step + 1) / 300) * (0.02 + 0.98 * cosine)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--tokens", type=Path, required=True)
    ap.add_argument("--codec", type=Path, required=True)
    ap.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    ap.add_argument("--minutes", type=float, required=True)
    ap.add_argument("--total-minutes", type=float, default=0, help="length of the learning-rate schedule over all runs")
    ap.add_argument("--eval-minutes", type=float, default=8)
    ap.add_argument("--lr", type=float, default=8e-4)
    ap.add_argument("--sync", type=int, default=20, help="steps between the meetings of several processes")
    ap.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True)
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    Trainer(ap.parse_args()).run()


if __name__ == "__main__":
    main()
