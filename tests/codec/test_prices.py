# SPDX-License-Identifier: GPL-3.0-or-later
"""Rate-distortion search: prices save bits and cost little distance."""

import torch
from soundspring.codec.rvq import ResidualQuantizer


def test_prices_trade_distance_for_bits():
    torch.manual_seed(0)
    quantizer = ResidualQuantizer(4, 64, 8)
    quantizer.codebooks.copy_(torch.randn(4, 64, 8))
    latent = torch.randn(2000, 8)
    counts = torch.stack([torch.bincount(t, minlength=64) for t in quantizer.encode(latent).T])
    bits = -((counts + 0.5) / (counts + 0.5).sum(1, keepdim=True)).log2()

    def cost(tokens):
        rate = sum(bits[k][tokens[:, k]].mean() for k in range(4))
        return float(rate), float((latent - quantizer.decode(tokens)).pow(2).sum(1).mean())

    plain_rate, plain_error = cost(quantizer.encode(latent))
    for k in range(4):
        quantizer.price(k, counts[k], 0.3)
    for beam in (1, 3):
        rate, error = cost(quantizer.encode(latent, beam=beam))
        assert rate < plain_rate - 0.1
        assert error < 1.2 * plain_error
    for k in range(4):
        quantizer.price(k, counts[k], 0.0)
    assert torch.equal(quantizer.bonus, torch.zeros(4, 64))
