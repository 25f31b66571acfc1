# SPDX-License-Identifier: GPL-3.0-or-later
"""Sound at the two ends of the link: files, frames and the playout buffer.

Audio is float32 mono at 16 kHz within +-1 everywhere in the package.
"""

from .follower import Follower, FollowerCounts
from .framing import FRAME, SAMPLE_RATE, SUPERFRAME, Framer, join, split
from .io import AudioInfo, read, to_pcm16, wav_bytes, write
from .playout import Playout, PlayoutBuffer, PlayoutCounts

__all__ = [
    "FRAME", "SAMPLE_RATE", "SUPERFRAME", "AudioInfo", "Follower", "FollowerCounts", "Framer", "Playout",
    "PlayoutBuffer", "PlayoutCounts", "join", "read", "split", "to_pcm16", "wav_bytes", "write",
]
