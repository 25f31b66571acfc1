# SPDX-License-Identifier: GPL-3.0-or-later
"""The mathematics of training: gradients, codebooks, and losses as the link has them."""

import numpy as np
import pytest
import torch


def test_distortion_is_reverse_water_filling(train):
    """Few loud axes take all bits: R = sum 1/2 log2(1 + energy / error) holds for the error that is returned."""
    torch.manual_seed(0)
    z = torch.randn(4, 500, 16) * torch.logspace(1, -1, 16)
    bits = torch.tensor([10.0, 40.0], dtype=torch.float64)
    error, _ = train("train_codec").distortion(z, bits)
    flat = z.flatten(0, 1).double()
    energy = torch.linalg.eigvalsh(flat.T @ flat / len(flat))
    rate = 0.5 * torch.log2(1 + energy / error.double()[:, None] ** 2).sum(1)
    assert torch.allclose(rate, bits, rtol=1e-3)


def test_gradient_of_distortion(train):
    """Against the difference quotient, along a random direction."""
    distortion = train("train_codec").distortion
    torch.manual_seed(1)
    z = (torch.randn(2, 300, 8) * torch.linspace(3, 0.3, 8)).requires_grad_()
    direction = torch.randn_like(z)
    bits = torch.tensor([12.0], dtype=torch.float64)
    distortion(z, bits)[1].backward()
    analytic = float((z.grad * direction).sum())
    step = 1e-2
    with torch.no_grad():
        up, down = (float(distortion(z + s * direction, bits)[0].double().log()) for s in (step, -step))
    assert analytic == pytest.approx((up - down) / (2 * step), rel=0.03)


def test_louder_latents_bring_louder_errors(train):
    """Scaling everything scales the error: nothing is gained by it, so the gradient along z itself is one."""
    z = torch.randn(2, 300, 8, requires_grad=True)
    train("train_codec").distortion(z, torch.tensor([20.0], dtype=torch.float64))[1].backward()
    assert float((z.grad * z.detach()).sum()) == pytest.approx(1.0, rel=1e-3)


def test_prices_save_bits_and_stop_at_the_floor(train):
    from soundspring.codec.rvq import ResidualQuantizer

    refit = train("refit_codebooks").refit
    torch.manual_seed(2)
    latent = torch.randn(6000, 8) * torch.tensor([3.0, 2, 1, 1, 1, 0.5, 0.5, 0.5])

    def measure(weight, floor=0.0):
        torch.manual_seed(3)
        quantizer = ResidualQuantizer(3, 64, 8)
        quantizer.codebooks.copy_(torch.randn(3, 64, 8) * torch.tensor([1.5, 1.0, 0.7])[:, None, None])
        found = refit(quantizer, latent, weight, floor)
        return found, float((latent - quantizer.decode(quantizer.encode(latent))).pow(2).sum(1).mean())

    plain, error = measure(0.0)
    priced, dearer = measure(1.0)
    assert all(p < 0.95 * q for p, q in zip(priced, plain, strict=True))
    assert dearer < 1.25 * error
    floor = 0.5 * (min(priced) + min(plain))
    assert min(measure(1.0, floor)[0]) >= floor


@pytest.mark.parametrize("size", [1, 5])
def test_decoder_is_trained_on_what_the_concealer_makes(train, tiny_models_dir, size):
    """Latents and layer counts of training are those of lm.conceal.Concealer, where a packet of the frame arrived."""
    from soundspring.lm import load
    from soundspring.lm.conceal import Concealer

    gaps = train("gaps")
    lm = load.load(tiny_models_dir / "lm", tiny_models_dir / "codec")
    rng = np.random.default_rng(4)
    tokens = rng.integers(0, lm.model.config.entries, (40, 12))
    received = np.ones((40, 12), bool)
    for start in range(20, 40, size):
        received[start : start + size, (0, 3, 12)[start // size % 3] :] = False
    concealer = Concealer(lm.model, lm.codebooks, 12, context=gaps.CONTEXT, groups=[3, 12])
    told = [concealer.push(tokens[s : s + size].astype(np.int16), received[s : s + size]) for s in range(0, 40, size)]
    latent = gaps.conceal(lm.model, lm.codebooks, torch.from_numpy(tokens), torch.from_numpy(received), size)
    rows = np.arange(40) >= gaps.CONTEXT  # the concealer starts without a past, training with an empty one
    rows &= received.any(1)  # of what it knows nothing of, the concealer plays a mixture that the decoder never saw
    assert (~received[rows]).any()
    assert np.allclose(np.concatenate([e.latent for e in told])[rows], latent[rows], atol=1e-4)
    assert np.array_equal(np.concatenate([e.layers for e in told])[rows], received.sum(1)[rows])


def test_losses_are_whole_packets(train):
    rng, gaps = np.random.default_rng(5), train("gaps")
    seen = [gaps.losses(rng, 100, 12) for _ in range(200)]
    lost = np.array([1 - r.mean() for r, _ in seen])
    assert 0.2 < (lost == 0).mean() < 0.4 and 0.1 < lost.mean() < 0.35
    for received, size in seen:
        packets = received.reshape(-1, size, 12)
        assert (packets == packets[:, :1]).all()
        assert set(received.sum(1).tolist()) <= {0, 3, 12}
