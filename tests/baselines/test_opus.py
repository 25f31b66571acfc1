# SPDX-License-Identifier: GPL-3.0-or-later
"""Opus codes at the rate it is told, plays in time, and repairs a lost packet from the next where it carries a copy."""

import numpy as np
import pytest
from soundspring.baselines import opus
from soundspring.evaluation.metrics import align

HERE = pytest.mark.skipif(not opus.available(), reason=opus.MISSING)


def snr(reference, decoded):
    return 10 * np.log10(np.sum(reference**2) / np.sum((reference - decoded) ** 2))


@HERE
@pytest.mark.parametrize("kbps", [12, 24])
def test_packets_are_20_ms_at_a_constant_rate(voice, kbps):
    encoder = opus.OpusEncoder(kbps)
    packets = encoder.encode(voice)
    assert len(packets) == -(-(len(voice) + encoder.delay) // opus.FRAME)
    assert {len(p) for p in packets} == {kbps * 20 // 8}


@HERE
def test_a_variable_rate_varies(voice):
    assert len({len(p) for p in opus.OpusEncoder(24, vbr=True).encode(voice)}) > 3


@HERE
@pytest.mark.parametrize("n", [0, 1, 319, 320, 32000])
def test_sound_comes_back_in_time_and_whole(voice, n):
    encoder = opus.OpusEncoder(64)
    sound = opus.OpusDecoder().decode(encoder.encode(voice[:n]), n, encoder.delay)
    assert sound.shape == (n,) and sound.dtype == np.float32
    if n == 32000:
        assert abs(align(voice, sound, 400)[1]) <= 4


@HERE
def test_fec_repairs_a_lost_packet_from_the_next_one(voice):
    lost = np.zeros(200, bool)
    lost[20:100:7] = True
    played = {}
    for declared in (None, 20):
        encoder = opus.OpusEncoder(24, declared)
        packets = encoder.encode(voice)
        left = [None if gone else p for p, gone in zip(packets, lost, strict=False)]
        for fec in (False, True):
            whole = opus.OpusDecoder().decode(packets, len(voice), encoder.delay)
            got = opus.OpusDecoder(fec).decode(left, len(voice), encoder.delay)
            played[declared, fec] = snr(whole, got)
    assert played[20, True] > played[20, False] + 3
    assert played[None, True] == pytest.approx(played[None, False], abs=0.5)  # there is nothing to find in the next


@HERE
def test_everything_lost_fades_and_is_no_error():
    sound = opus.OpusDecoder().decode([None] * 20, 6400, 104)
    assert sound.shape == (6400,) and not sound.any()


@HERE
def test_the_newest_library_comes_first():
    versions = [opus._release(lib) for lib in opus.libraries()]
    assert versions == sorted(versions, reverse=True) and opus.version().endswith(".".join(map(str, versions[0])))


def test_without_a_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(opus, "libraries", lambda: [])
    assert not opus.available()
    for make in (lambda: opus.OpusEncoder(18), opus.OpusDecoder, opus.version):
        with pytest.raises(opus.OpusMissing, match="pip install.*opuscodec.*libopus0"):
            make()


@pytest.mark.parametrize(("arguments", "names"), [
    ({"kbps": 3}, "kbps"), ({"kbps": 18, "expected_loss": 101}, "expected_loss"), ({"kbps": 18, "complexity": 11},
                                                                                 "complexity")])
def test_wrong_arguments_are_named(arguments, names):
    with pytest.raises(ValueError, match=names):
        opus.OpusEncoder(**arguments)


@HERE
def test_a_frame_of_another_size_is_refused():
    with pytest.raises(ValueError, match="320 samples"):
        opus.OpusEncoder(18).push(np.zeros(160, np.float32))
