#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fit the codebooks of a checkpoint to prices, for an encoder that no longer moves: entropy-constrained RVQ.

    python models/train/refit_codebooks.py --checkpoint RUN/checkpoint.pt --corpus DIR --weight 1

An entry that is likely may be a little farther away (Chou, Lookabaugh, Gray: "Entropy-constrained vector quantization",
1989). The prices stay in the quantiser. What training made of an entry counts as much as PRIOR frames, or half an hour
of speech would teach the codebooks its own peculiarities.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from checkpoints import load_codec, read
from data import RATE, Corpus

PRIOR = 400  # frames


@torch.inference_mode()
def latents(codec, corpus: Corpus, minutes: float, seed: int = 7) -> torch.Tensor:
    """What the encoder makes of random speech, float32 [N, latent]."""
    rng, out = np.random.default_rng(seed), []
    for _ in range(max(round(minutes * 60 / 64), 1)):
        audio = torch.from_numpy(corpus.batch(rng, 16, 4 * RATE))
        with torch.autocast("cpu", torch.bfloat16):
            out.append(codec.analyse(audio, codec.encoder_state(16))[0].flatten(0, 1).float())
    return torch.cat(out)


def assign(quantizer, residual: torch.Tensor, k: int) -> torch.Tensor:
    """quantizer.nearest in bfloat16 products, for a million rows."""
    offset, half = quantizer.offset(k), quantizer.codebooks[k].T.bfloat16().contiguous()
    return torch.cat([((part.bfloat16() @ half).float() + offset).argmax(1) for part in residual.split(8192)])


def centroids(quantizer, residual: torch.Tensor, k: int, token: torch.Tensor) -> torch.Tensor:
    """Move the entries of layer k towards the means of their rows -> how many rows each has."""
    book, count = quantizer.codebooks[k], torch.bincount(token, minlength=quantizer.entries)
    total = torch.zeros_like(book).index_add_(0, token, residual)
    quantizer.codebooks[k] = (total + PRIOR * book) / (count + PRIOR)[:, None]
    return count


def perplexity(count: torch.Tensor) -> float:
    """Of how often entries are used."""
    return float(torch.exp(torch.special.entr(count / count.sum()).sum()))


def price(quantizer, residual: torch.Tensor, k: int, bit: float, floor: float, rounds: int) -> torch.Tensor:
    """Priced rounds for layer k, with a bit worth at most `bit`, so that the perplexity stays above floor -> tokens."""
    plain, nearest = quantizer.codebooks[k].clone(), assign(quantizer, residual, k)
    for share in 0.8 ** np.arange(10):
        count = torch.bincount(nearest, minlength=quantizer.entries)
        for _ in range(rounds):
            quantizer.price(k, count, share * bit)
            count = centroids(quantizer, residual, k, assign(quantizer, residual, k))
        token = assign(quantizer, residual, k)
        if perplexity(torch.bincount(token, minlength=quantizer.entries)) >= floor:
            return token
        quantizer.codebooks[k], quantizer.bonus[k] = plain, 0
    return nearest


@torch.inference_mode()
def refit(quantizer, latent: torch.Tensor, weight: float, floor: float = 0.0, rounds: int = 3) -> list[float]:
    """Price and refit all layers on latent [N, dim] -> the perplexity of each."""
    slope = quantizer.slope(latent)
    quantizer.bonus.zero_()
    residual, found = latent.clone(), []
    for k in range(quantizer.layers):
        token = assign(quantizer, residual, k)
        if weight:
            left = float((residual - quantizer.codebooks[k][token]).pow(2).sum(1).mean())
            token = price(quantizer, residual, k, weight * slope * left, floor, rounds)
        residual -= quantizer.codebooks[k][token]
        found.append(perplexity(torch.bincount(token, minlength=quantizer.entries)))
    return found


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--checkpoint", type=Path, required=True)
    ap.add_argument("--corpus", type=Path, required=True)
    ap.add_argument("--out", type=Path, help="checkpoint to write; default: the same one")
    ap.add_argument("--weight", type=float, default=1.0, help="of a bit; 1: what a bit of one more layer buys")
    ap.add_argument("--floor", type=float, default=400, help="perplexity below which no price presses a codebook")
    ap.add_argument("--minutes", type=float, default=30, help="of speech")
    args = ap.parse_args(argv)
    torch.set_num_threads(1)
    torch.manual_seed(7)
    codec = load_codec(args.checkpoint)
    latent = latents(codec, Corpus(args.corpus, "train"), args.minutes)
    found = refit(codec.quantizer, latent, args.weight, args.floor)
    saved = read(args.checkpoint)
    saved["codec"] = codec.state_dict()
    saved["sum"], saved["count"] = codec.quantizer.codebooks.clone(), torch.ones_like(saved["count"])
    out = args.out or args.checkpoint
    torch.save(saved, out.with_suffix(".tmp"))
    out.with_suffix(".tmp").replace(out)
    print(f"refitted with prices of weight {args.weight}; perplexities {[round(p) for p in found]}")


if __name__ == "__main__":
    main()
