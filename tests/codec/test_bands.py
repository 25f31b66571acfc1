# SPDX-License-Identifier: GPL-3.0-or-later
"""Levels of bands: what is read off a spectrum can be put onto another."""

import math

import pytest
import torch
from soundspring.codec.bands import Bands, mel_filters
from soundspring.codec.mdct import Mdct
from soundspring.codec.model import Codec, CodecConfig

WIDTHS = (2, 3, 5)


def spectrum(seed, scale=1.0):
    return scale * torch.randn(4, sum(WIDTHS), generator=torch.Generator().manual_seed(seed))


def test_a_level_is_the_logarithm_of_the_root_mean_square():
    coefficients = torch.tensor([3.0, -3.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    loud, unit, empty = Bands(WIDTHS).levels(coefficients).tolist()
    assert loud == pytest.approx(math.log(3), abs=1e-5) and unit == pytest.approx(0, abs=1e-5)
    assert empty == pytest.approx(0.5 * math.log(Bands.lowest))


def test_bands_are_brought_to_their_levels_and_keep_their_shape():
    bands, shape, wanted = Bands(WIDTHS), spectrum(0), Bands(WIDTHS).levels(spectrum(1, 4.0))
    out = bands.bring_to(shape, wanted)
    torch.testing.assert_close(bands.levels(out), wanted, atol=1e-4, rtol=0)
    for own in torch.split(out / shape, WIDTHS, dim=-1):
        torch.testing.assert_close(own, own[..., :1].expand_as(own))


def test_what_is_nearly_empty_is_not_blown_up():
    bands = Bands(WIDTHS)
    out = bands.bring_to(spectrum(0, 1e-3), torch.full((4, 3), 2.0))
    assert (out / spectrum(0, 1e-3)).max() == pytest.approx(math.exp(3.0), rel=1e-5)


def test_the_power_of_a_steady_tone_is_steady():
    """Its MDCT alone depends on where in the tone a window begins."""
    mdct, tone = Mdct(320), 0.3 * torch.sin(2 * math.pi * 1010.7 / 16000 * torch.arange(16000.0))[None]
    windows, _ = mdct.windows(tone, torch.zeros(1, 320))
    coefficients = windows @ mdct.basis
    steady, wavering = (s[0, 2:, 40] for s in (mdct.power(windows, coefficients), coefficients.pow(2)))
    assert steady.std() / steady.mean() < 0.02 < 0.1 < wavering.std() / wavering.mean()


def test_mel_filters_have_unit_sum_and_cover_the_spectrum():
    filters = mel_filters(40, 640)
    torch.testing.assert_close(filters.sum(0), torch.ones(40))
    assert (filters[1:-1].sum(1) > 0).all()


def test_widths_must_fill_the_hop():
    with pytest.raises(ValueError, match="bands"):
        Codec(CodecConfig(bands=(4, 4)))
