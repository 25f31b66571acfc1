#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Train the analog scheme for a number of minutes; resumes from its own checkpoint.

python models/train/train_jscc.py --corpus DIR --run models/train/runs/jscc --minutes 60
"""

import copy
import json
import sys
from pathlib import Path

import equalised
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from data import RATE, Corpus  # noqa: E402
from loop import Training, options  # noqa: E402
from losses import ReconstructionLoss  # noqa: E402
from soundspring.evaluation.report import Track  # noqa: E402
from soundspring.jscc.model import Jscc, JsccConfig  # noqa: E402
from train_codec import INAUDIBLE, mean_scores  # noqa: E402

SNRS = (-5, 0, 5, 10, 15, 20, 25)  # dB, of the curves
LISTEN = (-5, 5, 20)
MEAN = 0.999  # of the running mean of the weights, which is what is evaluated and exported
STRAIGHT = 0.1  # of the learning rate
CLIPPED = 0.2  # share of the rows whose transmitter limits its peaks: noise of which the receiver does not know


def through(symbols: torch.Tensor, noise_var: torch.Tensor, extra: torch.Tensor | float = 0.0) -> torch.Tensor:
    """Symbols complex [B, n, symbols] with noise of that variance, 0 where it is infinite; `extra` is more of it."""
    arrived = torch.isfinite(noise_var)
    deviation = (torch.where(arrived, noise_var, 0.0) + extra).sqrt()
    return torch.where(arrived, symbols + deviation * torch.randn_like(symbols), 0.0)


@torch.inference_mode()
def rendition(model: Jscc, x: torch.Tensor, snr_db: float) -> torch.Tensor:
    """audio [B, N] -> what is left of it after white noise at Es/N0 = snr_db, [B, n - delay]; the noise is repeated."""
    x = x[:, : x.shape[1] // model.samples * model.samples]
    symbols, _ = model.encode(x, model.encoder_state(len(x)))
    noise = torch.full(symbols.shape, 10 ** (-snr_db / 10), device=x.device)
    state = torch.get_rng_state()
    torch.manual_seed(0)
    received = through(symbols, noise)
    torch.set_rng_state(state)
    return model.decode(received, noise, model.decoder_state(len(x)))[0][:, model.delay :]


class Trainer(Training):
    def __init__(self, args):
        super().__init__(args)
        self.train, valid = Corpus(args.corpus, "train"), Corpus(args.corpus, "valid")
        self.utterances = valid.utterances(np.random.default_rng(0), args.eval_seconds, args.eval_each)
        self.model = Jscc(JsccConfig(**args.sizes))
        self.model.begin_linear(torch.from_numpy(self.train.batch(np.random.default_rng(args.seed), 32, 2 * RATE)))
        self.model.to(self.device)
        self.mean = copy.deepcopy(self.model).requires_grad_(False).eval()
        self.loss = ReconstructionLoss().to(self.device)
        straight = [*self.model.enc_skip.parameters(), *self.model.dec_skip.parameters(), self.model.log_power]
        rest = [p for p in self.model.parameters() if all(p is not s for s in straight)]
        groups = [{"params": rest}, {"params": straight}]
        self.optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.8, 0.99), weight_decay=0.01, fused=True)
        self.resume()

    def prepare(self, lr):
        """The straight part begins well and is dense: at the networks' rate it would be shaken to pieces."""
        self.optimizer.param_groups[1]["lr"] = STRAIGHT * lr

    def restore(self, saved):
        self.model.load_state_dict(saved["model"])
        self.mean.load_state_dict(saved["mean"])

    def state(self):
        return {"model": self.model.state_dict(), "mean": self.mean.state_dict(), "config": self.model.to_dict()}

    def shared(self):
        return [*self.model.parameters(), *self.mean.parameters()]

    def one_step(self):
        """One batch -> the terms of its loss."""
        a, model = self.args, self.model
        samples = int(a.segment * RATE) // model.samples * model.samples
        x = torch.from_numpy(self.train.batch(self.rng, a.batch, samples)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16):
            symbols, _ = model.encode(x, model.encoder_state(a.batch))
        noise_var = equalised.noise_variances(self.rng, *symbols.shape)
        noise_var = torch.from_numpy(noise_var).to(self.device)
        received = through(symbols, noise_var, self.clipping(a.batch))
        with torch.autocast(self.device.type, torch.bfloat16):
            coefficients, _ = model.spectrum(received, noise_var, model.decoder_state(a.batch).stack)
        terms = self.terms(x, coefficients)
        self.optimizer.zero_grad()
        sum(terms.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        self.follow()
        return {k: float(v.detach()) for k, v in terms.items()}

    def clipping(self, batch: int) -> torch.Tensor:
        """Variance of the noise that limiting the peaks leaves on carriers, [B, 1, 1]: none, or 18 to 30 dB down."""
        variance = 10 ** -self.rng.uniform(1.8, 3.0, batch) * (self.rng.random(batch) < CLIPPED)
        return torch.from_numpy(variance.astype(np.float32)).to(self.device)[:, None, None]

    def terms(self, x, coefficients):
        """The terms of the loss for audio [B, N] and what the decoder makes of it, coefficients [B, T, hop]."""
        model, zero = self.model, x.new_zeros(len(x), self.model.config.hop)
        y, _ = model.mdct.synthesise(coefficients, zero)
        true = model.bands.levels(model.mdct.analyse(x, zero)[0])
        level = 0.3 * ((model.bands.levels(coefficients) - true).abs() * (true > INAUDIBLE)).mean()
        x, y = x[:, : -model.delay], y[:, model.delay :]
        ca, cb = (model.compander.compress(model.mdct.analyse(s, zero)[0]) for s in (x, y))
        return self.loss(x, y) | {"mdct": 0.5 * (ca - cb).abs().mean(), "level": level}

    @torch.no_grad()
    def follow(self):
        """Bring the running mean of the weights up to date; at first it reaches back less far."""
        weight = 1 - min(MEAN, (1 + self.step) / (10 + self.step))
        for mean, now in zip(self.mean.parameters(), self.model.parameters(), strict=True):
            mean.lerp_(now, weight)

    def evaluate(self):
        x = stack_on(self.device, self.utterances)
        scores = {snr: mean_scores(x, rendition(self.mean, x, snr)) for snr in SNRS}
        print("valid", json.dumps(scores), flush=True)
        curves = {m: {f"{snr} dB": v[i] for snr, v in scores.items()} for i, m in enumerate(("PESQ-WB", "STOI"))}
        return curves, self.tracks()

    def tracks(self):
        """The first utterance of two voices, as it is and received at some SNRs."""
        first = list({voice: (voice, x) for voice, x in reversed(self.utterances)}.items())[:2]
        x = stack_on(self.device, [u for _, u in first])
        sounds = {"original": x} | {
            f"{'minus ' if snr < 0 else ''}{abs(snr)} dB": rendition(self.mean, x, snr) for snr in LISTEN}  # files too
        return [Track(f"{v}: {k}", y[i].cpu().numpy()) for i, (v, _) in enumerate(first) for k, y in sounds.items()]


def stack_on(device, utterances):
    """[(voice, audio)] of one length -> audio [B, N]."""
    return torch.from_numpy(np.stack([u for _, u in utterances])).to(device)


def arguments():
    """The options of this script."""
    ap = options(__doc__, lr=5e-4, rise=200)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--batch", type=int, default=4, help="raise it with a GPU")
    ap.add_argument("--segment", type=float, default=2.0, help="seconds")
    ap.add_argument("--eval-seconds", type=float, default=4.0, help="length of each utterance for validation")
    ap.add_argument("--eval-each", type=int, default=3, help="utterances of each voice for validation")
    ap.add_argument("--sizes", type=json.loads, default={}, help="of JsccConfig, as JSON; default: the full model")
    return ap


def main(argv=None):
    Trainer(arguments().parse_args(argv)).run()


if __name__ == "__main__":
    main()
