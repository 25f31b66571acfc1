# SPDX-License-Identifier: GPL-3.0-or-later
"""The burst on the air: an up-chirp, a down-chirp, training symbols, header symbols, payload symbols.

    | up-chirp      | down-chirp    | training ×2 | header           | payload             |
    | 4 symbol lengths each         | OFDM        | OFDM, BPSK       | OFDM, anything      |

Why chirps: a carrier offset merely moves the answer of a chirp's matched filter in time, up-chirp and down-chirp in
opposite directions. So two filters find a burst at any offset, with all of the preamble's energy, and the distance of
their answers is the offset. Chirps also have a constant envelope, and a tone or a DC offset does not look like one.
Four symbol lengths each, because then the search still finds a burst at an Es/N0 of -8 dB, below any header in use.
"""

from fractions import Fraction
from functools import lru_cache

import numpy as np

from .crest import clip, limit_peaks, peak_amplitude
from .numerology import Numerology
from .qam import map_bits

CHIRP_SYMBOLS = 4
TRAINING_SYMBOLS = 2
PREAMBLE_SYMBOLS = 2 * CHIRP_SYMBOLS + TRAINING_SYMBOLS


def ratio_of(oversampling, numerology: Numerology) -> Fraction:
    """The oversampling as an exact fraction. Raises ValueError where fft * oversampling is not a whole number."""
    if not 1 <= oversampling <= 64:
        raise ValueError(f"oversampling must lie in 1..64, not {oversampling}")
    ratio = Fraction(oversampling).limit_denominator(4 * numerology.fft)
    if (numerology.fft * ratio).denominator != 1 or abs(ratio - oversampling) > 1e-9:
        raise ValueError(f"oversampling must be a multiple of 1/fft = 1/{numerology.fft}, not {oversampling}")
    return ratio


@lru_cache
def _period() -> np.ndarray:
    bits = [1] * 9
    while len(bits) < 511:
        bits.append(bits[-9] ^ bits[-5])
    return np.array(bits, np.uint8)


def pseudo_noise(n: int) -> np.ndarray:
    """First n bits of the sequence of x^9 + x^5 + 1 started with ones (period 511), uint8."""
    return np.resize(_period(), n)


def training_values(numerology: Numerology) -> np.ndarray:
    """Values of the active carriers in a training symbol, [active]: a Zadoff-Chu sequence, for its low peaks."""
    n = np.arange(numerology.active)
    return np.exp(-1j * np.pi * n**2 / numerology.active)


def pilot_values(numerology: Numerology, n_symbols: int) -> np.ndarray:
    """Values of the pilots, [n_symbols, pilots] of +-1, counted from the first header symbol."""
    return 1.0 - 2.0 * pseudo_noise(n_symbols * numerology.pilots).reshape(n_symbols, -1)


def chirp(numerology: Numerology, oversampling: Fraction, sign: int) -> np.ndarray:
    """Linear chirp over the active band, rising (sign 1) or falling (-1), with the mean power of an OFDM symbol."""
    duration = CHIRP_SYMBOLS * numerology.symbol_length  # in critical samples, as is t
    t = np.arange(int(duration * oversampling)) / float(oversampling)
    sweep = numerology.active / numerology.fft
    phase = 2 * np.pi * sign * sweep * (t * t / (2 * duration) - t / 2)
    return np.sqrt(sweep) * np.exp(1j * phase)


def ofdm(values: np.ndarray, numerology: Numerology, oversampling: Fraction = Fraction(1)) -> np.ndarray:
    """Carriers [n_symbols, active] -> samples with cyclic prefixes; a unitary DFT at the critical rate."""
    n, prefix = int(numerology.fft * oversampling), numerology.cp * oversampling
    if prefix.denominator != 1:
        raise ValueError(f"oversampling must make cp * oversampling a whole number, not {prefix}")
    grid = np.zeros((len(values), n), complex)
    grid[:, numerology.carriers] = values
    body = np.fft.ifft(grid, axis=1) * (n / np.sqrt(numerology.fft))
    return np.concatenate([body[:, n - int(prefix) :], body], axis=1).ravel()


