#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the codec for a number of minutes; resumes from its own checkpoint.

python models/train/train_codec.py --corpus DIR --run models/train/runs/codec --minutes 60

Several processes learn together (together.py): torchrun --nproc-per-node 2 -- models/train/train_codec.py ...
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from checkpoints import load_codec, read, spent  # noqa: E402
from data import RATE, Corpus  # noqa: E402
from loop import Training, options  # noqa: E402
from losses import ReconstructionLoss  # noqa: E402
from optimizer import KINDS, optimizer  # noqa: E402
from soundspring.codec.model import Codec, CodecConfig  # noqa: E402
from soundspring.evaluation.metrics import pesq_wb, stoi  # noqa: E402
from soundspring.evaluation.report import Track  # noqa: E402

RATES = (3, 6, 12, 24)
LATENT_RMS = 2.1  # at which the latent is held: codebooks follow a drifting scale too slowly
INAUDIBLE = -7.5  # nepers, of a band
BITS_A_LAYER = 7.0  # of a layer's 10: what a Gaussian source would need for the error that a layer leaves


class EmaCodebooks:
    """Learns the codebooks of a quantiser from the residuals that pass through it."""

    def __init__(self, quantizer, decay=0.99):
        self.q, self.decay = quantizer, decay
        self.due = True  # whether the next step updates
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


def distortion(z, bits):
    """The error of a Gaussian source with the covariance of z [B, T, D] at so many bits a frame: reverse water-filling.

    bits float64 [R] -> (standard deviation [R] of the error in a dimension, 1.0 [R] with the gradient of its
    logarithm by z). A straight-through quantiser alone does not tell the encoder that whatever it makes larger leaves
    fewer bits for the rest.
    """
    flat = z.flatten(0, 1)
    energy, axes = torch.linalg.eigh((flat.detach().T @ flat.detach() / len(flat)).double())
    energy = energy.clamp(min=1e-9)
    low, high = torch.full_like(bits, -16), torch.full_like(bits, 4) + energy.max().log2()
    for _ in range(40):
        level = (low + high) / 2
        rate = 0.5 * torch.log2(1 + energy / (2**level)[:, None]).sum(1)
        low, high = torch.where(rate > bits, level, low), torch.where(rate > bits, high, level)
    error = 2 ** ((low + high) / 2)
    share = 1 / (energy + error[:, None])
    share = share / (len(energy) - error * share.sum(1))[:, None]  # d log error / d energy of each axis
    log_error = share.float() @ (flat @ axes.float()).pow(2).mean(0)
    return error.float().sqrt(), torch.exp(0.5 * (log_error - log_error.detach()))


def quantise(codec, ema, z, layers):
    """Straight-through quantisation of z [B, T, D] to layers [B]."""
    q = codec.quantizer
    flat = z.detach().flatten(0, 1)
    residual, total = flat, torch.zeros_like(flat)
    keep = layers.repeat_interleave(z.shape[1])[:, None]
    for k in range(q.layers):
        token = nearest(q.codebooks[k], residual)
        value = q.codebooks[k][token]
        if ema.due:
            ema.update(k, token, residual)
        residual = residual - value
        total = total + value * (keep > k)
    quantised = total.view_as(z)
    _, growth = distortion(z, BITS_A_LAYER * layers.double())
    return z + (quantised - z).detach() * growth[:, None, None]


@torch.no_grad()
def nearest(book, residual):
    """quantizer.nearest without prices, in bfloat16 products."""
    return ((residual.bfloat16() @ book.bfloat16().T).float() - 0.5 * (book * book).sum(1)).argmax(1)


def noisy(z, layers):
    """z with Gaussian noise as strong as the error of so many layers [B]: training before there are codebooks."""
    error, growth = distortion(z, BITS_A_LAYER * layers.double())
    return z + torch.randn_like(z) * (error * growth)[:, None, None]


@torch.inference_mode()
def renditions(codec, x, rates=RATES):
    """audio [B, N] -> ({layers or "unquantised": decoded [B, N - delay]}, tokens [B, T, K])."""
    b = len(x)
    z, _ = codec.analyse(x, codec.encoder_state(b))
    tokens = codec.quantizer.encode(z.flatten(0, 1)).view(b, z.shape[1], -1)
    decoded = {}
    for n in (0, *rates):
        latent = codec.quantizer.decode(tokens[..., :n]) if n else z
        layers = torch.full(tokens.shape[:2], n or codec.config.layers, device=x.device)
        decoded[n or "unquantised"] = codec.synthesise(latent, layers, codec.decoder_state(b))[0][:, codec.delay :]
    return decoded, tokens


