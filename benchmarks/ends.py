# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ends of a live link as two processes on this machine, between a microphone and a loudspeaker that stand in.

What `soundspring tx` and `rx` run is run here too: `hier.live.Sender` and `Listener` over ZeroMQ at the pace of a
radio. Only the sound card is another one: it takes and gives periods of 10 ms by the clock, as ALSA's does, and notes
when each sample was spoken or heard. `slow` divides every clock, those of the sound cards and of the radio, for
machines that are too busy for the pace of a radio: buffers then hold what they hold, and the arithmetic takes its share
of the time.

As a program it is one of the ends: `ends.py {"role": "tx", ...}` says how it does once a second, one JSON a line, until
its standard input ends.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import SimpleNamespace

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "python"), str(ROOT / "benchmarks")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

RATE = 16_000
PERIOD, PERIODS = 160, 3  # of the sound card, in samples; ALSA's buffer as `hier.live` sets it
START_S = 900.0  # to load models and compile, on a busy machine
TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGESIZE")


def microphone(speech: np.ndarray, clock_hz: float, log: dict):
    """A source that speaks in a circle; `log["spoken_at"]`: when its first sample was, by the monotonic clock."""
    from gnuradio import gr

    class Microphone(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, name="stand-in mic", in_sig=None, out_sig=[np.float32])
            self.set_output_multiple(PERIOD)
            self.made = 0

        def work(self, input_items, output_items) -> int:
            out = output_items[0]
            begin = log.setdefault("spoken_at", time.monotonic())
            while True:
                due = int((time.monotonic() - begin) * clock_hz) // PERIOD * PERIOD - self.made
                if due > 0:
                    break
                time.sleep(max(begin + (self.made + PERIOD) / clock_hz - time.monotonic(), 1e-4))
            count = min(due, len(out))
            out[:count] = np.take(speech, np.arange(self.made, self.made + count), mode="wrap")
            self.made += count
            return count

    return Microphone()


def loudspeaker(clock_hz: float, log: dict, keep: bool):
    """A sink with ALSA's buffer; `log["heard"]`: (time of its first sample, samples) of each piece without a break."""
    from gnuradio import gr

    class Loudspeaker(gr.sync_block):
        def __init__(self):
            gr.sync_block.__init__(self, name="stand-in card", in_sig=[np.float32], out_sig=None)
            self.set_output_multiple(PERIOD)
            self.end = 0.0  # when what is written will have been played
            log["heard"], log["underruns"] = [], 0

        def work(self, input_items, output_items) -> int:
            samples = input_items[0][:PERIOD]
            room_at = self.end - (PERIODS - 1) * PERIOD / clock_hz
            time.sleep(max(room_at - time.monotonic(), 0))
            now = time.monotonic()
            if now > self.end:
                log["underruns"] += bool(self.end)
                self.end = now
                log["heard"].append((now, []))
            if keep:
                log["heard"][-1][1].append(samples.copy())
            self.end += len(samples) / clock_hz
            return len(samples)

    return Loudspeaker()


def slowly(slow: float) -> None:
    """Divide the radio's clock, whose pieces stay as large, and what the playout buffer waits for the sound card."""
    from soundspring.blocks import codec_decoder
    from soundspring.hier import radio_end, radio_zmq

    def pace(rate: float):
        throttle = radio_end.pace(rate / slow)
        throttle.set_max_noutput_items(int(rate * radio_end.TICK_S))
        return throttle

    radio_zmq.pace = pace
    codec_decoder.IDLE_S, codec_decoder.ROOM_S = codec_decoder.IDLE_S * slow, codec_decoder.ROOM_S * slow


def end(role: str, address: str, profile: str = "reference", slow: float = 1.0, speech: str = "", loss: str = "none",
        ppm: float = 0.0, save: str = "", unpaced_s: float = 0.0, copies: bool = True) -> None:
    """Be one end until standard input ends.

    ppm: of this end's sound card against everything else. save: file for what was heard and when. unpaced_s: no clocks,
    so many seconds of speech from file to file as fast as both ends go, none waits for long. copies: as of `Listener`.
    """
    from soundspring.audio.io import read
    from soundspring.cli._common import one_thread
    from soundspring.hier import live
    from soundspring.kernels import compile_kernels

    one_thread()
    compile_kernels()
    log: dict = {}
    clock = RATE / slow * (1 + 1e-6 * ppm)
    slowly(slow)
    if role == "tx":
        voice = read(speech)[0]
        if unpaced_s:
            voice = np.resize(voice, int(unpaced_s * RATE))
        live.sound_card = SimpleNamespace(source=lambda *card: microphone(voice, clock, log))
        flow = live.Sender(profile, address, voice if unpaced_s else None)
        stages = flow.transmitter.stages
    else:
        live.sound_card = SimpleNamespace(sink=lambda *card: loudspeaker(clock, log, bool(save)))
        out = tempfile.TemporaryFile(suffix=".wav") if unpaced_s else None
        flow = live.Listener(profile, address, out and f"/proc/self/fd/{out.fileno()}", loss=loss, copies=copies)
        stages = flow.receiver.stages
    over = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), over.set()), daemon=True).start()
    flow.begin()
    while not over.wait(1.0):
        _say(flow, stages, log)
    clean = flow.end()
    _say(flow, stages, log, clean=clean)
    if save:
        _save(save, log)
    os._exit(0)  # a block that did not let go would make an ordinary exit an abort


