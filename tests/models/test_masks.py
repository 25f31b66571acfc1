# SPDX-License-Identifier: GPL-3.0-or-later
"""Training asks the model what the transmitter asks it: the same windows, frames and layers."""

import numpy as np
import pytest
from soundspring.link import Link, Models
from soundspring.profile import load, replace_profile

SECONDS = 0.5


class Noting:
    """A PmfSource that notes which questions come: see `questions`."""

    def __init__(self, source, asked):
        self.source, self.asked = source, asked

    def begin(self, tokens, visible):
        return visible.copy(), self.source.begin(tokens, visible)

    def logits(self, state, frames, layer, tokens, known):
        self.asked |= questions(state[0], frames, layer)
        return self.source.logits(state[1], frames, layer, tokens, known)


def questions(visible, frames, layer):
    """For each frame that is asked for: the layers that the trunk sees of each of the window, the frame, the layer."""
    return {(tuple(visible.sum(1).tolist()), int(frame), int(layer)) for frame in frames}


def asked_by_the_coder(profile, models, audio):
    # Without room to keep to: where not even the base fits, parts of it are asked for.
    link, asked = Link(replace_profile(load(profile), phy=None), models), set()
    coder = link.entropy_encoder()
    coder.source = Noting(coder.source, asked)
    codec, size = link.codec_encoder(), link.profile.superframe_samples
    for block in audio[: len(audio) // size * size].reshape(-1, size):
        coder.push(latent=codec.analyse(block))
    return asked


def asked_in_training(train, rounds=3000):
    masks, rng, asked = train("masks"), np.random.default_rng(0), set()
    for _ in range(rounds):
        visible, _, target, _ = masks.draw(rng, 24)
        assert target.any()  # else the loss would be the mean of nothing
        seen, wanted = visible[0], target[0]
        for layer in range(24):
            asked |= questions(seen, np.flatnonzero(wanted[:, layer]), layer)
    return asked


@pytest.mark.parametrize("profile", ["reference", "packet20", "wide-3", "chained"])
def test_what_the_coder_asks_is_what_was_learned(train, profile, tiny_models_dir, monkeypatch, speech_like):
    monkeypatch.setenv("SOUNDSPRING_MODELS", str(tiny_models_dir))
    used = asked_by_the_coder(profile, Models(), speech_like[: int(SECONDS * 16000)].astype(np.float32))
    assert len(used) > 10
    assert not used - asked_in_training(train)
