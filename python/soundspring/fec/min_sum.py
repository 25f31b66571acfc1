# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled kernels of the LDPC code: encoding by back-substitution and layered min-sum decoding.

Both walk the rows of the base graph. Element i of a row says: lane z of the row's Z parity checks contains bit
(z + shifts[i]) mod Z of column columns[i]. Every inner loop runs over lanes of contiguous memory, so that the
compiler turns it into vector instructions. Inside the decoder a positive value means bit 0, as in the textbooks.
"""

import numba
import numpy as np

# Largest magnitude of a message. Bounds every sum far below overflow; nothing near it occurs at a working SNR.
LIMIT = 1e5
# What is known beforehand about a filler bit (it is 0): more than all messages to it can add up to.
CERTAIN = 1e8
_SIGN = np.int32(-(2**31))  # the sign bit of a float32


@numba.njit(cache=True, nogil=True)
def encode(codeword, starts, columns, shifts, info_columns, core_shift):
    """Fill the parity columns of codewords whose information columns are set.

    Args:
        codeword: uint8 [B, C, Z], changed in place.
        starts: int64 [R + 1], the elements of row r are starts[r] .. starts[r+1]-1, sorted by column.
        columns, shifts: int64 [elements].
        info_columns: columns before the first parity column.
        core_shift: shift that remains of the first parity column when the four core rows are added.
    """
    batch, _, size = codeword.shape
    sums = np.zeros((starts.size - 1, size), np.uint8)
    for b in range(batch):
        word = codeword[b]
        sums[:] = 0
        for row in range(starts.size - 1):
            for i in range(starts[row], starts[row + 1]):
                if columns[i] < info_columns:
                    _add_rotated(sums[row], word[columns[i]], shifts[i])
        core = sums[0] ^ sums[1] ^ sums[2] ^ sums[3]
        _add_rotated(word[info_columns], core, size - core_shift)  # the inverse rotation
        for row in range(starts.size - 1):
            # Each further row has one new column, its last but in the core; the other parity columns are known by now.
            new = info_columns + 1 + row if row < 3 else info_columns + row
            if row == 3:
                continue  # the sum of the core rows is zero already
            for i in range(starts[row], starts[row + 1]):
                if info_columns <= columns[i] < new:
                    _add_rotated(sums[row], word[columns[i]], shifts[i])
            word[new] = sums[row]


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
def decode(llr, index, starts, columns, shifts, extension, scale, sizes, iterations, bits, ok, used):
    """Decode blocks one after another; see `LdpcCode.decode` for what the arguments mean outside.

    Args:
        llr: float32 [B, e], positive means bit 1; any value, NaN included.
        index: int64 [e], position of each received bit in the flattened [C, Z] codeword.
        starts, columns, shifts: the rows as in `encode`, without the extension columns.
        extension: int64 [R], the column that only this row contains (its shift is 0), or -1.
        scale: float32 [R], normalisation of each row's messages.
        sizes: (C, Z, k, end of the filler bits).
        iterations: most iterations per block.
        bits: uint8 [B, k], ok: bool [B], used: int32 [B]: the results, written in place.
    """
    n_columns, size, k, filler_end = sizes
    prior = np.empty((n_columns, size), np.float32)
    posterior = np.empty((n_columns, size), np.float32)
    messages = np.empty((columns.size, size), np.float32)
    degree = 0
    for row in range(starts.size - 1):
        degree = max(degree, starts[row + 1] - starts[row])
    work = np.empty((degree + 2, size), np.float32)
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
                    extension[row], scale[row], work, parity,
                )
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
        value = llr[i]
        if value == value:
            prior[index[i]] -= np.float32(min(max(value, -LIMIT), LIMIT))


@numba.njit(cache=True, nogil=True)
def _update_row(posterior, prior, messages, columns, shifts, extension, scale, work, parity):
    """One layer: replace this row's messages to its bits, using the newest posteriors.

    A bit receives scale * (smallest magnitude of the others) with the product of the others' signs. Signs are carried
    as the sign bits of float32 words, so that everything is branch free. The loops are short because the compiler
    vectorises only those that touch few arrays.
    """
    size = parity.size
    smallest, second = work[-2], work[-1]
    smallest[:] = LIMIT
    second[:] = LIMIT
    parity[:] = 0
    for j in range(columns.size):
        value, old = work[j], messages[j]
        _rotate(value, posterior[columns[j]], shifts[j])
        for z in range(size):
            value[z] -= old[z]
        _gather(value, smallest, second, parity)
    if extension >= 0:
        # The bit that only this row checks always sends what was received of it: no message is stored for it.
        received, result = prior[extension], posterior[extension]
        _answer(result, received, smallest, smallest, parity, scale, np.int32(0))
        for z in range(size):
            result[z] += received[z]
        _gather(received, smallest, second, parity)
    for j in range(columns.size):
        value, new = work[j], messages[j]
        _answer(new, value, smallest, second, parity, scale, np.int32(-1))
        for z in range(size):
            value[z] += new[z]
        _rotate(posterior[columns[j]], value, size - shifts[j])


@numba.njit(cache=True, nogil=True)
def _gather(value, smallest, second, parity):
    """Take one more bit into a row's two smallest magnitudes and its parity of signs."""
    _add_signs(parity, value)
    for z in range(value.size):
        magnitude = abs(value[z])
        larger = magnitude if magnitude > smallest[z] else smallest[z]
        smallest[z] = magnitude if magnitude < smallest[z] else smallest[z]
        second[z] = larger if larger < second[z] else second[z]


@numba.njit(cache=True, nogil=True)
def _answer(new, value, smallest, second, parity, scale, own):
    """The row's message to one bit that sent `value`; `own` masks the sign of `value`, -1 if it is in the parity."""
    word, new_word = value.view(np.int32), new.view(np.int32)
    for z in range(new.size):
        new[z] = scale * (second[z] if abs(value[z]) == smallest[z] else smallest[z])
    for z in range(new.size):
        new_word[z] ^= (parity[z] ^ (word[z] & own)) & _SIGN


@numba.njit(cache=True, nogil=True)
def _rotate(target, source, shift):
    """target[z] = source[(z + shift) mod Z]; a shift of Z counts as 0."""
    split = source.size - shift
    tail = source[shift:]
    for z in range(split):
        target[z] = tail[z]
    rest = target[split:]
    for z in range(shift):
        rest[z] = source[z]


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
def _add_signs(parity, value):
    """Add the decided bits of `value` to the sign bits of `parity`."""
    word = value.view(np.int32)
    for z in range(parity.size):
        parity[z] ^= word[z]
