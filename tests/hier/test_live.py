# SPDX-License-Identifier: GPL-3.0-or-later
"""The live link: restarts, pauses, and the whole way through a FAKE Pluto."""

import socket
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr")
from gnuradio import blocks, zeromq  # noqa: E402
from soundspring import link, profile  # noqa: E402

LIMIT_S = 120


def wait_for(condition) -> None:
    end = time.monotonic() + LIMIT_S
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()


def bursts(models, audio: np.ndarray) -> np.ndarray:
    """The samples of some speech, and all the receiver needs behind them."""
    whole = link.Link(profile.load("reference"), models)
    return link.modulate(whole, list(link.encode(whole, audio)))


class Heard:
    """A receiver over given samples, with a monitor."""

    def __init__(self, samples: np.ndarray):
        from soundspring.hier.live import monitor
        from soundspring.hier.receiver import receiver

        self.top, self.receiver, self.monitor = gr.top_block(), receiver(), monitor()
        self.clocks, self.sound = blocks.message_debug(), blocks.vector_sink_f()
        self.top.connect(blocks.vector_source_c(samples.tolist()), self.receiver, self.sound)
        self.top.msg_connect((self.receiver, "symbols"), (self.monitor, "pdus"))
        self.top.run()
        self.status = self.receiver.entropy.counts.status


def test_a_sender_that_restarts_is_followed_at_once(tiny_models, speech_like):
    one = bursts(tiny_models, speech_like)  # 14 superframes
    heard = Heard(np.concatenate([one, np.zeros(37_000, np.complex64), one, np.zeros(100_000, np.complex64)]))
    assert heard.monitor.transmissions == 2 and heard.receiver.bursts.bursts == 28
    assert heard.status.count(("ok", "ok")) == 28


def test_a_silent_sender_is_not_waited_for(tiny_models, speech_like):
    """After a second without bursts nothing is concealed any more, and the voice that comes back is taken at once."""
    one = bursts(tiny_models, speech_like[:6000])  # 4 superframes
    pause = np.zeros(10 * len(one), np.complex64)
    heard = Heard(np.concatenate([one, pause, one]))
    assert heard.status.count(("ok", "ok")) == 8 and heard.monitor.transmissions == 2
    assert heard.status.count(("lost", "lost")) <= 10 + 1
    assert len(heard.sound.data()) < 1600 * 20


def test_a_zmq_sender_may_end_and_another_begin(tiny_models, speech_like, tmp_path):
    """The receiver stays, and hears both from their first burst to their last."""
    from soundspring.hier.live import Listener

    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    samples = np.concatenate([bursts(tiny_models, speech_like), np.zeros(1_000_000, np.complex64)])  # 14 superframes
    listener = Listener("reference", f"zmq:{address},pattern=push", tmp_path / "out.wav")
    with listener.running():
        for count in (14, 28):
            top, source = gr.top_block(), blocks.vector_source_c(samples)
            sink = zeromq.push_sink(gr.sizeof_gr_complex, 1, address)
            top.connect(source, sink)
            top.start()
            wait_for(lambda count=count: listener.receiver.bursts.bursts >= count)
            top.stop()
            top.wait()
            del sink, top  # gives the address back
    status = listener.status()
    # The silence between them is a loss of some superframes, as far as a receiver knows.
    assert (status["bursts"], status["packets"] - status["packets_lost"], status["transmissions"]) == (28, 56, 2)


def test_after_an_overflow_the_voice_goes_on(tiny_models, speech_like):
    """A quarter of a second of samples is missing: what was in it is lost, it is no other transmission."""
    one = bursts(tiny_models, np.tile(speech_like, 2))  # 27 superframes
    heard = Heard(np.concatenate([one[: 10 * 200_000 + 90_000], one[12 * 200_000 + 190_000 :]]))
    assert heard.monitor.transmissions == 1 and heard.receiver.bursts.bursts == 27 - 2
    assert heard.status.count(("ok", "ok")) == 27 - 2 and len(heard.status) == 27


def test_the_sound_card_keeps_little_back(monkeypatch):
    """GNU Radio's own setting for ALSA is a third of a second; who chose another keeps it."""
    from soundspring.hier import live

    def periods() -> int:
        return gr.prefs().get_long("audio_alsa", "nperiods", 0)

    for setting, used in (("32", 3), ("12", 12)):
        monkeypatch.setenv(live.CARD_SETTING, setting)
        live._card(lambda *card: None, "")
        assert periods() == used