def _say(flow, stages, log: dict, **more) -> None:
    rss = int(Path("/proc/self/statm").read_text().split()[1]) * PAGE
    status = flow.status() | {"at": time.monotonic(), "rss_mb": round(rss / 1e6, 2), "spoken_at": log.get("spoken_at"),
                              "underruns": log.get("underruns"), "sound": _sound(flow),
                              "dropped": sum(s.dropped for s in stages if hasattr(s, "dropped"))}
    cpu = {type(stage).__name__: round(stage.cpu_s, 4) for stage in stages}
    sys.stdout.write(json.dumps(status | {"stages_cpu_s": cpu} | more) + "\n")
    sys.stdout.flush()


def _sound(flow) -> int:
    """Samples of speech that went in, or came out."""
    if hasattr(flow, "receiver"):
        return flow.receiver.codec.nitems_written(0)
    return flow.transmitter.codec.nitems_read(0)


def _save(path: str, log: dict) -> None:
    pieces = [(at, np.concatenate(samples)) for at, samples in log["heard"] if samples]
    np.savez(path, at=np.array([at for at, _ in pieces]), sizes=np.array([len(x) for _, x in pieces]),
             sound=np.concatenate([x for _, x in pieces]))


class End:
    """One end, running. `lines`: what it said so far."""

    def __init__(self, **what):
        command = [sys.executable, __file__, json.dumps(what)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        start_new_session=True)
        self.lines: list[dict] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.append(json.loads(line))

    def wait_for(self, condition, seconds: float = START_S) -> None:
        """Until `condition(last line)`; RuntimeError where that takes too long, or the end is over."""
        limit = time.monotonic() + seconds
        while not (self.lines and condition(self.lines[-1])):
            if time.monotonic() > limit or self.process.poll() is not None:
                raise RuntimeError(f"this end does not get there: {self.lines[-1:]}")
            time.sleep(0.2)

    def stop(self) -> dict:
        """End it; its last line."""
        self.process.stdin.close()
        if self.process.wait(120):
            raise RuntimeError(f"this end ended with {self.process.returncode}")
        self._reader.join(10)
        return self.lines[-1]

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def threads(self) -> dict[str, float]:
        """CPU seconds of its threads, by name; several of one name add up."""
        out: dict[str, float] = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            try:
                name, rest = (task / "stat").read_text().split("(", 1)[1].rsplit(")", 1)
            except OSError:
                continue  # it has just ended
            user, system = rest.split()[11:13]
            out[name] = out.get(name, 0.0) + (int(user) + int(system)) / TICKS
        return out


class Ends:
    """A sender and a listener on a free port; both are killed in the end, whatever happens."""

    def __init__(self, speech: str | Path, profile: str = "reference", slow: float = 1.0, loss: str = "none",
                 ppm: float = 0.0, save: str = "", unpaced_s: float = 0.0, copies: bool = True):
        with socket.create_server(("127.0.0.1", 0)) as server:
            address = f"zmq:tcp://127.0.0.1:{server.getsockname()[1]}"
        both = {"profile": profile, "slow": slow, "unpaced_s": unpaced_s}
        there, here = (",pattern=push", ",pattern=push,pace=no") if unpaced_s else ("", "")
        self.rx = End(role="rx", address=address + there, **both, loss=loss, ppm=ppm, save=str(save), copies=copies)
        self.rx.wait_for(lambda line: True)
        self.tx = End(role="tx", address=address + here, **both, speech=str(speech))

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.rx.kill()
        if hasattr(self, "tx"):
            self.tx.kill()

    def run(self, seconds: float, slow: float) -> tuple[dict[str, float], dict[str, float], float]:
        """Let it settle for a while, then measure; CPU seconds by thread of both ends, and seconds of speech."""
        self.rx.wait_for(lambda line: line["bursts"] > 20)
        before, sent = (self.tx.threads(), self.rx.threads()), self.tx.lines[-1]["bursts"]
        count = round(10 * seconds)
        self.tx.wait_for(lambda line: line["bursts"] - sent >= count, 20 * seconds * slow + START_S)
        spoken = (self.tx.lines[-1]["bursts"] - sent) / 10
        used = [{name: cpu - b.get(name, 0.0) for name, cpu in end.threads().items()}
                for end, b in zip((self.tx, self.rx), before, strict=True)]
        return *used, spoken


if __name__ == "__main__":
    end(**json.loads(sys.argv[1]))
