# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading any sound file as 16 kHz mono, and writing WAV files that never clip."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .framing import SAMPLE_RATE

if TYPE_CHECKING:
    import soundfile

_log = logging.getLogger(__name__)
RATES = 1000, 1_000_000  # samples a second: others are damage, or ask for a thousand times their size in memory
LONGEST_S = 24 * 3600
_BLOCK = 1 << 20  # values that are decoded at once: what a header says of a file's length may be anything
_SILENCE = 1e-3  # peak below which a file counts as silent: -60 dB of full scale


@dataclass(frozen=True)
class AudioInfo:
    """What a file was before it became 16 kHz mono; `notes` are sentences for the user on all that was changed."""

    path: Path
    rate: int
    channels: int
    format: str
    duration_s: float
    notes: list[str] = field(default_factory=list)


def read(path: str | Path) -> tuple[np.ndarray, AudioInfo]:
    """Read a sound file of any format that libsndfile knows; return (float32 [n] mono 16 kHz within +-1, AudioInfo).

    NaN and infinite samples become 0, channels are averaged, other rates resampled, peaks over full scale scaled
    down: `AudioInfo.notes` says so. Silence is accepted and noted. FileNotFoundError when there is no such file;
    ValueError, with what to do about it, when it is no sound file or holds no samples.
    """
    path = Path(path)
    samples, rate, kind = _decode(path)
    notes: list[str] = []
    channels, duration = samples.shape[1], samples.shape[0] / rate
    x = _resample(_mix(_clean(samples, notes), notes), rate, notes)
    if x.size == 0:
        raise ValueError(f"{path} is too short: {samples.shape[0]} samples at {rate} Hz are less than one at "
                         f"{SAMPLE_RATE} Hz; give a longer recording")
    return _level(x, notes), AudioInfo(path, rate, channels, kind, duration, notes)


def _decode(path: Path) -> tuple[np.ndarray, int, str]:
    """Return (float32 [n, channels], sample rate, name of the format)."""
    import soundfile

    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if not path.is_file():
        raise ValueError(f"{path} is not a file: give a sound file such as a WAV")
    if path.stat().st_size == 0:
        raise ValueError(f"{path} is empty: record or copy it again")
    try:
        # From memory, so that the name cannot stand for the format (.raw would be taken as headerless).
        with soundfile.SoundFile(io.BytesIO(path.read_bytes())) as file:
            rate, kind = file.samplerate, f"{file.format} {file.subtype}"
            samples = _blocks(file, path)
    except (soundfile.SoundFileError, TypeError) as error:
        raise ValueError(f"{path} cannot be read as sound ({error}): give a WAV, FLAC, OGG or MP3 file, or convert it "
                         "with 'ffmpeg -i FILE out.wav'") from error
    if samples.shape[0] == 0:
        raise ValueError(f"{path} holds a header but no samples: record or copy it again")
    return samples, rate, kind


def _blocks(file: soundfile.SoundFile, path: Path) -> np.ndarray:
    """All that there is, float32 [n, channels]. ValueError where a recording cannot be like that."""
    low, high = RATES
    if not low <= file.samplerate <= high:
        raise ValueError(f"{path} says {file.samplerate} samples a second: give a file with {low} to {high}")
    blocks, count = [np.zeros((0, file.channels), np.float32)], 0
    while len(block := file.read(max(_BLOCK // file.channels, 1), dtype="float32", always_2d=True)):
        blocks.append(block)
        count += len(block)
        if count > LONGEST_S * file.samplerate:
            raise ValueError(f"{path} is longer than {LONGEST_S // 3600} hours: cut it into pieces")
    return np.concatenate(blocks)


def _clean(samples: np.ndarray, notes: list[str]) -> np.ndarray:
    bad = ~np.isfinite(samples)
    if bad.any():
        notes.append(f"{int(bad.sum())} samples that were not numbers (NaN or infinite) were replaced by 0.")
        samples = np.where(bad, np.float32(0), samples)
    return samples


def _mix(samples: np.ndarray, notes: list[str]) -> np.ndarray:
    channels = samples.shape[1]
    if channels > 1:
        notes.append(f"{channels} channels were mixed down to one.")
    return samples.mean(axis=1, dtype=np.float64).astype(np.float32)


def _resample(x: np.ndarray, rate: int, notes: list[str]) -> np.ndarray:
    if rate == SAMPLE_RATE:
        return x
    import soxr

    lost = f"nothing above {rate / 2000:g} kHz was in it" if rate < SAMPLE_RATE else "what lay above 8 kHz is gone"
    notes.append(f"Resampled from {rate} Hz to {SAMPLE_RATE} Hz ({lost}).")
    # A level far beyond full scale is legal in float files; double precision keeps it finite on its way.
    return soxr.resample(x.astype(np.float64), rate, SAMPLE_RATE, quality="VHQ")


def _level(x: np.ndarray, notes: list[str]) -> np.ndarray:
    peak = float(np.max(np.abs(x)))
    if peak < _SILENCE:
        notes.append("The recording is silent (peak below -60 dB of full scale)." if peak else
                     "The recording is silent (all samples are 0).")
    if peak > 1.0:
        # A resampler overshoots a little at the peaks of loud recordings: only more than that is worth a note.
        if peak > 1.1:
            notes.append(f"Peaks {20 * np.log10(peak):.1f} dB over full scale: scaled down to fit.")
        x = x / peak
    return x.astype(np.float32)


def to_pcm16(x: np.ndarray) -> np.ndarray:
    """Return float samples [n] as int16 [n], full scale 1.0 = 32768.

    NaN and infinite values become 0; a signal that exceeds full scale is scaled down as a whole, never wrapped or
    clipped; both are logged.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"x must be a one-dimensional array of samples, not of shape {x.shape}")
    bad = ~np.isfinite(x)
    if bad.any():
        _log.warning("%d samples were not finite and are written as 0", int(bad.sum()))
        x = np.where(bad, 0.0, x)
    peak = float(np.max(np.abs(x), initial=0.0))
    if peak > 1.0:
        _log.warning("peak of %.2f times full scale: written %.1f dB softer", peak, 20 * np.log10(peak))
        x = x / peak
    return np.clip(np.rint(x * 32768), -32768, 32767).astype(np.int16)


def wav_bytes(x: np.ndarray, rate: int = SAMPLE_RATE) -> bytes:
    """Return mono samples [n] as a complete 16-bit PCM WAV file; see `to_pcm16` for what does not fit."""
    import soundfile

    if not isinstance(rate, (int, np.integer)) or rate < 1:
        raise ValueError(f"rate must be a positive whole number of samples per second, not {rate!r}")
    buffer = io.BytesIO()
    soundfile.write(buffer, to_pcm16(x), int(rate), format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def write(path: str | Path, x: np.ndarray, rate: int = SAMPLE_RATE) -> None:
    """Write mono samples [n] as a 16-bit PCM WAV file; see `to_pcm16` for what does not fit."""
    Path(path).write_bytes(wav_bytes(x, rate))
