# SPDX-License-Identifier: GPL-3.0-or-later
"""Frames: padding, exact restore, any chunking."""

import numpy as np
import pytest
from soundspring.audio import FRAME, SUPERFRAME, Framer, join, split


@pytest.mark.parametrize("size", [FRAME, SUPERFRAME, 7])
@pytest.mark.parametrize("length", [0, 1, 319, 320, 321, 1600, 12_345])
def test_split_and_join_restore_every_sample(size, length):
    x = np.random.default_rng(length).uniform(-1, 1, length).astype(np.float32)
    frames = split(x, size)
    assert frames.shape == (-(-length // size), size) and frames.dtype == np.float32
    np.testing.assert_array_equal(join(frames, length), x)
    assert not frames.reshape(-1)[length:].any()


def test_chunks_give_the_same_frames():
    x = np.arange(5000, dtype=np.float32)
    framer = Framer(FRAME)
    parts = [framer.push(part) for part in np.split(x, [1, 1, 320, 700, 2305])] + [framer.flush(), framer.flush()]
    np.testing.assert_array_equal(np.concatenate(parts), split(x, FRAME))


def test_wrong_arguments_are_named():
    with pytest.raises(ValueError, match="size"):
        Framer(0)
    with pytest.raises(ValueError, match="one-dimensional"):
        Framer().push(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="length"):
        join(np.zeros((2, 10)), 21)
    with pytest.raises(ValueError, match="length"):
        join(np.zeros((2, 10)), -1)
