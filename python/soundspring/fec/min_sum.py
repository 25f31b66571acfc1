# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled decoder of the LDPC code: layered A-min*.

A-min*: Jones, Valles, Smith, Villasenor, "Approximate-min* constraint node updating for LDPC code decoding",
MILCOM 2003. Layers: Hocevar, "A reduced complexity decoder architecture via layered decoding of LDPC codes", SiPS 2004.

Inside the decoder a positive value means bit 0, as in the textbooks. Loops over lanes use few arrays each: the compiler
turns a loop into vector instructions only where a few comparisons show that its arrays do not overlap. For the same
reason the sign of a row's parity travels as the sign of its smallest magnitude.
"""

import math

import numba
import numpy as np

# Largest magnitude of a message. Bounds every sum far below overflow; nothing near it occurs at a working SNR.
LIMIT = np.float32(1e5)
# What is known beforehand about a filler bit (it is 0): more than all messages to it can add up to.
CERTAIN = np.float32(1e8)


@numba.njit(cache=True, nogil=True)
def decode(llr, layout, iterations, bits, ok, used):
    """Decode blocks one after another; see `LdpcCode.decode` for what goes in and comes out.

    Args:
        llr: float32 [B, e], positive means bit 1; any value, NaN included.
        layout: a `Layout`.
        iterations: most iterations per block.
        bits, ok, used: uint8 [B, k], bool [B], int32 [B]: the results, written in place.
    """
    prior = np.empty(layout.length, np.float32)
    posterior = np.empty(layout.length, np.float32)
    messages = np.empty((layout.read.size, layout.lanes), np.float32)
    work = np.empty((4, layout.lanes), np.float32)
    parity = np.empty(layout.lanes, np.int32)
    received = np.empty(llr.shape[1], np.float32)
    for b in range(llr.shape[0]):
        _clean(received, llr[b])
        _collect(prior, received, layout)
        posterior[:] = prior
        messages[:] = 0
        ok[b] = False
        used[b] = iterations
        for i in range(iterations):
            _iterate(posterior, prior, messages, layout, work)
            if _is_codeword(posterior.view(np.int32), layout, parity) and _all_decided(posterior, layout.information):
                ok[b] = True
                used[b] = i + 1
                break
        for j in range(layout.information.size):
            bits[b, j] = posterior[layout.information[j]] < 0


@numba.njit(cache=True, nogil=True)
def _clean(received, llr):
    """Turn the sign, bound the magnitude, and take NaN as nothing received."""
    for i in range(llr.size):
        value = -min(max(llr[i], -LIMIT), LIMIT)
        received[i] = value if llr[i] == llr[i] else np.float32(0)


@numba.njit(cache=True, nogil=True)
def _collect(prior, received, layout):
    """Undo the rate matching: add up what was received of each bit, and repeat each column behind itself."""
    prior[:] = 0
    for place in layout.filler:
        prior[place] = CERTAIN
    for i in range(received.size):
        prior[layout.received[i]] += received[i]
    for column in range(0, prior.size, 2 * layout.lanes):
        for place in range(column, column + layout.lanes):
            prior[place + layout.size] = prior[place]


@numba.njit(cache=True, nogil=True)
def _iterate(posterior, prior, messages, layout, work):
    """One iteration: row after row replaces its messages to its bits, using the newest posteriors.

    Exactly, a bit receives the box-plus of the others' magnitudes, with the product of their signs. A-min* computes
    only two magnitudes: `rest`, of all but the least reliable bit, goes to that bit, and `full`, of all, to the others.
    """
    lanes, size, read, write = layout.lanes, layout.size, layout.read, layout.write
    least, rest, full, value = work[0], work[1], work[2], work[3]
    last = 0
    for row in range(layout.extension.size):
        first, last = last, layout.starts[row + 1]
        _take_first(posterior[read[first] : read[first] + lanes], messages[first], least, rest)
        for i in range(first + 1, last):
            _take(posterior[read[i] : read[i] + lanes], messages[i], least, rest)
        place = layout.extension[row]
        if place >= 0:
            # The bit that only this row checks always sends what was received of it: no message is stored for it.
            _take_extension(posterior[place : place + lanes], prior[place : place + lanes], least, rest)
        _box_plus(full, least, rest)
        for i in range(first, last):
            _answer(messages[i], value, least, rest, full)
            _copy(posterior[write[i] : write[i] + lanes], value)
            _copy(posterior[write[i] + size : write[i] + size + lanes], value)


@numba.njit(cache=True, nogil=True)
def _is_codeword(signs, layout, parity):
    """Whether the decided bits, the signs of the posteriors seen as integers, satisfy every row."""
    for row in range(layout.extension.size):
        parity[:] = 0
        place = layout.extension[row]
        if place >= 0:
            _add_signs(parity, signs[place : place + parity.size])
        for i in range(layout.starts[row], layout.starts[row + 1]):
            place = layout.check[i]
            _add_signs(parity, signs[place : place + parity.size])
        union = np.int32(0)
        for z in range(parity.size):
            union |= parity[z]
        if union < 0:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _all_decided(posterior, information):
    """Whether no information bit is exactly 0, as where nothing was received."""
    undecided = 0
    for place in information:
        undecided += posterior[place] == 0
    return undecided == 0


@numba.njit(cache=True, nogil=True)
def _copy(target, source):
    for z in range(source.size):
        target[z] = source[z]


@numba.njit(cache=True, nogil=True)
def _add_signs(parity, signs):
    for z in range(parity.size):
        parity[z] ^= signs[z]


@numba.njit(cache=True, nogil=True)
def _correction(x):
    """About ln(1 + exp(-x)) for x >= 0, without an exponential.

    The parabola lies lower than the best fit on purpose: the decoder then stands LLRs that are 1 dB too small or too
    large alike. The best fit gains nothing at the right scale and fails at 1.5 dB too small.
    """
    root = max(np.float32(0.77) - np.float32(0.23) * x, np.float32(0))
    return root * root


@numba.njit(cache=True, nogil=True)
def _box(a, b):
    """Box-plus of two magnitudes: the reliability of the parity of two bits."""
    return max(min(a, b) + _correction(a + b) - _correction(abs(a - b)), np.float32(0))


@numba.njit(cache=True, nogil=True)
def _box_plus(full, least, rest):
    for z in range(full.size):
        full[z] = _box(abs(least[z]), rest[z])


@numba.njit(cache=True, nogil=True)
def _take_first(column, message, least, rest):
    """Begin a row with its first bit."""
    for z in range(message.size):
        message[z] = column[z] - message[z]
        least[z] = message[z]
        rest[z] = LIMIT


@numba.njit(cache=True, nogil=True)
def _take(column, message, least, rest):
    """Take one more bit into a row: what it tells the row, kept in place of `message` until the row answers."""
    for z in range(message.size):
        value = column[z] - message[z]
        message[z] = value
        smallest, magnitude = abs(least[z]), abs(value)
        rest[z] = _box(rest[z], max(magnitude, smallest))
        least[z] = math.copysign(min(magnitude, smallest), least[z] * value)


@numba.njit(cache=True, nogil=True)
def _take_extension(posterior, prior, least, rest):
    """The same of an extension bit, which is answered at once."""
    for z in range(prior.size):
        value, smallest, magnitude = prior[z], abs(least[z]), abs(prior[z])
        posterior[z] = value + math.copysign(_box(smallest, rest[z]), least[z])
        rest[z] = _box(rest[z], max(magnitude, smallest))
        least[z] = math.copysign(min(magnitude, smallest), least[z] * value)


@numba.njit(cache=True, nogil=True)
def _answer(message, value, least, rest, full):
    """The row's message to the bit that sent what stands in `message`, and the bit's new posterior in `value`."""
    for z in range(message.size):
        sent, others, all_bits = message[z], rest[z], full[z]
        magnitude = others if abs(sent) == abs(least[z]) else all_bits
        message[z] = math.copysign(magnitude, least[z] * sent)
        value[z] = sent + message[z]
