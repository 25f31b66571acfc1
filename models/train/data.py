# SPDX-License-Identifier: GPL-3.0-or-later
"""Random speech segments from the corpus that corpus.py wrote."""

import json
from pathlib import Path

import numpy as np
from augment import augment, other_voice, stretch

RATE = 16000


class Corpus:
    """One split of the corpus: `voices` maps a name to the [start, length] of its clips in `audio`."""

    def __init__(self, folder: Path, split: str):
        self.audio = np.load(folder / f"{split}.npy", mmap_mode="r")
        self.clips = [tuple(row) for row in json.loads((folder / f"{split}.json").read_text())]
        self.voices: dict[str, list[tuple[int, int]]] = {}
        for voice, _, start, length in self.clips:
            self.voices.setdefault(voice, []).append((start, length))
        seconds = np.array([sum(n for _, n in v) for v in self.voices.values()], float)
        # The square root keeps one long audiobook voice from drowning the small ones.
        self.weights = np.sqrt(seconds) / np.sqrt(seconds).sum()

    def segment(self, rng: np.random.Generator, samples: int) -> np.ndarray:
        """A float32 segment of one voice, some of them augmented, at a random level; short clips are joined."""
        clips = list(self.voices.values())[rng.choice(len(self.voices), p=self.weights)]
        parts, have, wanted = [], 0, stretch(rng, samples)
        while have < wanted:
            start, n = clips[rng.integers(len(clips))]
            skip = int(rng.integers(max(n - wanted, 0) + 1))
            parts.append(self.audio[start + skip : start + min(n, skip + wanted)])
            have += len(parts[-1])
        x = other_voice(np.concatenate(parts)[:wanted].astype(np.float32) / 32768, samples)
        return level(augment(x, rng), rng)

    def batch(self, rng: np.random.Generator, count: int, samples: int) -> np.ndarray:
        return np.stack([self.segment(rng, samples) for _ in range(count)])

    def utterances(self, rng: np.random.Generator, seconds: float, per_voice: int) -> list[tuple[str, np.ndarray]]:
        """`per_voice` stretches of `seconds` (clips of one voice joined), each at -26 dBov, for evaluation."""
        out = []
        for voice, clips in sorted(self.voices.items()):
            order = [clips[i] for i in rng.permutation(len(clips))]
            for _ in range(per_voice):
                x = np.zeros(0, np.float32)
                while len(x) < seconds * RATE and order:
                    start, n = order.pop()
                    x = np.concatenate([x, self.audio[start : start + n].astype(np.float32) / 32768])
                if len(x) >= seconds * RATE:
                    out.append((voice, level(x[: int(seconds * RATE)], None)))
        return out


def level(x: np.ndarray, rng: np.random.Generator | None) -> np.ndarray:
    """Bring speech to -26 dBov (give or take 6 dB where a generator is given), never beyond full scale."""
    rms = float(np.sqrt(np.mean(x * x))) + 1e-6
    target = -26.0 + (6.0 * rng.standard_normal() if rng else 0.0)
    gain = min(10 ** (target / 20) / rms, 30.0)
    return (x * min(gain, 0.99 / (float(np.abs(x).max()) + 1e-6))).astype(np.float32)
