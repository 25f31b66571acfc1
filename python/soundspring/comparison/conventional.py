# SPDX-License-Identifier: GPL-3.0-or-later
"""The conventional family: a speech codec, LDPC and QAM. The packets of a superframe share one code block.

One block rather than one for each packet, because a longer code is the better one and a burst is mostly lost whole.
A CRC16 tells whether the block is right. Of all modulations a mode takes the lowest that leaves a code rate of at most
`HIGHEST_RATE`: QPSK as long as it can, for at the same bits per symbol a lower rate beats a lower order.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import numpy as np

from ..baselines.framed import FrameDecoder, FrameEncoder
from ..fec import crc
from ..fec.ldpc import LdpcCode
from ..fec.scramble import whitening
from ..modem.qam import demap, map_bits
from .scheme import LOST, OK, Played, Scheme
from .terms import Terms

HIGHEST_RATE = {2: 0.75, 4: 0.75, 6: 0.85}
CRC = "CRC16"


class Conventional(Scheme):
    """A codec of packets of 20 ms behind the interface of a scheme."""

    packet_bits: dict[str, int]
    """Modes and the bits of their packets, the smallest first."""

    def __init__(self, mode: str, terms: Terms):
        if mode not in self.packet_bits:
            raise ValueError(f"scheme {self.name}: mode {mode!r} is not one of {', '.join(self.packet_bits)}")
        self.mode, self._packets = mode, terms.profile.superframe
        self._superframes_per_second = terms.profile.superframes_per_second
        order = self._order(mode, terms)
        if order is None:
            raise ValueError(f"scheme {self.name}: mode {mode} does not fit into {terms.symbols} symbols a burst")
        self.symbols, self.order = terms.symbols, order
        self._code = LdpcCode(self._block(mode, terms), terms.symbols * order, order)
        self.delay = self.encoder().delay  # made once now, so that a missing library shows before the work begins

    @classmethod
    def _block(cls, mode: str, terms: Terms) -> int:
        return cls.packet_bits[mode] * terms.profile.superframe + crc.length(CRC)

    @classmethod
    def _order(cls, mode: str, terms: Terms) -> int | None:
        """Bits per symbol of a mode; None where it does not fit."""
        fitting = (q for q, rate in HIGHEST_RATE.items() if cls._block(mode, terms) <= rate * q * terms.symbols)
        return next(fitting, None)

    @classmethod
    def modes(cls, terms: Terms) -> list[str]:
        fitting = [mode for mode in cls.packet_bits if cls._order(mode, terms)]
        # For a fixed profile: the largest mode with no more bits per symbol than the profile's own packets have.
        most = max(p.payload_bits / p.symbols for p in terms.profile.phy.packets)
        alike = [mode for mode in fitting if cls._block(mode, terms) <= most * terms.symbols and "-" not in mode]
        fixed = max(alike, key=cls.packet_bits.__getitem__) if alike else fitting[0] if fitting else None
        return sorted(fitting, key=lambda mode: mode != fixed)

    @property
    def payload_bps(self) -> float:
        return self._code.k * self._superframes_per_second

    @property
    def block_bits(self) -> int:
        """Of a superframe's code block, its CRC included."""
        return self._code.k

    @property
    def ahead(self) -> int:
        """Packets that the decoder looks ahead."""
        return 0

    @abstractmethod
    def encoder(self) -> FrameEncoder:
        """A fresh encoder of this mode."""

    @abstractmethod
    def decoder(self) -> FrameDecoder:
        """A fresh decoder of this mode."""

    def encode(self, audio: np.ndarray) -> list[np.ndarray]:
        packets = self.encoder().encode(audio)
        return self.symbols_of(packets + packets[-1:] * (-len(packets) % self._packets))

    def symbols_of(self, packets: Sequence[bytes]) -> list[np.ndarray]:
        """The packets of whole superframes -> the symbols of their bursts."""
        bits = self.packet_bits[self.mode]
        if wrong := {len(p) for p in packets} - {-(-bits // 8)}:
            raise ValueError(f"scheme {self.name}: packets of {min(wrong)} bytes, mode {self.mode} has {-(-bits // 8)}")
        rows = np.unpackbits(np.frombuffer(b"".join(packets), np.uint8)).reshape(len(packets), -1)[:, :bits]
        blocks = crc.attach(rows.reshape(-1, bits * self._packets), CRC)
        return [map_bits(self._code.encode(b ^ whitening(self._code.k)), self.order) for b in blocks]

    def receive(self, symbols: np.ndarray, noise_var: np.ndarray) -> list[bytes] | None:
        result = self._code.decode(demap(symbols, noise_var, self.order))
        block = result.bits ^ whitening(self._code.k)
        if not result.ok or not crc.check(block, CRC):
            return None
        rows = block[: -crc.length(CRC)].reshape(self._packets, -1)
        return [np.packbits(row).tobytes() for row in rows]

    def packets_of(self, block: list[bytes] | None) -> list[bytes | None]:
        """Of what was received of a superframe; None each where it was lost."""
        return block or [None] * self._packets

    def play(self, received: Sequence[list[bytes] | None], samples: int) -> Played:
        packets = [p for block in received for p in self.packets_of(block)]
        audio = self.decoder().decode(packets, samples, self.delay)
        return Played(np.clip(audio, -1, 1), "".join(LOST if block is None else OK for block in received))

    def digest(self, received: Sequence[list[bytes] | None]) -> bytes:
        return b"".join(b"\1" + b"".join(block) if block else b"\0" for block in received)


class Opus(Conventional):
    """Opus at constant rates, kbit/s. `fec`: told of a tenth lost, so that packets carry copies of earlier ones."""

    name = "opus"
    packet_bits = {str(k): 20 * k for k in (6, 8, 10, 12, 16, 20, 24, 32)} | {f"{k}-fec": 20 * k for k in (16, 24)}

    @property
    def ahead(self) -> int:
        return int(self.mode.endswith("-fec"))

    def encoder(self):
        from ..baselines.opus import OpusEncoder

        rate, _, fec = self.mode.partition("-")
        return OpusEncoder(float(rate), expected_loss=10 if fec else None)

    def decoder(self):
        from ..baselines.opus import OpusDecoder

        return OpusDecoder(fec=bool(self.ahead))


class Amrwb(Conventional):
    """AMR-WB at its rates, kbit/s; concealment by repetition."""

    name = "amrwb"
    packet_bits = {"6.6": 132, "8.85": 177, "12.65": 253, "15.85": 317, "19.85": 397, "23.85": 477}

    def encoder(self):
        from ..baselines.amrwb import AmrwbEncoder

        return AmrwbEncoder(float(self.mode))

    def decoder(self):
        from ..baselines.amrwb import AmrwbDecoder

        return AmrwbDecoder(float(self.mode))


class Codec2(Conventional):
    """Codec2, 8 kHz, kbit/s; concealment by repetition."""

    name = "codec2"
    packet_bits = {"2.4": 48, "3.2": 64}

    def encoder(self):
        from ..baselines.codec2 import Codec2Encoder

        return Codec2Encoder(float(self.mode))

    def decoder(self):
        from ..baselines.codec2 import Codec2Decoder

        return Codec2Decoder(float(self.mode))
