#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the codec for a number of minutes; resumes from its own checkpoint.

python models/train/train_codec.py --corpus DIR --run models/train/runs/codec --minutes 60
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from data import RATE, Corpus  # noqa: E402
from losses import ReconstructionLoss  # noqa: E402
from soundspring.codec.model import Codec, CodecConfig  # noqa: E402

RATES = (3, 6, 12, 24)
LATENT_RMS = 2.1  # to which the spread of the latent is held; the commitment loss is in its units


class EmaCodebooks:
    """Learns the codebooks of a quantiser from the residuals that pass through it."""

    def __init__(self, quantizer, decay=0.99):
        self.q, self.decay = quantizer, decay
        self.count = torch.ones(quantizer.layers, quantizer.entries, device=quantizer.codebooks.device)
        self.sum = quantizer.codebooks.clone()

    @torch.no_grad()
    def initialise(self, latents, iterations=8):
        """k-means, layer after layer, on latents [N, dim]."""
        residual = latents.clone()
        for k in range(self.q.layers):
            book = self.q.codebooks[k]
            book.copy_(residual[torch.randperm(len(residual))[: self.q.entries]])
            for _ in range(iterations):
                token = self.q.nearest(residual, k)
                count, total = self._sums(token, residual)
                used = count > 0
                book[used] = total[used] / count[used, None]
                book[~used] = residual[torch.randint(len(residual), (int((~used).sum()),))]
            residual = residual - book[self.q.nearest(residual, k)]
        self.count.fill_(1.0)
        self.sum = self.q.codebooks.clone()

    def _sums(self, token, vectors):
        count = torch.bincount(token, minlength=self.q.entries).float()
        return count, torch.zeros_like(self.q.codebooks[0]).index_add_(0, token, vectors)

    @torch.no_grad()
    def update(self, k, token, residual):
        count, total = self._sums(token, residual)
        scale = self.q.entries / len(token)  # counts in units of a fair share
        self.count[k].mul_(self.decay).add_(count * scale, alpha=1 - self.decay)
        self.sum[k].mul_(self.decay).add_(total * scale, alpha=1 - self.decay)
        dead = self.count[k] < 0.3
        if dead.any():
            fresh = residual[torch.randint(len(residual), (int(dead.sum()),))]
            self.sum[k][dead], self.count[k][dead] = fresh * 0.5, 0.5
        self.q.codebooks[k] = self.sum[k] / self.count[k][:, None]


def quantise(codec, ema, z, layers, train):
    """Straight-through quantisation of z [B, T, D] to layers [B] -> (latent, commitment loss)."""
    q = codec.quantizer
    flat = z.detach().flatten(0, 1)
    residual, total = flat, torch.zeros_like(flat)
    keep = layers.repeat_interleave(z.shape[1])[:, None]
    commit = 0.0
    books = q.codebooks
    for k in range(q.layers):
        token = q.nearest(residual, k)
        value = books[k][token]
        if train:
            ema.update(k, token, residual)
        residual = residual - value
        total = total + value * (keep > k)
    quantised = total.view_as(z)
    commit = (z - quantised).pow(2).mean()
    if train:
        rms = flat.pow(2).mean().sqrt()
        codec.spread = codec.spread * (rms / LATENT_RMS) ** 0.01
    return z + (quantised - z).detach(), commit


def pesq_stoi(reference, decoded):
    from pesq import NoUtterancesError, pesq
    from pystoi import stoi

    try:
        return pesq(RATE, reference, decoded, "wb"), stoi(reference, decoded, RATE)
    except NoUtterancesError:
        return None


@torch.inference_mode()
def evaluate(codec, utterances, rates=RATES):
    """Mean PESQ-WB and STOI at each rate, and the perplexity of each codebook."""
    x = torch.from_numpy(np.stack([u for _, u in utterances])).to(codec.spread.device)
    b = len(x)
    z, _ = codec.analyse(x, codec.encoder_state(b))
    tokens = codec.quantizer.encode(z.flatten(0, 1)).view(b, z.shape[1], -1)
    result = {}
    for n in (0, *rates):
        latent = codec.quantizer.decode(tokens[..., :n]) if n else z
        layers = torch.full(tokens.shape[:2], n or codec.config.layers, device=x.device)
        y, _ = codec.synthesise(latent, layers, codec.decoder_state(b))
        y = y[:, codec.delay :]
        scores = [pesq_stoi(r[: y.shape[1]], d) for r, d in zip(x.cpu().numpy(), y.cpu().numpy(), strict=True)]
        scores = [s for s in scores if s]
        result[n or "unquantised"] = [round(float(v), 3) for v in np.mean(scores, axis=0)]
    perplexity = []
    for k in range(codec.config.layers):
        p = torch.bincount(tokens[..., k].flatten(), minlength=codec.config.entries).float()
        p = p[p > 0] / p.sum()
        perplexity.append(round(float(torch.exp(-(p * p.log()).sum()))))
    return {"pesq_stoi": result, "perplexity": perplexity}


