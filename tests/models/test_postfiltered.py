# SPDX-License-Identifier: GPL-3.0-or-later
"""The postfilter in training is the decoder's, and its gradient is its transpose."""

import numpy as np
import pytest
import torch
from soundspring.codec.postfilter import State, postfilter


@pytest.fixture
def postfiltered(train):
    return train("postfiltered").postfiltered


def sound():
    t = np.arange(12 * 320) / 16000
    voices = [sum(np.sin(2 * np.pi * f * h * t + h) / h for h in range(1, 15)) for f in (113.0, 207.0)]
    noise = np.random.default_rng(4).standard_normal((2, len(t)))
    return torch.from_numpy((0.1 * np.array(voices) + 0.02 * noise).astype(np.float32))


def test_it_is_the_decoders(postfiltered):
    y = postfiltered(sound(), 320, 0.5)
    assert np.array_equal(y.numpy(), postfilter(sound().numpy(), 320, 0.5, State.initial(2))[0])
    assert postfiltered(sound(), 320, 0.0).equal(sound())


def test_the_gradient_is_the_transpose(postfiltered):
    """For the periods that it has, the output is A x; so <A x, v> is <x, A' v>."""
    x = sound().requires_grad_(True)
    y = postfiltered(x, 320, 0.5)
    v = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    (y * v).sum().backward()
    assert not x.grad.allclose(v, atol=0.1)
    assert float((x.detach() * x.grad).sum()) == pytest.approx(float((y * v).sum().detach()), rel=1e-4)
