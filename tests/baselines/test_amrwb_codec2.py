# SPDX-License-Identifier: GPL-3.0-or-later
"""AMR-WB and Codec2: packets of the size of their rates, sound in time, gaps that fade, the same for any stream."""

import numpy as np
import pytest
from soundspring.baselines import amrwb, codec2, framed
from soundspring.evaluation.metrics import align

AMRWB = pytest.param(amrwb.AmrwbEncoder, amrwb.AmrwbDecoder, amrwb.BITS, id="amrwb", marks=pytest.mark.skipif(
    not amrwb.available(), reason="libopencore-amrwb0 or libvo-amrwbenc0 is not installed"))
CODEC2 = pytest.param(codec2.Codec2Encoder, codec2.Codec2Decoder, codec2.BITS, id="codec2", marks=pytest.mark.skipif(
    not codec2.available(), reason="libcodec2-1.0 is not installed"))
each = pytest.mark.parametrize(("encoder", "decoder", "bits"), [AMRWB, CODEC2])


def envelope(x, width=320):
    return np.sqrt(np.convolve(x**2, np.ones(width) / width, "same"))


@each
def test_packets_hold_a_frames_bits_and_nothing_else(encoder, decoder, bits, voice):
    for kbps in bits:
        coder = encoder(kbps)
        packets = coder.encode(voice[:6400])
        assert len(packets) == -(-(6400 + coder.delay) // 320)
        assert {len(p) for p in packets} == {-(-bits[kbps] // 8)} and len(set(packets)) > 3


@each
@pytest.mark.parametrize("n", [0, 1, 319, 320, 32000])
def test_sound_comes_back_whole(encoder, decoder, bits, voice, n):
    coder = encoder()
    sound = decoder().decode(coder.encode(voice[:n]), n, coder.delay)
    assert sound.shape == (n,) and sound.dtype == np.float32 and np.isfinite(sound).all()


@each
def test_sound_comes_back_in_time(encoder, decoder, bits, voice):
    coder = encoder()
    sound = decoder().decode(coder.encode(voice), len(voice), coder.delay)
    # Codec2 keeps no phases, so only the course of the level tells its delay.
    _, late = align(envelope(voice), envelope(sound), 800)
    assert abs(late) <= 60


@pytest.mark.skipif(not amrwb.available(), reason="libopencore-amrwb0 or libvo-amrwbenc0 is not installed")
def test_amrwb_keeps_the_waveform(voice):
    coder = amrwb.AmrwbEncoder(23.85)
    sound = amrwb.AmrwbDecoder(23.85).decode(coder.encode(voice), len(voice), coder.delay)
    assert abs(align(voice, sound, 400)[1]) <= 2


@each
def test_a_gap_fades_and_what_follows_joins_on(encoder, decoder, bits, voice):
    coder = encoder()
    packets = coder.encode(voice)
    left = [None if 40 <= i < 70 else p for i, p in enumerate(packets)]
    whole, got = (decoder().decode(p, len(voice), coder.delay) for p in (packets, left))
    begin, end = 40 * 320 - coder.delay, 70 * 320 - coder.delay
    # libcodec2 draws phases from one generator for all of a process: hence no two decodings are alike to the last bit.
    np.testing.assert_allclose(got[:begin], whole[:begin], atol=2e-3)
    before, *levels = [np.sqrt(np.mean(x**2)) for x in np.split(got[begin - 320 : end], [320, 3520, 6720])]
    assert 1.1 * before > levels[0] > 2 * levels[1] > 4 * levels[2] > 0
    assert np.sqrt(np.mean(got[end + 2000 :] ** 2)) > 0.5 * np.sqrt(np.mean(whole[end + 2000 :] ** 2))


@each
def test_nothing_ever_received_is_silence(encoder, decoder, bits, voice):
    assert not decoder().decode([None] * 5, 1600, 0).any()


@pytest.mark.skipif(not amrwb.available(), reason="libopencore-amrwb0 or libvo-amrwbenc0 is not installed")
def test_the_librarys_own_concealment_is_another_one(voice):
    packets = [None if i % 7 == 6 else p for i, p in enumerate(amrwb.AmrwbEncoder().encode(voice))]
    sounds = [amrwb.AmrwbDecoder(concealment=c).decode(packets, len(voice), 94) for c in amrwb.CONCEALMENT]
    assert all(np.sqrt(np.mean(s**2)) > 0.01 for s in sounds) and not np.array_equal(*sounds)


@each
def test_wrong_arguments_are_named(encoder, decoder, bits):
    for kind in (encoder, decoder):
        with pytest.raises(ValueError, match="kbps: 7 is not one of"):
            kind(7)
    with pytest.raises(ValueError, match="frame: expected 320"):
        encoder().push(np.zeros(160))
    with pytest.raises(ValueError, match="packet: expected"):
        decoder().push(b"abc")


def test_a_missing_library_says_what_to_install(monkeypatch):
    monkeypatch.setattr(framed.ctypes.util, "find_library", lambda name: None)
    with pytest.raises(framed.CodecMissing, match="apt install libcodec2-1.0"):
        codec2.Codec2Encoder()
    assert not amrwb.available() and not codec2.available()