class Trainer:
    def __init__(self, args):
        self.args = args
        args.run.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(args.threads)
        torch.manual_seed(args.seed)
        self.rng = np.random.default_rng(args.seed)
        self.device = torch.device(args.device)
        self.codec = Codec(CodecConfig()).to(self.device)
        self.loss = ReconstructionLoss().to(self.device)
        self.ema = EmaCodebooks(self.codec.quantizer)
        self.optimizer = torch.optim.AdamW(self.codec.parameters(), lr=args.lr, betas=(0.8, 0.99), weight_decay=0.01)
        self.step, self.seconds = 0, 0.0
        self.train, self.valid = Corpus(args.corpus, "train"), Corpus(args.corpus, "valid")
        if args.decoder_only:
            for part in (self.codec.enc_skip, self.codec.enc_in, self.codec.encoder, self.codec.enc_out):
                part.requires_grad_(False)
        self.checkpoint = args.run / "checkpoint.pt"
        if self.checkpoint.exists():
            self.load()

    def load(self):
        saved = torch.load(self.checkpoint, weights_only=True, map_location=self.device)
        self.codec.load_state_dict(saved["codec"], strict=False)
        self.optimizer.load_state_dict(saved["optimizer"])
        self.ema.count, self.ema.sum = saved["count"], saved["sum"]
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.rng = np.random.default_rng(self.args.seed + self.step)

    def save(self):
        temporary = self.checkpoint.with_suffix(".tmp")
        torch.save(
            {
                "codec": self.codec.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "count": self.ema.count,
                "sum": self.ema.sum,
                "step": self.step,
                "seconds": self.seconds,
            },
            temporary,
        )
        temporary.replace(self.checkpoint)

    def one_step(self, quantised):
        a = self.args
        x = torch.from_numpy(self.train.batch(self.rng, a.batch, int(a.segment * RATE))).to(self.device)
        layers = torch.from_numpy(self.rng.choice(RATES, a.batch, p=(0.2, 0.25, 0.3, 0.25)))
        if self.rng.random() < 0.2:
            layers = torch.from_numpy(self.rng.integers(1, self.codec.config.layers + 1, a.batch))
        layers, codec = layers.to(self.device), self.codec
        with torch.autocast(self.device.type, torch.bfloat16):
            z, _ = codec.analyse(x, codec.encoder_state(a.batch))
        z, commit = z.float(), torch.zeros((), device=self.device)
        if quantised:
            z, commit = quantise(codec, self.ema, z, layers, train=not a.decoder_only)
        else:
            layers = torch.full_like(layers, codec.config.layers)
        with torch.autocast(self.device.type, torch.bfloat16):
            y, _ = codec.synthesise(z, layers[:, None].expand(z.shape[:2]), codec.decoder_state(a.batch))
        x, y = x[:, : -codec.delay], y.float()[:, codec.delay :]
        terms = self.loss(x, y)
        zero = x.new_zeros(a.batch, codec.config.hop)
        ca, cb = (codec.compress(codec.mdct.analyse(s, zero)[0]) for s in (x, y))
        terms["mdct"] = 0.5 * (ca - cb).abs().mean()
        terms["commit"] = a.commit * commit
        total = sum(terms.values())
        self.optimizer.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {k: float(v.detach()) for k, v in terms.items()}

    @torch.no_grad()
    def start_quantiser(self):
        latents = []
        for _ in range(25):
            x = torch.from_numpy(self.train.batch(self.rng, 8, RATE)).to(self.device)
            latents.append(self.codec.analyse(x, self.codec.encoder_state(8))[0].flatten(0, 1))
        self.ema.initialise(torch.cat(latents))

    def run(self):
        a = self.args
        utterances = self.valid.utterances(np.random.default_rng(0), 4.0, 3)
        begin, last_save, last_eval, mean = time.time(), time.time(), time.time(), {}
        while (elapsed := time.time() - begin) < 60 * a.minutes:
            if self.step == a.warm_steps:
                self.start_quantiser()
            # Cosine over the whole budget, so that a run ends annealed.
            progress = (self.seconds + elapsed) / (
                60 * a.total_minutes if a.total_minutes else self.seconds + 60 * a.minutes
            )
            lr = (
                a.lr
                * min(1.0, (self.step + 1) / 200)
                * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))
            )
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            for k, v in self.one_step(self.step >= a.warm_steps).items():
                mean[k] = 0.98 * mean.get(k, v) + 0.02 * v
            if self.step % 100 == 0:
                speed = self.step * a.batch * a.segment / (self.seconds + elapsed)
                terms = " ".join(f"{k} {v:.4f}" for k, v in mean.items())
                print(
                    f"step {self.step} {(self.seconds + elapsed) / 60:.1f} min lr {lr:.1e} {terms} ({speed:.0f} s/s)",
                    flush=True,
                )
            if time.time() - last_save > 180:
                spent, self.seconds = self.seconds, self.seconds + elapsed
                self.save()
                self.seconds, last_save = spent, time.time()
            if time.time() - last_eval > 60 * a.eval_minutes:
                print("valid", json.dumps(evaluate(self.codec, utterances)), flush=True)
                last_eval = time.time()
        self.seconds += time.time() - begin
        self.save()
        print("valid", json.dumps(evaluate(self.codec, utterances)), flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--run", type=Path, required=True, help="folder of the checkpoint")
    ap.add_argument("--minutes", type=float, required=True)
    ap.add_argument("--total-minutes", type=float, default=0, help="length of the learning-rate schedule over all runs")
    ap.add_argument("--eval-minutes", type=float, default=8)
    ap.add_argument("--batch", type=int, default=4)
    ap.add_argument("--segment", type=float, default=2.0, help="seconds")
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--commit", type=float, default=0.05)
    ap.add_argument("--warm-steps", type=int, default=500)
    ap.add_argument("--decoder-only", action="store_true", help="tokens are frozen: go on with the decoder alone")
    ap.add_argument("--device", default="cpu", help="cpu or cuda; with cuda raise --batch")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    Trainer(ap.parse_args()).run()


if __name__ == "__main__":
    main()
