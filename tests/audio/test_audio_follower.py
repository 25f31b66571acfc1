# SPDX-License-Identifier: GPL-3.0-or-later
"""Playout by another clock: hours of drift, jitter, gaps, pauses and stalls, all by clocks that only count."""

import numpy as np
import pytest
from soundspring.audio.follower import DEPTH, FADE, FASTEST, Follower
from soundspring.audio.interpolate import BEFORE, BEHIND, interpolate

RATE, PIECE = 16000, 1600
SLOW = 10  # the loop counts seconds: hours pass sooner at a tenth of the sample rate
SLOW_DEPTH = 4 * DEPTH // SLOW  # fades and filter are not shorter there


def tone(first: int, count: int, omega: float) -> np.ndarray:
    return np.sin(omega * np.arange(first, first + count)).astype(np.float32)


class Far:
    """A sender that makes a piece each 100 ms of its own clock, which runs `ppm` faster; played by ours."""

    def __init__(self, ppm: float = 0.0, omega: float = 0.3, slow: int = 1, jitter_s: float = 0.0):
        self.rate, self.piece = RATE / slow, PIECE // slow
        self.follower = Follower(DEPTH if slow == 1 else SLOW_DEPTH, self.piece, self.rate)
        self.requests = (self.piece // 4, self.piece) if slow > 1 else (100, 400)
        self.ppm, self.omega, self.jitter = ppm, omega, jitter_s
        self.rng = np.random.default_rng(1)
        self.pieces = self.played = 0
        self.levels: list[int] = []
        self._due = 0.0

    def run(self, seconds: float, sends: bool = True, late_s: float = 0.0) -> np.ndarray:
        """What the sound card gets in so many seconds of its own clock, in requests of changing size."""
        out, end = [], self.played + round(seconds * self.rate)
        self._due += late_s
        while self.played < end:
            now = self.played / self.rate
            while self._due + self.delay <= now:
                if sends:
                    self.follower.push(tone(self.pieces * self.piece, self.piece, self.omega))
                self.pieces += 1
                self._due = max(self._due, 0) + 0.1 / (1 + 1e-6 * self.ppm)
            count = min(int(self.rng.integers(*self.requests)), end - self.played)
            out.append(self.follower.pull(count))
            self.played += count
            self.levels.append(self.follower.level)
        return np.concatenate(out)

    @property
    def delay(self) -> float:
        return self.rng.uniform(0, self.jitter) if self.jitter else 0.0


def roughness(x: np.ndarray, omega: float) -> float:
    """How far a tone of unit level is from its own continuation, at the worst sample."""
    return float(np.abs(x[2:] - 2 * np.cos(omega) * x[1:-1] + x[:-2]).max())


@pytest.mark.parametrize("ppm", [-100.0, 100.0])
def test_an_hour_beside_a_clock_that_is_100_ppm_off(ppm):
    """The level stays where it should be, nothing is dropped, repeated or broken; the speed is the clocks'."""
    far = Far(ppm, slow=SLOW, jitter_s=0.03)
    sound = far.run(3600)
    follower = far.follower
    counts = follower.counts
    assert (counts.gaps, counts.skips, counts.pauses) == (0, 0, 0) and follower.depth == SLOW_DEPTH
    levels = np.array(far.levels[len(far.levels) // 10 :])
    assert levels.min() > SLOW_DEPTH - 1.3 * far.piece and levels.max() < SLOW_DEPTH + 1.3 * far.piece
    tenths = [part.mean() for part in np.array_split(levels, 10)]
    assert np.ptp(tenths) < 0.005 * far.rate, "no drift"
    assert follower.drift_ppm == pytest.approx(ppm, abs=40)
    begun = sound[np.flatnonzero(sound)[0] + FADE :]
    assert roughness(begun, far.omega) < 5e-4  # a dropped sample would give 0.08, a speed 1000 ppm off 2e-4
    # What was played, by the phase of the tone, is all that came but for what still waits.
    position = far.pieces * far.piece - follower.level - 1
    near = position + np.linspace(-2, 2, 401)
    assert np.abs(np.sin(far.omega * near) - sound[-1]).min() < 1e-2


def test_at_the_rate_of_speech_a_tone_stays_clean():
    """A minute with the clocks 100 ppm apart: by the spectrum, all but the tone is 70 dB down."""
    far = Far(100.0, omega=2 * np.pi * 1000 / RATE, jitter_s=0.03)
    far.run(30)
    x = far.run(30)[-(1 << 17) :]
    power = np.abs(np.fft.rfft(x * np.blackman(len(x)))) ** 2
    peak = int(power.argmax())
    rest = power.sum() - power[peak - 100 : peak + 101].sum()  # 12 Hz either way: what slow changes of speed do
    assert abs(peak * RATE / len(x) / 1000 - 1) < 2 * FASTEST
    assert 10 * np.log10(rest / power.sum()) < -70


def test_sound_begins_after_the_depth_and_without_a_click():
    follower = Follower(DEPTH, PIECE)
    assert not follower.pull(1000).any()
    follower.push(np.ones(PIECE, np.float32))
    out = follower.pull(DEPTH + 400)
    first = int(np.flatnonzero(out)[0])
    assert DEPTH <= first <= DEPTH + 2 and np.abs(np.diff(out)).max() < 1.5 / FADE and out[-1] == pytest.approx(1)


def test_a_first_piece_that_is_shorter_waits_longer():
    """The codec keeps 20 ms of the first superframe: the next comes sooner after it was played."""
    follower = Follower(DEPTH, PIECE)
    follower.push(np.ones(PIECE - 320, np.float32))
    follower.pull(PIECE)
    assert follower.level == DEPTH


def test_a_gap_fades_out_and_in_and_deepens_the_buffer():
    far = Far(0.0, omega=0.05)
    far.run(5)
    out = far.run(5, late_s=0.3)
    counts = far.follower.counts
    assert (counts.gaps, counts.pauses) == (1, 0) and far.follower.depth > DEPTH
    assert np.abs(np.diff(out)).max() < 0.05 + 2 / FADE
    far.run(70)
    assert far.follower.depth == DEPTH, "a quiet minute takes it back"


def test_a_pause_of_the_sender_is_no_gap():
    far = Far(0.0)
    far.run(5)
    assert not far.run(5, sends=False)[RATE:].any()
    far.run(5)
    counts = far.follower.counts
    assert (counts.gaps, counts.pauses, counts.skips) == (0, 1, 0)
    assert far.follower.depth == DEPTH and max(far.levels[-100:]) <= DEPTH + PIECE + 100


def test_after_a_stall_the_delay_is_cut_back_without_a_click():
    far = Far(0.0, omega=0.05)
    far.run(5)
    for _ in range(10):  # a second of sound at once
        far.follower.push(tone(far.pieces * PIECE, PIECE, far.omega))
        far.pieces += 1
    assert far.follower.level <= DEPTH + 2 * PIECE
    out = far.run(1)
    assert far.follower.counts.skips > 0 and np.abs(np.diff(out)).max() < 0.05 + 2 / FADE
    assert far.follower.counts.skipped == pytest.approx(10 * PIECE, abs=2 * PIECE)


def test_what_is_too_much_is_played_off_without_ringing():
    """50 ms too much after a stall: no gap, though the loop works at its limit for a minute."""
    far = Far(50.0, slow=SLOW)
    far.run(300)
    far.follower.push(tone(0, far.piece // 2, far.omega))
    far.run(300)
    assert (far.follower.counts.gaps, far.follower.counts.skips) == (0, 0)
    middle = far.follower.depth + far.piece / 2 - sum(far.requests) / 4  # levels are seen behind a request
    assert np.mean(far.levels[-1000:]) == pytest.approx(middle, abs=0.005 * far.rate)


def test_interpolation_is_exact_on_the_samples_and_close_between():
    rng = np.random.default_rng(2)
    x = rng.standard_normal(300).astype(np.float32)
    at = np.arange(BEFORE, 300 - BEHIND)
    np.testing.assert_allclose(interpolate(x, at.astype(float)), x[at], atol=1e-6)
    between = at[:-1] + rng.random(len(at) - 1)
    for hertz, limit in ((100, -75), (3000, -75), (7300, -75), (7500, -30)):
        omega = 2 * np.pi * hertz / RATE
        wrong = interpolate(np.sin(omega * np.arange(300)).astype(np.float32), between) - np.sin(omega * between)
        assert 20 * np.log10(np.std(wrong) * np.sqrt(2)) < limit
    with pytest.raises(ValueError, match="positions"):
        interpolate(x, np.array([300.0]))


@pytest.mark.parametrize(
    ("arguments", "word"), [({"depth": -1}, "depth"), ({"piece": 9}, "piece"), ({"rate": 0}, "rate")]
)
def test_wrong_arguments_are_named(arguments, word):
    with pytest.raises(ValueError, match=word):
        Follower(**arguments)
    with pytest.raises(ValueError, match="shape"):
        Follower().push(np.zeros((2, 2)))