def name(layers):
    """What curves and sounds of so many layers are called."""
    return f"{layers} layers" if isinstance(layers, int) else layers


def mean_scores(x, y):
    """[mean PESQ-WB, mean STOI] of audio y [B, n] against x [B, N]; None where none could be measured."""
    pairs = [(r[: len(d)], d) for r, d in zip(x.cpu().numpy(), y.cpu().numpy(), strict=True)]
    scores = ([v for pair in pairs if (v := metric(*pair)) is not None] for metric in (pesq_wb, stoi))
    return [round(float(np.mean(s)), 3) if s else None for s in scores]


def stack(codec, utterances):
    """[(voice, audio)] of one length -> audio [B, N] where the codec is."""
    return torch.from_numpy(np.stack([u for _, u in utterances])).to(codec.spread.device)


def evaluate(codec, utterances, rates=RATES):
    """Mean PESQ-WB and STOI at each rate, and the perplexity of each codebook."""
    x = stack(codec, utterances)
    decoded, tokens = renditions(codec, x, rates)
    result = {n: mean_scores(x, y) for n, y in decoded.items()}
    perplexity = []
    for k in range(codec.config.layers):
        p = torch.bincount(tokens[..., k].flatten(), minlength=codec.config.entries).float()
        p = p[p > 0] / p.sum()
        perplexity.append(round(float(torch.exp(-(p * p.log()).sum()))))
    return {"pesq_stoi": result, "perplexity": perplexity}


