# SPDX-License-Identifier: GPL-3.0-or-later
"""The discriminators learn to tell, and what they tell the decoder moves it towards speech."""

import torch


def sounds():
    """Two kinds of sound [4, 8000] that differ in nothing but their spectrum."""
    noise = torch.randn(4, 8001, generator=torch.Generator().manual_seed(5)) * 0.05
    return noise[:, 1:], (noise[:, 1:] + noise[:, :-1]) / 2**0.5


def trained(train, steps=80):
    torch.manual_seed(2)
    adversary = train("adversary").Adversary((256,), channels=4)
    real, made = sounds()
    optimizer = torch.optim.Adam(adversary.parameters(), lr=3e-3)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(adversary.judge(real, made))
        losses[-1].backward()
        optimizer.step()
    return adversary, [float(v.detach()) for v in losses]


def test_discriminators_learn_to_tell_two_sounds_apart(train):
    _, losses = trained(train)
    assert losses[0] > 0.9  # 0.5 is what an undecided judge gets
    assert losses[-1] < 0.2


def test_advice_leads_the_made_sound_towards_the_real_one(train):
    adversary, _ = trained(train)
    adversary.requires_grad_(False)
    real, made = sounds()
    share = torch.zeros((), requires_grad=True)  # of the real sound
    fool, match = adversary.advise(real, made + share * (real - made))
    (fool + match).backward()
    assert share.grad < 0


def test_what_is_real_is_no_distance_away(train):
    adversary, _ = trained(train, 1)
    real, made = sounds()
    assert adversary.advise(real, real)[1].item() == 0
    assert adversary.advise(real, made)[1].item() > 0.05


def test_judging_leaves_the_made_sound_without_gradient(train):
    adversary, _ = trained(train, 1)
    real, made = sounds()
    made.requires_grad_(True)
    adversary.judge(real, made).backward()
    assert made.grad is None
    assert all(p.grad is not None for p in adversary.parameters())
