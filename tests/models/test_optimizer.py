# SPDX-License-Identifier: GPL-3.0-or-later
"""Two optimizers as one: every parameter has its own, and a resumed run goes on as if it had never stopped."""

import copy

import pytest
import torch
from torch import nn


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.LayerNorm(16), nn.GELU(), nn.Linear(16, 4))


def build(train, model, kind):
    return train("optimizer").optimizer(kind, model, lr=1e-2, betas=(0.8, 0.99), weight_decay=0.0)


def step(model, optimizer, x):
    loss = (model(x) - x[:, :4].sin()).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_each_parameter_learns_once(train, kind):
    model = network()
    model[0].bias.requires_grad_(False)
    listed = [id(p) for group in build(train, model, kind).param_groups for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize("kind", ["adamw", "muon"])
def test_a_resumed_run_goes_on_as_before(train, kind):
    x = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    model = network()
    optimizer = build(train, model, kind)
    first = step(model, optimizer, x)
    for _ in range(20):
        step(model, optimizer, x)
    twin = network()
    twin.load_state_dict(model.state_dict())
    other = build(train, twin, kind)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))  # as a file would bring it
    ends = [step(m, o, x) for _ in range(5) for m, o in ((model, optimizer), (twin, other))]
    assert ends[0::2] == ends[1::2]
    assert ends[-1] < 0.5 * first


def test_an_old_torch_is_told(train, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(RuntimeError, match="adamw"):
        build(train, network(), "muon")
