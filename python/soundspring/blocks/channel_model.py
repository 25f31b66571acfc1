# SPDX-License-Identifier: GPL-3.0-or-later
"""Samples to samples through a simulated radio channel."""

from functools import partial

import numpy as np
from gnuradio import gr

from ..channel import make_channel
from ..channel.awgn import Awgn, noise_variance


class channel_model(gr.basic_block):
    """A complex stream through fading, clock error, carrier offset, phase noise and noise, in this order.

    It is `channel.make_channel`, so the k-th sample of the stream meets the same noise and the same fading as in the
    plain function with the same seed. Fading and clock error delay the stream by some samples; what still is inside
    when the stream ends is lost, so end it with silence.

    Args:
        channel: "none", "awgn", "rayleigh", "rician", "tdl-a" or "tdl-c" (TR 38.901).
        rate: samples per second.
        snr_db: mean Es/N0 per active carrier; None for no noise.
        oversampling: `rate` over the critical rate of the signal.
        doppler_hz, k_factor_db, delay_spread_s: of the fading.
        cfo_hz, clock_ppm, linewidth_hz: of the radios; 0 for none.
        seed: of everything random.

    Raises:
        ValueError: naming the parameter that is out of range.
    """

    def __init__(
        self,
        channel: str = "awgn",
        rate: float = 2e6,
        snr_db: float | None = 12.0,
        oversampling: float = 2.0,
        doppler_hz: float = 10.0,
        k_factor_db: float = 10.0,
        delay_spread_s: float = 100e-9,
        cfo_hz: float = 0.0,
        clock_ppm: float = 0.0,
        linewidth_hz: float = 0.0,
        seed: int = 0,
    ):
        gr.basic_block.__init__(self, name="SoundSpring channel", in_sig=[np.complex64], out_sig=[np.complex64])
        self._oversampling, self._snr_db = oversampling, snr_db
        self._make = partial(
            make_channel,
            rate=rate,
            oversampling=oversampling,
            doppler_hz=doppler_hz,
            k_factor_db=k_factor_db,
            delay_spread_s=delay_spread_s,
            cfo_hz=cfo_hz,
            clock_ppm=clock_ppm,
            linewidth_hz=linewidth_hz,
            seed=seed,
        )
        self._chain = self._make(channel, snr_db=snr_db)
        self._pending = np.zeros(0, np.complex64)

    @classmethod
    def of(cls, chain) -> "channel_model":
        """The block around a channel that is made already, anything with `process(samples) -> samples`."""
        block = cls("none", snr_db=None)
        block._chain = chain
        return block

    def set_channel(self, channel: str) -> None:
        """Go over to another channel, which begins anew; faults of the radios and (but for "none") noise stay."""
        self._chain = self._make(channel, snr_db=None if channel == "none" else self._snr_db)

    def set_snr_db(self, snr_db: float) -> None:
        """Change the level of the noise; ValueError if the channel was made without noise."""
        noise = [part for part in self._chain.channels if isinstance(part, Awgn)]
        if not noise:
            raise ValueError("snr_db cannot be changed: the channel was made without noise")
        noise[0].noise_var, self._snr_db = noise_variance(snr_db, self._oversampling), snr_db

    def forecast(self, noutput_items: int, ninputs: int) -> list[int]:
        """Some input, unless output is waiting: a clock error makes a little more or less of it."""
        return [0 if self._pending.size else 1] * ninputs

    def general_work(self, input_items, output_items) -> int:
        """Everything there is goes in once the output of the last time is out."""
        if not self._pending.size:
            taken = min(len(input_items[0]), len(output_items[0]))
            # A copy: a channel without parts hands its input on, and the scheduler writes over that.
            self._pending = self._chain.process(input_items[0][:taken].copy())
            self.consume(0, taken)
        made = min(self._pending.size, len(output_items[0]))
        output_items[0][:made] = self._pending[:made]
        self._pending = self._pending[made:]
        return made
