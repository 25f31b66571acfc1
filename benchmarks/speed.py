#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Speed of transmitter and receiver on one thread: CPU time of each stage per superframe, and real-time factors.

Source coding is codec, language model, range coder and concealment: all but FEC and modem. "Both" adds up what
transmitter and receiver take for the same superframe. Reference profile over AWGN at 12 dB; a second receiver runs with
20 % of the packets lost, so that it has something to conceal. Then packet20, whole ends. The yardsticks in the same
run: the quickest libopus that is installed (builds of it differ by a factor of eight), at 9 kbps and complexity 9, and
numpy's FFT of 4096 points, which is there everywhere.
"""

from collections import defaultdict
from contextlib import contextmanager
from time import process_time

import numpy as np
from common import RATE, about, arguments, progress, speech, write
from soundspring.baselines import opus
from soundspring.channel.awgn import Awgn, noise_variance
from soundspring.channel.loss import Bernoulli
from soundspring.coding.superframe import SuperframeDecoder
from soundspring.link import Frame as LinkFrame
from soundspring.link import (
    Link,
    Models,
    decode,
    encode,
    from_datagrams,
    in_order,
    speak,
    superframes,
    to_datagrams,
)
from soundspring.profile import load

SNR_DB = 12.0
LOSS = 0.2
SOURCE = ("codec", "language model", "range coder", "concealment")  # source coding: all but FEC and modem
WARM = 3  # superframes that are not counted: kernels load, caches fill


class Clock:
    """CPU seconds of each stage, superframe by superframe."""

    def __init__(self):
        self.rows = []

    def superframe(self) -> None:
        """Begin the next one."""
        self.rows.append(defaultdict(float))

    @contextmanager
    def __call__(self, stage: str):
        begin = process_time()
        yield
        self.rows[-1][stage] += process_time() - begin

    def move(self, source: str, target: str, seconds: float) -> None:
        """Book `seconds` that one stage took within another."""
        self.rows[-1][source] -= seconds
        self.rows[-1][target] += seconds

    def seconds(self, *stages: str) -> np.ndarray:
        """Of each superframe: of some stages together, or of all."""
        return np.array([sum(row[s] for s in stages or row) for row in self.rows[WARM:]])

    def figures(self, superframe_s: float) -> dict:
        """See `figure`; of each stage, of source coding, and of all together."""
        stages = dict.fromkeys(stage for row in self.rows[WARM:] for stage in row)
        times = {s: self.seconds(s) for s in stages} | {"source coding": self.seconds(*SOURCE), "all": self.seconds()}
        return {name: figure(t, superframe_s) for name, t in times.items()}


def figure(seconds: np.ndarray, superframe_s: float) -> dict:
    """Median and 99th percentile in ms, and mean real-time factor."""
    return {"median_ms": round(1e3 * float(np.median(seconds)), 3),
            "p99_ms": round(1e3 * float(np.quantile(seconds, 0.99)), 3),
            "rtf": round(float(seconds.mean()) / superframe_s, 4)}


class TimedSource:
    """A PmfSource that says how long the model took, so that the range coder is what remains."""

    def __init__(self, source):
        self.source, self.seconds = source, 0.0

    def _timed(self, function, *arguments):
        begin = process_time()
        result = function(*arguments)
        self.seconds += process_time() - begin
        return result

    def begin(self, *arguments):
        return self._timed(self.source.begin, *arguments)

    def logits(self, *arguments):
        return self._timed(self.source.logits, *arguments)

    def taken(self) -> float:
        """Seconds since the last call."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


def transmitter(link: Link, audio: np.ndarray) -> tuple[Clock, list, list[np.ndarray]]:
    """Sound -> (clock, what was sent, the samples of each superframe)."""
    clock, source = Clock(), TimedSource(link.models.source)
    codec, coder = link.codec_encoder(), link.entropy_encoder()
    coder.source = source
    frame_coder, modulator, sent, samples = link.frame_coder(), link.modulator(), [], []
    for block in progress(superframes(audio, link.profile), "transmitter"):
        clock.superframe()
        with clock("codec"):
            latent = codec.analyse(block)
        with clock("range coder"):
            sequence, groups = coder.push(latent=latent)
        clock.move("range coder", "language model", source.taken())
        payloads = [g.bits for g in groups]
        with clock("FEC and QAM"):
            header, symbols = frame_coder.encode(sequence, payloads)
        with clock("OFDM"):
            burst = modulator.modulate(header, symbols)
            samples.append(np.pad(burst, (0, link.period - len(burst))))
        sent.append((sequence, payloads))
    return clock, sent, samples


def receiver(link: Link, sent: list, samples: list[np.ndarray], loss: float, seed: int) -> tuple[Clock, float]:
    """Samples -> (clock, share of packets lost)."""
    clock, source, lose = Clock(), TimedSource(link.models.source), Bernoulli(loss, seed)
    frame_coder = link.frame_coder()
    radio, coder = link.receiver(frame_coder), SuperframeDecoder(source, link.plan, link.models.static)
    concealer, codec, missing = link.concealer(), link.codec_decoder(), []
    channel = Awgn(noise_variance(SNR_DB, link.profile.phy.oversampling), seed)
    for i, block in enumerate(progress(samples, f"receiver, {100 * loss:.0f} % loss")):
        clock.superframe()
        block = channel.process(block)
        with clock("OFDM"):
            bursts = radio.push(block)
        with clock("QAM and FEC"):
            found = [LinkFrame(i, frame_coder.decode(b.symbols, b.noise_var), b) for b in bursts if b.header]
        _, payloads = in_order(found, len(sent), len(link.plan.groups))[i]
        payloads = [None if gone else p for p, gone in zip(payloads, lose.step(len(payloads)), strict=True)]
        with clock("range coder"):
            known = coder.push(i, payloads)
        clock.move("range coder", "language model", source.taken())
        with clock("concealment"):
            estimate = concealer.push(known.tokens, known.received)
        with clock("codec"):
            speak(codec, estimate)
        missing += [p is None for p in payloads]
    return clock, float(np.mean(missing))


