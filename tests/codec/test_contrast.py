# SPDX-License-Identifier: GPL-3.0-or-later
"""The short-term postfilter: valleys of the spectrum deepen, within bounds; what is flat stays."""

import pytest
import torch
from soundspring.codec.contrast import GAINS, sharpen


def spectrum(valley: float) -> torch.Tensor:
    """1 everywhere, but in coefficients 150 to 169 of the frame: [1, 1, 320]."""
    x = torch.ones(1, 1, 320)
    x[..., 150:170] = valley
    return x


def test_what_is_flat_stays():
    x = spectrum(1.0) * torch.where(torch.rand(320, generator=torch.Generator().manual_seed(1)) < 0.5, -1.0, 1.0)
    assert torch.allclose(sharpen(x, 0.3), x)


def test_a_valley_deepens_by_the_exponent():
    x = spectrum(0.1)
    y = sharpen(x, 0.2)
    about = (41 + 20 * 0.01) / 61  # mean power within 30 coefficients of its middle
    assert float(y[0, 0, 160] / x[0, 0, 160]) == pytest.approx((0.01 / about) ** 0.1, rel=1e-3)
    assert torch.allclose(y[..., :110], x[..., :110]) and (y[..., 125:148] > 1).all()


@pytest.mark.parametrize("exponent", [0.15, 1.0])
def test_gains_have_bounds_and_signs_stay(exponent):
    x = torch.randn(2, 7, 320, generator=torch.Generator().manual_seed(2)) ** 5
    gain = sharpen(x, exponent) / x
    assert float(gain.min()) >= GAINS[0] - 1e-5 and float(gain.max()) <= GAINS[1] + 1e-5


def test_each_frame_may_have_an_exponent_of_its_own():
    x = torch.randn(1, 3, 320, generator=torch.Generator().manual_seed(3))
    y = sharpen(x, torch.tensor([[0.0, 0.15, 0.4]]))
    assert torch.allclose(y[:, 0], x[:, 0]) and torch.allclose(y[:, 1:2], sharpen(x[:, 1:2], 0.15))
    assert torch.allclose(y[:, 2:], sharpen(x[:, 2:], 0.4)) and not torch.allclose(y[:, 1:], x[:, 1:])


def test_silence_stays_silent():
    assert not sharpen(torch.zeros(1, 2, 320), 0.15).any()