def test_what_is_silent_behind_the_last_burst_is_not_counted():
    from types import SimpleNamespace

    from soundspring.hier.live import Listener

    counts = link.Counts(keep=100)
    for row in [("ok", "lost")] * 5 + [("lost", "lost")] * 3:
        counts.note(row)
    receiver = SimpleNamespace(entropy=SimpleNamespace(counts=counts))
    listener = SimpleNamespace(receiver=receiver, profile=SimpleNamespace(lookahead=1))  # one is not played yet
    fates, behind = Listener._tally(listener)
    assert (fates["ok"], fates["lost"], behind) == (5, 5, 2) and counts.packets_lost == 11
    counts.note(("ok", "ok"))
    assert Listener._tally(listener) == (counts.fates, 0)


def test_what_was_received_is_written_before_the_end(tiny_models, speech_like, tmp_path, monkeypatch):
    """A machine that is far behind with the sound when all bursts are there and the listener is ended."""
    import soundfile
    from soundspring.blocks.codec_decoder import codec_decoder
    from soundspring.hier.live import Listener

    speak = codec_decoder._speech
    monkeypatch.setattr(codec_decoder, "_speech", lambda self, estimate: (time.sleep(0.1), speak(self, estimate))[1])
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    samples = np.concatenate([bursts(tiny_models, speech_like), np.zeros(100_000, np.complex64)])  # 14 superframes
    listener = Listener("reference", f"zmq:{address},pattern=push", tmp_path / "out.wav")
    top, source = gr.top_block(), blocks.vector_source_c(samples.tolist())
    sink = zeromq.push_sink(gr.sizeof_gr_complex, 1, address)
    top.connect(source, sink)
    with listener.running():
        top.start()
        wait_for(lambda: listener.receiver.bursts.bursts == 14)
        assert len(listener.receiver.entropy.counts.status) < 14 or listener.receiver.codec.waiting
    top.stop()
    top.wait()
    assert listener.status()["packets_lost"] == 0
    assert len(soundfile.read(tmp_path / "out.wav")[0]) >= 14 * 1600 - 320


def test_a_file_is_sent_when_the_radio_has_taken_it(tiny_models, speech_like):
    """Not some time after its last burst was made: a busy machine may need longer to move the samples."""
    from dataclasses import replace
    from types import SimpleNamespace

    from soundspring.hier import live

    sender, taken = live.Sender("reference", "loopback:unheard", speech_like), [0]
    sender.radio.end = replace(sender.radio.end, chain=[SimpleNamespace(nitems_read=lambda port: taken[0])])
    sender.transmitter.modulator.bursts = sender.needed - 1
    assert not sender.done
    sender.transmitter.modulator.bursts += 1
    assert not sender.done
    time.sleep(0.1 + live.DRAIN_S)
    taken[0] = int(0.9 * live.DRAIN_S * 2e6)
    assert not sender.done
    taken[0] = int(1.1 * live.DRAIN_S * 2e6)
    assert sender.done


def test_the_link_runs_through_a_fake_pluto(tiny_models, speech_like, tmp_path):
    """Transmitter, gr-iio, the protocol and back: every packet arrives, with the levels and the 12 bits of a board."""
    pytest.importorskip("gnuradio.iio")
    import fake_pluto
    import soundfile
    from soundspring.hier.live import Listener
    from soundspring.hier.radio import radio_sink
    from soundspring.hier.transmitter import transmitter

    padded = link.superframes(speech_like, profile.load("reference"))
    fake = fake_pluto.board()
    fake.ask("RESET")
    board = f"pluto:{fake.uri},frequency=433.92M,buffer=32768"
    listener = Listener("reference", board, tmp_path / "out.wav")
    top, voice = gr.top_block(), blocks.vector_source_f(padded.ravel().tolist())
    parts = [transmitter(), blocks.stream_mux(gr.sizeof_gr_complex, [len(padded) * 200_000, 1 << 30]),
             radio_sink(f"{board},attenuation=30", 2e6), blocks.null_source(gr.sizeof_gr_complex)]
    top.connect(voice, *parts[:3])
    top.connect(parts[3], (parts[1], 1))
    listener.begin()
    top.start()
    wait_for(lambda: listener.receiver.entropy.counts.status.count(("ok", "ok")) >= len(padded))
    top.stop()
    top.wait()
    assert listener.end()
    status = listener.status()
    assert (status["bursts"], status["packets_lost"], status["transmissions"]) == (len(padded), 0, 1)
    assert status["snr_db"] > 30  # limited by the 12 bits
    whole = link.Link(profile.load("reference"), tiny_models)
    wanted = link.decode(whole, list(link.encode(whole, speech_like)), len(speech_like))
    sound = soundfile.read(tmp_path / "out.wav")[0]
    assert np.abs(sound[:20000] - wanted[:20000]).max() < 2 / 32768