class Trainer(Training):
    learns_codebooks = True

    def __init__(self, args):
        super().__init__(args)
        self.codec = self.build().to(self.device)
        self.loss = ReconstructionLoss().to(self.device)
        self.ema = EmaCodebooks(self.codec.quantizer) if self.learns_codebooks else None
        self.optimizer = optimizer(args.optimizer, self.codec, lr=args.lr, betas=(0.8, 0.99), weight_decay=0.01)
        self.earlier = self.spent()
        self.train, valid = Corpus(args.corpus, "train"), Corpus(args.corpus, "valid")
        self.utterances = valid.utterances(np.random.default_rng(0), args.eval_seconds, 3)
        self.resume()

    def build(self):
        """The codec before training."""
        if self.args.start:
            self.args.warm_steps = -1  # it has its codebooks
            return load_codec(self.args.start).train()
        return Codec(CodecConfig(frame_power=self.args.frame_power, **self.args.sizes))

    def spent(self):
        """What was spent on these weights before."""
        return spent(read(self.args.start)) if self.args.start else {"step": 0, "seconds": 0.0}

    def restore(self, saved):
        self.codec.load_state_dict(saved["codec"], strict=False)
        if self.ema:
            self.ema.count, self.ema.sum = saved["count"], saved["sum"]

    def state(self):
        learned = {"count": self.ema.count, "sum": self.ema.sum} if self.ema else {}
        return {"codec": self.codec.state_dict(), "config": self.codec.to_dict(), "earlier": self.earlier} | learned

    def latents(self, x):
        """audio [B, N] -> (what the decoder is given [B, T, latent], layers it is worth [B, T], terms of the loss)."""
        count = self.codec.config.layers
        layers = torch.from_numpy(self.rng.choice(RATES, len(x), p=(0.2, 0.25, 0.3, 0.25)))
        if self.rng.random() < 0.2:
            layers = torch.from_numpy(self.rng.integers(1, count + 1, len(x)))
        layers = layers.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            z, _ = self.codec.analyse(x, self.codec.encoder_state(len(x)))
        z = z.float()
        scale = 0.5 * (z.pow(2).mean().sqrt() / LATENT_RMS).log().pow(2)
        z = quantise(self.codec, self.ema, z, layers) if self.step >= self.args.warm_steps else noisy(z, layers)
        return z, layers[:, None].expand(z.shape[:2]), {"scale": scale}

    def one_step(self):
        """One batch -> the terms of its loss."""
        a, codec = self.args, self.codec
        x = torch.from_numpy(self.train.batch(self.rng, a.batch, int(a.segment * RATE))).to(self.device)
        z, layers, terms = self.latents(x)
        with torch.autocast(self.device.type, torch.bfloat16):
            coefficients, levels, _ = codec.spectrum(z, layers, codec.decoder_state(a.batch).stack)
        zero = x.new_zeros(a.batch, codec.config.hop)
        y, _ = codec.mdct.synthesise(coefficients, zero)
        terms |= self.level(x, levels, zero)
        x, y = x[:, : -codec.delay], y[:, codec.delay :]
        ca, cb = (codec.compress(codec.mdct.analyse(s, zero)[0]) for s in (x, y))
        terms = self.loss(x, y) | {"mdct": 0.5 * (ca - cb).abs().mean()} | terms | self.opposition(x, y)
        self.optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return {k: float(v.detach()) for k, v in terms.items()}

    def opposition(self, x, y):
        """Terms of the loss from those that learn against the codec, of audio and its reconstruction [B, N]."""
        return {}

    def level(self, x, levels, zero):
        """The term of the loss for levels of bands [B, T, bands] that the decoder states for audio [B, N]."""
        true = self.codec.bands.levels(self.codec.mdct.analyse(x, zero)[0])
        return {"level": 0.3 * ((levels - true).abs() * (true > INAUDIBLE)).mean()}

    def shared(self):
        return [*self.codec.parameters(), *((self.ema.sum, self.ema.count) if self.ema else ())]

    @torch.no_grad()
    def meet(self, end):
        stop = super().meet(end)
        if self.ema and self.together.world > 1:
            self.codec.quantizer.codebooks.copy_(self.ema.sum / self.ema.count[..., None])
        return stop

    @torch.no_grad()
    def prepare(self, lr):
        """What the quantiser needs before each step."""
        # Every second step updates the codebooks: half the cost. Later the encoder moves less: longer averages.
        self.ema.due = self.step % 2 == 0
        self.ema.decay = 1 - max(0.002, 0.01 * lr / self.args.lr)
        if self.step != self.args.warm_steps:
            return
        latents = []
        for _ in range(max(self.args.init_seconds // 8, 1)):
            x = torch.from_numpy(self.train.batch(self.rng, 8, RATE)).to(self.device)
            latents.append(self.codec.analyse(x, self.codec.encoder_state(8))[0].flatten(0, 1))
        self.ema.initialise(torch.cat(latents))
        # Entries of the same number must mean the same everywhere, or their mean means nothing.
        self.together.follow([self.codec.quantizer.codebooks, self.ema.sum])

    def evaluate(self):
        result = evaluate(self.codec, self.utterances)
        print("valid", json.dumps(result), flush=True)
        scores = {name(n): v for n, v in result["pesq_stoi"].items()}
        curves = {metric: {n: v[i] for n, v in scores.items()} for i, metric in enumerate(("PESQ-WB", "STOI"))}
        used = sorted(result["perplexity"])
        return curves | {"codebook perplexity": {"lowest": used[0], "median": used[len(used) // 2]}}, self.tracks()

    def tracks(self):
        """The first utterance of two voices, as it is and decoded."""
        first = list({voice: (voice, x) for voice, x in reversed(self.utterances)}.items())[:2]
        x = stack(self.codec, [u for _, u in first])
        sounds = {"original": x} | {name(n): y for n, y in self.renditions(x).items()}
        return [Track(f"{v}: {k}", y[i].cpu().numpy()) for i, (v, _) in enumerate(first) for k, y in sounds.items()]

    def renditions(self, x):
        """What is worth listening to, of audio [B, N]: {layers or name: sound [B, n]}."""
        return renditions(self.codec, x)[0]


def arguments(doc):
    """The options that training of the codec and of its decoder share."""
    ap = options(doc, lr=1e-3, rise=200)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--batch", type=int, default=4, help="raise it with a GPU")
    ap.add_argument("--segment", type=float, default=2.0, help="seconds")
    ap.add_argument("--eval-seconds", type=float, default=4.0, help="length of each utterance for validation")
    ap.add_argument("--optimizer", choices=KINDS, default="muon")
    return ap


def parser():
    ap = arguments(__doc__)
    ap.add_argument("--start", type=Path, help="folder of a codec, or checkpoint, to go on from: its sizes hold")
    ap.add_argument("--frame-power", type=float, default=CodecConfig.frame_power)
    ap.add_argument("--warm-steps", type=int, default=500, help="before the quantiser starts")
    ap.add_argument("--init-seconds", type=int, default=200, help="of speech, from which the codebooks start")
    ap.add_argument("--sizes", type=json.loads, default={}, help="of CodecConfig, as JSON; default: the full model")
    return ap


def main(argv=None):
    Trainer(parser().parse_args(argv)).run()


if __name__ == "__main__":
    main()
