# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound files: any rate, channels and format in; 16-bit WAV out; clear words for everything that is wrong."""

import logging

import numpy as np
import pytest
import soundfile
from soundspring.audio import SAMPLE_RATE, read, to_pcm16, wav_bytes, write


def _tone(rate: int, seconds: float = 0.5, hz: float = 1000.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 22_050, 44_100, 48_000, 96_000])
def test_any_rate_becomes_16_khz(tmp_path, rate):
    soundfile.write(tmp_path / "a.wav", _tone(rate), rate)
    x, info = read(tmp_path / "a.wav")
    assert x.dtype == np.float32 and abs(x.size - 8000) <= 1
    np.testing.assert_allclose(x[500:7500], _tone(SAMPLE_RATE)[500:7500], atol=2e-3)
    assert info.rate == rate and info.duration_s == pytest.approx(0.5, abs=1e-3)
    assert any(f"{rate} Hz" in note for note in info.notes) == (rate != SAMPLE_RATE)


@pytest.mark.parametrize(
    ("suffix", "subtype", "tolerance"),
    [
        ("wav", "PCM_16", 1e-4), ("wav", "PCM_24", 1e-6), ("wav", "PCM_U8", 0.01), ("wav", "FLOAT", 1e-6),
        ("wav", "DOUBLE", 1e-6), ("wav", "ULAW", 0.02), ("flac", "PCM_16", 1e-4), ("ogg", "VORBIS", 0.05),
        ("aiff", "PCM_16", 1e-4), ("mp3", "MPEG_LAYER_III", 0.05),
    ],
)
def test_any_format_is_read(tmp_path, suffix, subtype, tolerance):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, _tone(16_000), 16_000, subtype=subtype)
    x, info = read(path)
    assert subtype in info.format
    assert np.sqrt(np.mean((x[1000:7000] - _tone(16_000)[1000:7000]) ** 2)) < tolerance


def test_channels_are_mixed_down_and_it_is_said(tmp_path):
    left, right = _tone(16_000), _tone(16_000, hz=300.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right, 0 * left], axis=1), 16_000, subtype="FLOAT")
    x, info = read(tmp_path / "a.wav")
    np.testing.assert_allclose(x, (left + right) / 3, atol=1e-6)
    assert info.channels == 3 and info.notes == ["3 channels were mixed down to one."]


def test_a_wrong_name_does_not_matter(tmp_path):
    soundfile.write(tmp_path / "a.wav", _tone(16_000), 16_000)
    (tmp_path / "a.wav").rename(tmp_path / "a.raw")
    assert read(tmp_path / "a.raw")[0].size == 8000


def test_nan_and_infinity_become_zero_and_it_is_said(tmp_path):
    x = _tone(16_000).astype(np.float32)
    x[100], x[200], x[300] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", x, 16_000, subtype="FLOAT")
    y, info = read(tmp_path / "a.wav")
    assert np.isfinite(y).all() and not y[[100, 200, 300]].any()
    assert len(info.notes) == 1 and info.notes[0].startswith("3 samples")


@pytest.mark.parametrize("level", [0.0, 1e-4])
def test_silence_is_accepted_and_said(tmp_path, level):
    soundfile.write(tmp_path / "a.wav", level * _tone(16_000), 16_000, subtype="FLOAT")
    x, info = read(tmp_path / "a.wav")
    assert x.size == 8000 and len(info.notes) == 1 and "silent" in info.notes[0]


@pytest.mark.parametrize("level", [4.0, 1e30])
def test_a_level_beyond_full_scale_is_scaled(tmp_path, level):
    soundfile.write(tmp_path / "a.wav", (level * _tone(44_100)).astype(np.float32), 44_100, subtype="FLOAT")
    x, info = read(tmp_path / "a.wav")
    assert np.max(np.abs(x)) == pytest.approx(1.0) and "full scale" in info.notes[-1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"not a sound at all " * 100, "ffmpeg"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "cannot be read"),
        (wav_bytes(np.zeros(0)), "no samples"),
    ],
)
def test_what_is_no_sound_is_refused_with_advice(tmp_path, content, words):
    (tmp_path / "bad.wav").write_bytes(content)
    with pytest.raises(ValueError, match=words) as error:
        read(tmp_path / "bad.wav")
    assert "bad.wav" in str(error.value)


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.wav"):
        read(tmp_path / "absent.wav")
    with pytest.raises(ValueError, match="not a file"):
        read(tmp_path)


def test_a_truncated_wav_gives_what_is_left(tmp_path):
    (tmp_path / "cut.wav").write_bytes(wav_bytes(_tone(16_000))[:5044])
    x, _ = read(tmp_path / "cut.wav")
    np.testing.assert_allclose(x, _tone(16_000)[:2500], atol=1e-4)


def test_written_files_restore_every_16_bit_value(tmp_path):
    values = np.arange(-32768, 32768, dtype=np.int32)
    write(tmp_path / "a.wav", (values / 32768).astype(np.float32))
    data, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert rate == 16_000
    np.testing.assert_array_equal(data, values)
    assert soundfile.info(tmp_path / "a.wav").subtype == "PCM_16"


def test_writing_never_wraps_or_clips(caplog):
    x = 3.0 * _tone(16_000)
    with caplog.at_level(logging.WARNING):
        pcm = to_pcm16(x)
    assert "full scale" in caplog.text
    np.testing.assert_allclose(pcm / 32768, x / 1.5, atol=1e-4)


def test_writing_replaces_what_is_not_finite(caplog):
    with caplog.at_level(logging.WARNING):
        pcm = to_pcm16(np.array([0.5, np.nan, np.inf, -0.5]))
    assert "2 samples" in caplog.text
    np.testing.assert_array_equal(pcm, [16384, 0, 0, -16384])


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="rate"):
        wav_bytes(np.zeros(10), 0)
    with pytest.raises(ValueError, match="one-dimensional"):
        to_pcm16(np.zeros((2, 2)))


@pytest.mark.parametrize("rate", [1, 8, 999, 1_000_001, 2_000_000_000])
def test_rates_that_no_recording_has_are_refused(tmp_path, rate):
    """One sample a second would become sixteen thousand times its size."""
    (tmp_path / "a.wav").write_bytes(wav_bytes(np.zeros(1000), rate))
    with pytest.raises(ValueError, match=f"says {rate} samples"):
        read(tmp_path / "a.wav")


def test_a_header_that_promises_too_much_costs_no_memory(tmp_path):
    """A FLAC stream may claim 2^36 samples of each channel: 256 GiB, of which a few kilobytes are there."""
    import tracemalloc

    soundfile.write(tmp_path / "a.flac", _tone(16_000), 16_000)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] |= 0x0F  # the upper 4 of the 36 bits that count samples, in STREAMINFO
    data[22:26] = b"\xff" * 4
    (tmp_path / "a.flac").write_bytes(data)
    tracemalloc.start()
    try:
        read(tmp_path / "a.flac")
    except ValueError as error:  # libsndfile looks for the end
        assert "cannot be read as sound" in str(error)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6
