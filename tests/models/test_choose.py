# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens for training are chosen as the transmitter chooses them."""

import math

import pytest
import torch
from soundspring.codec.rvq import ResidualQuantizer
from soundspring.lm.model import LmConfig, MaskedLm


@pytest.fixture
def model():
    torch.manual_seed(0)
    books = torch.randn(6, 32, 8) * torch.linspace(2, 0.5, 6)[:, None, None]
    sizes = LmConfig(layers=6, entries=32, latent=8, dim=16, blocks=1, heads=2, hidden=32, head_hidden=16, learned=3)
    model = MaskedLm(sizes, books).eval().requires_grad_(False)
    for p in (model.bias, model.depth_seen, model.layer, model.seen, model.project):
        p.copy_(torch.randn(p.shape))
    return model


def question(tokens, frames):
    """What the coder knows when it codes `frames` of a superframe's base, and all above."""
    visible = torch.zeros_like(tokens, dtype=torch.bool)
    visible[:, frames, :3] = True
    return visible


def test_a_bit_for_nothing_finds_the_nearest(train, model):
    z = 3 * torch.randn(7, 5, 8)
    quantizer = ResidualQuantizer(6, 32, 8)
    quantizer.codebooks.copy_(model.codebooks)
    nearest = quantizer.encode(z.flatten(0, 1)).view(7, 5, 6)
    assert torch.equal(train("choose").Chooser(model, 0.0)(z, 6), nearest)
    assert torch.equal(train("choose").Chooser(model, 0.0)(z[:, :1], 4, size=1), nearest[:, :1, :4])


def test_bits_are_those_of_the_model(train, model):
    """At a price beyond all errors the likeliest token is sent, given the tokens of the layers below and the base."""
    z = 0.01 * torch.randn(4, 5, 8)
    tokens = train("choose").Chooser(model, 1e9)(z, 6)
    for frames, seen, layers in (([2], [], slice(0, 3)), ([0, 4], [2], slice(0, 3)), ([1, 3], [0, 2, 4], slice(0, 3)),
                                 ([0, 1, 2, 3, 4], [0, 1, 2, 3, 4], slice(3, 6))):
        h = model.trunk(tokens, question(tokens, seen))[:, frames].flatten(0, 1)
        own = tokens[:, frames].flatten(0, 1)
        logits = model.heads(h, own, torch.ones_like(own, dtype=torch.bool), layers)
        assert torch.equal(logits.argmax(-1), own[:, layers])


def test_a_price_saves_bits_and_costs_accuracy(train, model):
    z = 3 * torch.randn(40, 5, 8)

    def measure(weight):
        tokens = train("choose").Chooser(model, weight)(z, 6)
        h = model.trunk(tokens, question(tokens, [0, 1, 2, 3, 4])).flatten(0, 1)
        own = tokens.flatten(0, 1)
        logits = model.heads(h, own, torch.ones_like(own, dtype=torch.bool), slice(3, 6)).log_softmax(-1)
        bits = -logits.gather(-1, own[:, 3:, None]).mean() / math.log(2)
        vectors = model.codebooks[torch.arange(6), tokens].sum(-2)
        return float(bits), float((z - vectors).pow(2).mean())

    (dear, near), (cheap, far) = measure(0.0), measure(1.0)
    assert cheap < 0.9 * dear
    assert near < far
