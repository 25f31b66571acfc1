# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled kernels of the LDPC code: encoding by back-substitution and layered A-min* decoding.

Both walk the rows of the base graph. Element i of a row says: lane z of the row's Z parity checks contains bit
(z + shifts[i]) mod Z of column columns[i]. Every inner loop runs over lanes of contiguous memory, so that the
compiler turns it into vector instructions. Inside the decoder a positive value means bit 0, as in the textbooks.

A-min*: Jones, Valles, Smith, Villasenor, "Approximate-min* constraint node updating for LDPC code decoding",
MILCOM 2003. Layers: Hocevar, "A reduced complexity decoder architecture via layered decoding of LDPC codes", SiPS 2004.
"""

import numba
import numpy as np

# Largest magnitude of a message. Bounds every sum far below overflow; nothing near it occurs at a working SNR.
LIMIT = np.float32(1e5)
# What is known beforehand about a filler bit (it is 0): more than all messages to it can add up to.
CERTAIN = np.float32(1e8)
_SIGN = np.int32(-(2**31))  # the sign bit of a float32


@numba.njit(cache=True, nogil=True)
def encode(codeword, starts, columns, shifts, extension, first_parity, core_shift):
    """Fill the parity columns of codewords whose information columns are set and whose others are 0.

    Args:
        codeword: uint8 [B, C, Z], changed in place.
        starts: int64 [R + 1], the elements of row r are starts[r] .. starts[r+1]-1.
        columns, shifts: int64 [elements], the first four rows are the core, extension columns are left out.
        extension: int64 [R], the column that only this row contains (its shift is 0), or -1 in the core.
        first_parity: column of the first parity bits, which three of the core rows share.
        core_shift: shift that remains of that column when the four core rows are added.
    """
    batch, _, size = codeword.shape
    core = np.empty(size, np.uint8)
    for b in range(batch):
        word = codeword[b]
        core[:] = 0
        for i in range(starts[4]):
            _add_rotated(core, word[columns[i]], shifts[i])
        _add_rotated(word[first_parity], core, size - core_shift)  # the inverse rotation
        for row in range(starts.size - 1):
            # A core row r < 3 adds the next of the parity columns; they form a staircase, so the fourth adds none.
            new = first_parity + 1 + row if row < 3 else extension[row]
            if new >= 0:
                for i in range(starts[row], starts[row + 1]):
                    if columns[i] != new:
                        _add_rotated(word[new], word[columns[i]], shifts[i])


@numba.njit(cache=True, nogil=True)
def _add_rotated(target, source, shift):
    """target[z] ^= source[(z + shift) mod Z]; a shift of Z counts as 0."""
    size = target.size
    split = size - shift
    for z in range(split):
        target[z] ^= source[shift + z]
    for z in range(shift):
        target[split + z] ^= source[z]


@numba.njit(cache=True, nogil=True)
def decode(llr, index, starts, columns, shifts, extension, sizes, iterations, bits, ok, used):
    """Decode blocks one after another; see `LdpcCode.decode` for what goes in and comes out.

    Args:
        llr: float32 [B, e], positive means bit 1; any value, NaN included.
        index: int64 [e], position of each received bit in the flattened [C, Z] codeword.
        starts, columns, shifts, extension: the rows as in `encode`.
        sizes: (C, Z, k, end of the filler bits).
        iterations: most iterations per block.
        bits, ok, used: uint8 [B, k], bool [B], int32 [B]: the results, written in place.
    """
    n_columns, size, k, filler_end = sizes
    prior = np.empty((n_columns, size), np.float32)
    posterior = np.empty((n_columns, size), np.float32)
    messages = np.empty((columns.size, size), np.float32)
    degree = 0
    for row in range(starts.size - 1):
        degree = max(degree, starts[row + 1] - starts[row])
    work = np.empty((degree + 3, size), np.float32)
    parity = np.empty(size, np.int32)
    for b in range(llr.shape[0]):
        _collect(llr[b], index, prior.reshape(-1), k, filler_end)
        posterior[:] = prior
        messages[:] = 0
        ok[b] = False
        used[b] = iterations
        for i in range(iterations):
            for row in range(starts.size - 1):
                first, last = starts[row], starts[row + 1]
                _update_row(
                    posterior, prior, messages[first:last], columns[first:last], shifts[first:last],
                    extension[row], work, parity,
                )  # fmt: skip
            if _is_codeword(posterior, starts, columns, shifts, extension, work[0], parity, k):
                ok[b] = True
                used[b] = i + 1
                break
        decided = posterior.reshape(-1)
        for z in range(k):
            bits[b, z] = decided[z] < 0


@numba.njit(cache=True, nogil=True)
def _collect(llr, index, prior, k, filler_end):
    """Undo the rate matching: add up what was received of each bit, sign turned, NaN taken as nothing received."""
    prior[:] = 0
    prior[k:filler_end] = CERTAIN
    for i in range(index.size):
        if llr[i] == llr[i]:
            prior[index[i]] -= min(max(llr[i], -LIMIT), LIMIT)


@numba.njit(cache=True, nogil=True)
def _update_row(posterior, prior, messages, columns, shifts, extension, work, parity):
    """One layer: replace this row's messages to its bits, using the newest posteriors.

    Exactly, a bit receives the box-plus of the others' magnitudes, with the product of their signs. A-min* computes
    only two magnitudes: `rest`, of all but the least reliable bit, goes to that bit, and `full`, of all, to the others.
    The loops are short because the compiler vectorises only those that touch few arrays.
    """
    smallest, rest, full = work[-3], work[-2], work[-1]
    smallest[:] = LIMIT
    rest[:] = LIMIT
    parity[:] = 0
    for j in range(columns.size):
        value = work[j]
        _rotate(value, posterior[columns[j]], shifts[j])
        _subtract(value, messages[j])
        _add_signs(parity, value)
        _add_magnitudes(smallest, rest, value)
    if extension >= 0:
        # The bit that only this row checks always sends what was received of it: no message is stored for it.
        _box_plus(full, smallest, rest)
        _add_signs(parity, prior[extension])
        _answer(posterior[extension], prior[extension], smallest, full, full, parity)
        _add(posterior[extension], prior[extension])
        _add_magnitudes(smallest, rest, prior[extension])
    _box_plus(full, smallest, rest)
    for j in range(columns.size):
        value = work[j]
        _answer(messages[j], value, smallest, rest, full, parity)
        _add(value, messages[j])
        _rotate(posterior[columns[j]], value, parity.size - shifts[j])


@numba.njit(cache=True, nogil=True)
def _is_codeword(posterior, starts, columns, shifts, extension, value, parity, k):
    """Whether the decided bits satisfy every row, and every information bit is decided (not exactly 0)."""
    for row in range(starts.size - 1):
        parity[:] = 0
        if extension[row] >= 0:
            _add_signs(parity, posterior[extension[row]])
        for i in range(starts[row], starts[row + 1]):
            _rotate(value, posterior[columns[i]], shifts[i])
            _add_signs(parity, value)
        union = np.int32(0)
        for z in range(parity.size):
            union |= parity[z]
        if union < 0:
            return False
    information = posterior.reshape(-1)
    for z in range(k):
        if information[z] == 0:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _rotate(target, source, shift):
    """target[z] = source[(z + shift) mod Z]; a shift of Z counts as 0."""
    split = source.size - shift
    tail, rest = source[shift:], target[split:]
    for z in range(split):
        target[z] = tail[z]
    for z in range(shift):
        rest[z] = source[z]


@numba.njit(cache=True, nogil=True)
def _add(total, value):
    for z in range(total.size):
        total[z] += value[z]


@numba.njit(cache=True, nogil=True)
def _subtract(total, value):
    for z in range(total.size):
        total[z] -= value[z]


@numba.njit(cache=True, nogil=True)
def _add_signs(parity, value):
    """Add the decided bits of `value` to the sign bits of `parity`."""
    word = value.view(np.int32)
    for z in range(parity.size):
        parity[z] ^= word[z]


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
    smaller = a if a < b else b
    return max(smaller + _correction(a + b) - _correction(abs(a - b)), np.float32(0))


@numba.njit(cache=True, nogil=True)
def _box_plus(total, a, b):
    for z in range(total.size):
        total[z] = _box(a[z], b[z])


@numba.njit(cache=True, nogil=True)
def _add_magnitudes(smallest, rest, value):
    """Take one more bit into the smallest magnitude of a row and the box-plus of the others."""
    for z in range(value.size):
        magnitude = abs(value[z])
        larger = magnitude if magnitude > smallest[z] else smallest[z]
        smallest[z] = magnitude if magnitude < smallest[z] else smallest[z]
        rest[z] = _box(rest[z], larger)


@numba.njit(cache=True, nogil=True)
def _answer(message, value, smallest, rest, full, parity):
    """The row's message to the bit that sent `value`, whose sign is in `parity` and is taken out again."""
    for z in range(message.size):
        message[z] = rest[z] if abs(value[z]) == smallest[z] else full[z]
    sign, own = message.view(np.int32), value.view(np.int32)
    for z in range(message.size):
        sign[z] ^= (parity[z] ^ own[z]) & _SIGN
