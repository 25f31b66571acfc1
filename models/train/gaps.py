# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams of tokens with lost packets, and what the concealer makes of them, many windows at a time."""

import numpy as np
import torch
from masks import BASE

CONTEXT = 20  # frames, as lm.conceal.Concealer has by default


def losses(rng: np.random.Generator, frames: int, layers: int) -> tuple[np.ndarray, int]:
    """What arrives of a stream of `layers` layers, bool [frames, layers], and the frames of a packet."""
    size = int(rng.choice((1, 5), p=(0.3, 0.7)))
    p, q = (0, 0) if rng.random() < 0.3 else (rng.uniform(0.05, 0.4), rng.uniform(0, 0.4))
    return packets(rng, frames, layers, size, p, q), size


def packets(rng: np.random.Generator, frames: int, layers: int, size: int, p: float, q: float) -> np.ndarray:
    """bool [frames, layers]: a superframe of `size` is lost with probability p, else its enhancement with q."""
    received = np.ones((frames, layers), bool)
    for start in range(0, frames, size):
        own = slice(start, start + size)
        if rng.random() < p:
            received[own] = False
        elif rng.random() < q:
            received[own, BASE:] = False
    return received


def expected(model, books, tokens, received, own: slice) -> torch.Tensor:
    """E[vector | what arrived] of each layer in the frames `own` of every window, [B, S, K, latent].

    tokens int64, received bool [B, T, K]: the windows. lm.conceal.Concealer has it for one window at a time, in ways
    that only pay where latency counts; a test holds the two together.
    """
    h, layers = model.trunk(tokens, received)[:, own], tokens.shape[-1]
    rows = (x[:, own].flatten(0, 1) for x in (tokens, received))
    logits = model.heads(h.flatten(0, 1), *rows, slice(0, layers))
    mean = torch.bmm(logits.float().softmax(-1).transpose(0, 1), books[:layers])
    return mean.transpose(0, 1).unflatten(0, h.shape[:2])


@torch.no_grad()
def conceal(model, books: torch.Tensor, tokens: torch.Tensor, received: torch.Tensor, size: int) -> torch.Tensor:
    """The concealer's latents of a stream, [T, latent]; tokens int64, received bool [T, K]; T whole packets of size."""
    frames, layers = tokens.shape
    latent = (books[torch.arange(layers), tokens] * received[..., None]).sum(1)
    starts = [s for s in range(0, frames, size) if not received[s].all()]
    if not starts:
        return latent
    past = tokens.new_zeros(CONTEXT, layers)
    window = torch.tensor(starts)[:, None] + torch.arange(CONTEXT + size)
    seen, arrived = torch.cat([past, tokens])[window], torch.cat([past.bool(), received])[window]
    guess = expected(model, books, seen, arrived, slice(CONTEXT, None))
    latent[window[:, CONTEXT:] - CONTEXT] += (guess * ~arrived[:, CONTEXT:, :, None]).sum(2)
    return latent


@torch.no_grad()
def play(codec, model, tokens: torch.Tensor, received: torch.Tensor, size: int) -> np.ndarray:
    """Sound float32 [n] of a stream, what is lost concealed; as in training, without the fade of a long gap."""
    latent = conceal(model, codec.quantizer.codebooks, tokens, received, size)
    sound, _ = codec.synthesise(latent[None].float(), received.sum(1)[None], codec.decoder_state(1))
    return sound[0, codec.delay :].cpu().numpy()


def fifth_lost(tokens: torch.Tensor, size: int = 5) -> torch.Tensor:
    """What arrives of tokens [T, K] where every fifth packet of base and enhancement is lost, the same each time."""
    received = packets(np.random.default_rng(3), len(tokens), tokens.shape[1], size, 0.2, 0.0)
    return torch.from_numpy(received).to(tokens.device)
