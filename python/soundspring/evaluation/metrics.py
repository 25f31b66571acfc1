# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech quality: each metric a float, or None with a logged reason where it cannot be measured.

All take float [n] mono at 16 kHz within +-1. The reference-based ones want both signals aligned and of one length
(`score` sees to the length, `align` to a delay). Silence, for which the scales mean nothing, gives None.
"""

from __future__ import annotations

import functools
import importlib
import logging
import warnings
from collections.abc import Callable, Iterable

import numpy as np

RATE = 16_000
_SHORTEST = RATE // 2  # samples; below half a second none of the metrics is meaningful
_PIECE = 16 * RATE  # the P.862 code overruns its tables (and crashes) beyond 50 utterances; 16 s cannot hold as many
_SILENCE = 1e-4  # RMS: -80 dB of full scale
_PESQ_FLOOR = 1.04  # the lowest score that P.862.2 can give

_log = logging.getLogger(__name__)


def pesq_wb(reference: np.ndarray, decoded: np.ndarray) -> float | None:
    """Wideband PESQ (ITU-T P.862.2), MOS-LQO from 1.04 to 4.64, higher is better. Needs the package pesq.

    Over 16 s it is the mean over equal pieces of up to 16 s (P.862 is made for samples of that length). Pieces without
    speech in the reference are left out; a piece that was lost as a whole scores the floor, 1.04.
    """
    package = _optional("pesq", "PESQ-WB")
    if package is None or not _measurable("PESQ-WB", reference, decoded):
        return None
    scores = []
    for ref, dec in zip(_pieces(reference), _pieces(decoded), strict=True):
        if _rms(ref) < _SILENCE:
            continue
        if _rms(dec) < _SILENCE:
            scores.append(_PESQ_FLOOR)
            continue
        try:
            scores.append(package.pesq(RATE, ref, dec, "wb"))
        except package.NoUtterancesError:
            continue
    if not scores:
        _log.warning("PESQ-WB not measured: no utterance found in the reference")
    return _finite("PESQ-WB", np.mean(scores)) if scores else None


def stoi(reference: np.ndarray, decoded: np.ndarray) -> float | None:
    """Short-time objective intelligibility (Taal et al., 2011), 0 to 1, higher is better. Needs the package pystoi."""
    package = _optional("pystoi", "STOI")
    if package is None or not _measurable("STOI", reference, decoded):
        return None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = package.stoi(_double(reference), _double(decoded), RATE)
    if any("Not enough STFT frames" in str(w.message) for w in caught):
        _log.warning("STOI not measured: less than 0.4 s of speech in the reference")
        return None
    return _finite("STOI", value)


def si_sdr(reference: np.ndarray, decoded: np.ndarray) -> float | None:
    """Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., 2019), higher is better, at most 100.

    Means are removed first. A waveform metric: it needs sample-exact alignment and says little about neural codecs.
    """
    if not _measurable("SI-SDR", reference, decoded):
        return None
    ref, dec = (_double(x) - np.mean(_double(x)) for x in (reference, decoded))
    energy = float(ref @ ref)
    if energy == 0.0:
        _log.warning("SI-SDR not measured: the reference is constant")
        return None
    target = (dec @ ref) / energy * ref
    signal, distortion = float(target @ target), float(np.sum((dec - target) ** 2))
    floor = 1e-10 * max(signal, distortion)  # keeps both ends of the scale finite
    return _finite("SI-SDR", 10 * np.log10(max(signal, floor) / max(distortion, floor)))


def plcmos(decoded: np.ndarray) -> float | None:
    """PLCMOS v2 (Diener et al., 2023), a mean opinion score from 1 to 5 without reference; clean speech gets 4 to 4.8.

    Needs the packages speechmos and onnxruntime. The model averages over randomly drawn raters: they are drawn from a
    fixed seed here, so that a score can be repeated. Over 16 s it is the mean over equal pieces of up to 16 s.
    """
    package = _optional("speechmos.plcmos", "PLCMOS")
    if package is None or not _measurable("PLCMOS", decoded):
        return None
    scores = [_plcmos_piece(x) for x in _pieces(decoded) if _rms(x) >= _SILENCE]
    return _finite("PLCMOS", np.mean(scores))


def visqol(reference: np.ndarray, decoded: np.ndarray) -> float | None:
    """ViSQOL v3, speech mode at 16 kHz (Chinen et al., 2020), MOS-LQO from 1 to 5. Needs visqol-python[lattice].

    It hardly punishes gaps. Not one of `score`: its first call compiles for seconds.
    """
    package = _optional("visqol", "ViSQOL")
    if package is None or not _measurable("ViSQOL", reference, decoded):
        return None
    try:
        result = _visqol_model().measure_from_arrays(_double(reference), _double(decoded), RATE)
    except (IndexError, ValueError) as error:  # what it raises where it finds no patch of speech to compare
        _log.warning("ViSQOL not measured: %s", error)
        return None
    return _finite("ViSQOL", result.moslqo)


def score(reference: np.ndarray, decoded: np.ndarray) -> dict[str, float | None]:
    """Return all metrics under the keys pesq_wb, stoi, si_sdr_db and plcmos.

    `decoded` is cut or padded with zeros to the length of `reference`, so that a missing end counts as missing; it is
    not shifted (see `align`).
    """
    reference = _double(reference)
    decoded = _fit(_double(decoded), reference.size)
    return {
        "pesq_wb": pesq_wb(reference, decoded),
        "stoi": stoi(reference, decoded),
        "si_sdr_db": si_sdr(reference, decoded),
        "plcmos": plcmos(decoded),
    }


def align(reference: np.ndarray, decoded: np.ndarray, max_delay: int = RATE // 4) -> tuple[np.ndarray, int]:
    """Return (decoded shifted onto the reference and of its length, the delay in samples that was taken out).

    The delay, from -max_delay to max_delay, is where the cross-correlation of the two is largest in magnitude; positive
    when `decoded` is late. Only for codecs whose delay is not known: it must not hide an error of this one.
    """
    reference, decoded = _double(reference), _double(decoded)
    if max_delay < 0:
        raise ValueError(f"max_delay must be a non-negative number of samples, not {max_delay}")
    size = 1 << int(np.ceil(np.log2(max(reference.size + decoded.size, 2) + max_delay)))
    correlation = np.fft.irfft(np.fft.rfft(decoded, size) * np.fft.rfft(reference, size).conj(), size)
    lags = np.arange(-max_delay, max_delay + 1)
    delay = int(lags[np.argmax(np.abs(correlation[lags]))])
    shifted = decoded[delay:] if delay >= 0 else np.concatenate([np.zeros(-delay), decoded])
    return _fit(shifted, reference.size).astype(np.float32), delay


def confidence95(values: Iterable[float | None]) -> tuple[float, float]:
    """Return (mean, half width of its 95 % confidence interval by Student's t); None entries are left out.

    The half width is NaN for fewer than two values, the mean too for none.
    """
    x = np.array([v for v in values if v is not None], dtype=np.float64)
    if x.size < 2:
        return (float(x[0]) if x.size else float("nan")), float("nan")
    from scipy.special import stdtrit

    return float(x.mean()), float(stdtrit(x.size - 1, 0.975) * x.std(ddof=1) / np.sqrt(x.size))


@functools.cache
def _optional(module: str, metric: str):
    """Import an optional package; None, logged once, where it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        _log.warning("%s not measured: %s", metric, error)
        return None


def _measurable(metric: str, *signals: np.ndarray) -> bool:
    """Check length, finiteness and loudness; log what forbids measuring. ValueError for unequal lengths."""
    sizes = {np.size(x) for x in signals}
    if len(sizes) > 1 or any(np.ndim(x) != 1 for x in signals):
        raise ValueError(f"reference and decoded must be [n] and of one length, not {[np.shape(x) for x in signals]}")
    reason = None
    if min(sizes) < _SHORTEST:
        reason = f"{min(sizes) / RATE:.2f} s is too short, half a second is needed"
    elif not all(np.isfinite(x).all() for x in signals):
        reason = "a signal holds NaN or infinite samples"
    elif any(_rms(x) < _SILENCE for x in signals):
        reason = "a signal is silent"
    if reason:
        _log.warning("%s not measured: %s", metric, reason)
    return reason is None


def _pieces(x: np.ndarray) -> list[np.ndarray]:
    """Cut into the fewest equal pieces of at most `_PIECE` samples, float32 and within +-1."""
    x = np.clip(np.asarray(x), -1, 1).astype(np.float32)
    return np.array_split(x, -(-x.size // _PIECE))


@functools.cache
def _plcmos_model() -> Callable[[np.ndarray], dict]:
    """Load the model once, on a single thread."""
    import onnxruntime

    model = _optional("speechmos.plcmos", "PLCMOS").PLCMOS()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model.session = onnxruntime.InferenceSession(model.model_path, options, providers=["CPUExecutionProvider"])
    return model


@functools.cache
def _visqol_model():
    model = _optional("visqol", "ViSQOL").VisqolApi()
    model.create(mode="speech")
    return model


def _plcmos_piece(x: np.ndarray) -> float:
    # The package draws its raters from numpy's global generator: lend it a seeded one and put the old state back.
    state = np.random.get_state()  # noqa: NPY002
    try:
        np.random.seed(0)  # noqa: NPY002
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            return float(_plcmos_model()(x)["plcmos"])
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _double(x: np.ndarray) -> np.ndarray:
    return np.asarray(x, dtype=np.float64)


def _fit(x: np.ndarray, length: int) -> np.ndarray:
    return np.pad(x[:length], (0, max(0, length - x.size)))


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(_double(x) ** 2)))


def _finite(metric: str, value: float) -> float | None:
    if not np.isfinite(value):
        _log.warning("%s not measured: it came out as %s", metric, value)
        return None
    return float(value)