def datagrams(audio: np.ndarray, models: Models, seed: int) -> dict:
    """Real-time factors of packet20, which has a packet every 20 ms and no radio: sender, receiver, one with losses."""
    link, lose = Link(load("packet20"), models), Bernoulli(LOSS, seed)
    for _ in encode(link, audio[: RATE // 5]):  # kernels and caches
        pass
    begin = process_time()
    sent = to_datagrams(link, encode(link, audio))
    times = {"tx": process_time() - begin}
    lossy = [None if gone else d for d, gone in zip(sent, lose.step(len(sent)), strict=True)]
    for name, arrived in (("rx", sent), ("rx_20", lossy)):
        begin = process_time()
        decode(link, from_datagrams(link, arrived), len(audio))
        times[name] = process_time() - begin
    return {f"rtf_{name}": round(t / (len(audio) / RATE), 4) for name, t in times.items()}


def opus_speed(audio: np.ndarray) -> dict | None:
    """Real-time factors of the quickest libopus here, whatever its version; None where there is none."""
    figures = []
    for library in opus.libraries():
        begin = process_time()
        encoder = opus.OpusEncoder(9, complexity=9, library=library)
        packets = encoder.encode(audio)
        encoded = process_time()
        opus.OpusDecoder(library=library).decode(packets, len(audio), encoder.delay)
        seconds = len(packets) * opus.FRAME / RATE
        figures.append({"version": opus.version(library),
                        "kbps": round(8 * sum(map(len, packets)) / seconds / 1e3, 2),
                        "rtf_encode": round((encoded - begin) / seconds, 5),
                        "rtf_decode": round((process_time() - encoded) / seconds, 5)})
    return min(figures, key=lambda f: f["rtf_encode"], default=None)


def fft_ms(size: int = 4096, count: int = 2000) -> float:
    """Milliseconds of one complex FFT in numpy."""
    x = np.random.default_rng(0).standard_normal(size) + 0j
    begin = process_time()
    for _ in range(count):
        np.fft.fft(x)
    return 1e3 * (process_time() - begin) / count


def main(argv=None) -> dict:
    args = arguments(__doc__, argv, seconds=20, length=4)
    utterances, models = speech(args), Models()
    link = Link(load("reference"), models)
    audio = np.concatenate([x for _, x in utterances])[: int(args.seconds * RATE)]
    sender, sent, samples = transmitter(link, audio)
    hearer, lost = receiver(link, sent, samples, 0.0, args.seed)
    loser, lost20 = receiver(link, sent, samples, LOSS, args.seed)
    superframe_s = link.profile.superframe_samples / RATE
    tx, rx, lossy = (clock.figures(superframe_s) for clock in (sender, hearer, loser))
    both, both20 = (
        {"source coding": figure(sender.seconds(*SOURCE) + clock.seconds(*SOURCE), superframe_s),
         "all": figure(sender.seconds() + clock.seconds(), superframe_s)} for clock in (hearer, loser)
    )
    yardstick, peer = fft_ms(), opus_speed(audio)
    figures = {"about": about(args, utterances), "seconds": len(audio) / RATE, "superframes": len(sent) - WARM,
               "superframe_ms": 1e3 * superframe_s,
               "tx": tx, "rx": rx, "rx_with_20_percent_loss": lossy,
               "both": both, "both_with_20_percent_loss": both20,
               "lost": round(lost, 4), "lost_20": round(lost20, 4),
               "rtf_tx": tx["all"]["rtf"], "rtf_rx": rx["all"]["rtf"], "rtf_rx_20": lossy["all"]["rtf"],
               "rtf_source_tx": tx["source coding"]["rtf"], "rtf_source_rx": rx["source coding"]["rtf"],
               "rtf_source_rx_20": lossy["source coding"]["rtf"],
               "packet20": datagrams(audio, models, args.seed), "fft4096_ms": round(yardstick, 4), "opus": peer,
               "tx_median_in_fft4096": round(tx["all"]["median_ms"] / yardstick),
               "rx_median_in_fft4096": round(rx["all"]["median_ms"] / yardstick)}
    if peer:
        figures |= {"ratio_tx_vs_opus": round(tx["all"]["rtf"] / peer["rtf_encode"], 1),
                    "ratio_rx_vs_opus": round(rx["all"]["rtf"] / peer["rtf_decode"], 1)}
    for end in ("tx", "rx", "rx_with_20_percent_loss", "both", "both_with_20_percent_loss"):
        print(end)
        for stage, f in figures[end].items():
            print(f"    {stage:15} median {f['median_ms']:7.2f} ms  99 % {f['p99_ms']:7.2f} ms  "
                  f"real-time factor {f['rtf']:.4f}")
    print(f"packet20: {figures['packet20']}")
    print(f"a superframe lasts {figures['superframe_ms']:.0f} ms; FFT of 4096: {yardstick:.3f} ms; libopus: {peer}")
    write(args, figures)
    return figures


if __name__ == "__main__":
    main()