def preamble(numerology: Numerology, oversampling: Fraction = Fraction(1)) -> np.ndarray:
    """Samples of the chirps and the training symbols."""
    training = np.tile(training_values(numerology), (TRAINING_SYMBOLS, 1))
    chirps = [chirp(numerology, oversampling, sign) for sign in (1, -1)]
    return np.concatenate([*chirps, ofdm(training, numerology, oversampling)])


def frame(header_code_bits: np.ndarray, payload_symbols: np.ndarray, numerology: Numerology) -> np.ndarray:
    """Active carriers of the symbols after the preamble, pilots included: header (BPSK), then payload.

    What is left of the last symbol of each is pseudo-random BPSK. Complex [n_symbols, active].
    """
    data = np.concatenate([_fill(map_bits(header_code_bits, 1), numerology), _fill(payload_symbols, numerology)])
    values = np.empty((len(data), numerology.active), complex)
    values[:, numerology.data_index] = data
    values[:, numerology.pilot_index] = pilot_values(numerology, len(data))
    return values


def _fill(symbols: np.ndarray, numerology: Numerology) -> np.ndarray:
    rows, width = numerology.symbols_for(len(symbols)), numerology.data_carriers
    padding = map_bits(pseudo_noise(rows * width - len(symbols)), 1)
    return np.concatenate([symbols, padding]).reshape(rows, width)


class BurstModulator:
    """Makes the samples of a burst.

    Active carriers have unit mean power and the DFT is unitary, so noise of variance N0 per sample at the critical
    rate gives Es/N0 = 1/N0; the mean power of the samples is active / fft.

    Args:
        numerology: shape of the OFDM symbols
        header_code_bits: bits of the coded header, BPSK on symbols of its own
        oversampling: samples are made at numerology.rate * oversampling; 1, or more for an exact band-limited
            waveform without a resampler
        papr_db: greatest ratio of the samples' peak power to the mean power of OFDM symbols, 3 dB or more; peaks above
            it are clipped, which costs a little of the signal's quality. None leaves them, at 10 dB and more

    Raises:
        ValueError: a parameter out of range
    """

    def __init__(self, numerology: Numerology, header_code_bits: int, oversampling=1, papr_db: float | None = None):
        if header_code_bits < 1:
            raise ValueError(f"header_code_bits must be at least 1, not {header_code_bits}")
        if papr_db is not None and not papr_db >= 3:
            raise ValueError(f"papr_db must be at least 3, or None, not {papr_db}")
        self.numerology = numerology
        self.header_code_bits = header_code_bits
        self.header_symbols = numerology.symbols_for(header_code_bits)
        self._ratio = ratio_of(oversampling, numerology)
        self._preamble = preamble(numerology, self._ratio)
        self._papr_db = papr_db

    def samples_per_burst(self, n_payload: int) -> int:
        """Samples that `modulate` returns for n_payload payload symbols."""
        symbols = PREAMBLE_SYMBOLS + self.header_symbols + self.numerology.symbols_for(n_payload)
        return int(symbols * self.numerology.symbol_length * self._ratio)

    def modulate(self, header_code_bits: np.ndarray, payload_symbols: np.ndarray) -> np.ndarray:
        """One burst.

        Args:
            header_code_bits: uint8 [header_code_bits]
            payload_symbols: complex [n] of unit mean energy, n may be 0

        Returns:
            complex64 [samples_per_burst(n)]

        Raises:
            ValueError: a header of another length, payload symbols that are not finite
        """
        header_code_bits, payload_symbols = np.asarray(header_code_bits), np.asarray(payload_symbols)
        if header_code_bits.shape != (self.header_code_bits,):
            raise ValueError(f"header_code_bits must be {self.header_code_bits} bits, not {header_code_bits.shape}")
        if payload_symbols.ndim != 1 or not np.all(np.isfinite(payload_symbols)):
            raise ValueError("payload_symbols must be one row of finite numbers")
        values = frame(header_code_bits, payload_symbols, self.numerology)
        if self._papr_db is not None:
            values = limit_peaks(values, self.numerology, self._papr_db)
        samples = np.concatenate([self._preamble, ofdm(values, self.numerology, self._ratio)])
        if self._papr_db is not None:
            samples = clip(samples, peak_amplitude(self.numerology, self._papr_db))  # what little is left of the peaks
        return samples.astype(np.complex64)
