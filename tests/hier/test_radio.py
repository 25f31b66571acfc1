# SPDX-License-Identifier: GPL-3.0-or-later
"""Radios and their stand-ins move samples unchanged, at the right rate, without hardware."""

import json
import socket
import time

import numpy as np
import pytest

gr = pytest.importorskip("gnuradio.gr")
from gnuradio import blocks  # noqa: E402
from soundspring.hier import radio_loopback, sigmf  # noqa: E402
from soundspring.hier.radio import radio_sink, radio_source, resampler  # noqa: E402
from soundspring.hier.radio_file import recorder  # noqa: E402

RATE = 2e6


def signal(count: int = 20000) -> np.ndarray:
    rng = np.random.default_rng(5)
    return (0.1 * (rng.standard_normal(count) + 1j * rng.standard_normal(count))).astype(np.complex64)


def run(*rows) -> None:
    """Run flowgraphs, one for each row, side by side to their end."""
    tops = []
    for row in rows:
        tops.append(gr.top_block())
        tops[-1].connect(*row)
    for top in tops:
        top.start()
    for top in tops:
        top.wait()


def received(source, count: int) -> tuple:
    """A row that ends after `count` samples, and where they lie then."""
    out = blocks.vector_sink_c()
    return (source, blocks.head(gr.sizeof_gr_complex, count), out), out


def endless(samples: np.ndarray) -> list:
    return [blocks.vector_source_c(samples.tolist(), True)]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def through(sender: str, receiver: str, count: int) -> np.ndarray:
    """What comes out of one radio while the other sends the signal over and over."""
    row, out = received(radio_source(receiver, RATE), count)
    sink = radio_sink(sender, RATE)
    top, other = gr.top_block(), gr.top_block()
    top.connect(*row)
    other.connect(*endless(signal()), sink)
    top.start()
    other.start()
    top.wait()
    other.stop()
    other.wait()
    return np.array(out.data(), np.complex64)


@pytest.mark.parametrize("options", ["", ",pattern=push", ",pattern=push,pace=no"])
def test_zmq_moves_samples(options):
    address = f"zmq:tcp://127.0.0.1:{free_port()}"
    got = through(address + options, address + options.replace(",pace=no", ""), 50000)
    sent = np.tile(signal(), 8)
    start = next(i for i in range(20000) if np.array_equal(sent[i : i + 40], got[:40]))
    first = min(20000, len(got))
    assert np.array_equal(got[:first], sent[start : start + first])


def test_zmq_sends_at_the_pace_of_a_radio():
    port, begin = free_port(), time.monotonic()
    through(f"zmq:tcp://127.0.0.1:{port},rate=1M", f"zmq:tcp://127.0.0.1:{port},rate=1M", int(0.6 * RATE))
    assert time.monotonic() - begin > 0.5


def test_zmq_explains_a_place_that_cannot_be():
    with pytest.raises(OSError, match="tcp://127.0.0.1:5555"):
        radio_sink("zmq:nowhere", RATE)


def test_loopback_gives_back_what_was_sent():
    got = through("loopback:a", "loopback:a", 30000)
    assert np.array_equal(got[:20000], signal())


def test_loopback_hands_on_at_once_what_comes_after_silence():
    """GNU Radio calls a source that gave nothing only after a quarter of a second, unless it is told to."""
    air = radio_loopback._airs.setdefault("silent", radio_loopback.Air())
    source, sink = radio_source("loopback:silent", RATE).end.chain[0], blocks.null_sink(gr.sizeof_gr_complex)
    top, delays = gr.top_block(), []
    top.connect(source, sink)
    top.start()
    for count in range(1, 7):
        time.sleep(2 * radio_loopback.WAIT_S)
        begin = time.monotonic()
        air.put(signal(100))
        while sink.nitems_read(0) < 100 * count and time.monotonic() - begin < 30:
            time.sleep(0.001)
        delays.append(time.monotonic() - begin)
    top.stop()
    top.wait()
    assert np.median(delays) < 0.1


def test_loopback_has_the_simulated_channel():
    got = through("loopback:b", "loopback:b,snr=10,cfo=5k,seed=2", 20000)
    turned = got * np.exp(-2j * np.pi * 5e3 * np.arange(20000) / RATE)
    noise = turned - signal()
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(0.1 * 2, rel=0.05)  # Es/N0 10 dB, twice the critical rate


@pytest.mark.parametrize(("form", "error"), [("ci16_le", 1 / 32767), ("cf32_le", 0)])
def test_a_recording_comes_back(tmp_path, form, error):
    path = tmp_path / "x.sigmf-meta"
    sink = radio_sink(f"file:{path},format={form},frequency=100M,level=0", RATE)
    run((blocks.vector_source_c(signal().tolist()), sink))
    sink.close()
    meta = json.loads(path.read_text())
    assert meta["global"]["core:datatype"] == form and meta["global"]["core:sample_rate"] == RATE
    assert meta["captures"][0]["core:frequency"] == 100e6 and meta["captures"][0]["core:datetime"].endswith("Z")
    out = blocks.vector_sink_c()
    run((radio_source(f"file:{path}", RATE), out))
    got = np.array(out.data(), np.complex64)
    assert np.abs(got[:20000] - signal()).max() <= error
    assert len(got) > 20000 and not got[20000:].any()  # silence, so that the last burst is seen to be over


def test_a_recording_at_another_rate_is_resampled(tmp_path):
    tone = 0.5 * np.exp(2j * np.pi * 50e3 * np.arange(60000) / 3e6)
    chain, close = recorder(tmp_path / "x.sigmf-meta", 3e6, form="cf32_le")
    run((blocks.vector_source_c(tone.tolist()), *chain))
    close()
    row, out = received(radio_source(f"file:{tmp_path}/x.sigmf-meta", RATE), 30000)
    run(row)
    got = np.array(out.data(), np.complex64)[5000:]
    assert np.angle(np.vdot(got[:-1], got[1:])) == pytest.approx(2 * np.pi * 50e3 / RATE, rel=1e-4)
    assert np.abs(got).mean() == pytest.approx(0.5, rel=0.01)


def test_sigmf_metadata_keeps_to_the_schema(tmp_path):
    reference = pytest.importorskip("sigmf")
    sigmf.write(tmp_path / "x.sigmf-meta", "ci16_le", 1e6, 1e8, "speech").data.write_bytes(bytes(400))
    theirs = reference.fromfile(str(tmp_path / "x.sigmf-meta"))
    theirs.validate()
    assert theirs.sample_count == 100


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"core:datatype": "rf32_le"}, "rf32_le"),
        ({"core:sample_rate": None}, "core:sample_rate"),
        ({"core:num_channels": 2}, "2 channel"),
    ],
)
def test_recordings_that_cannot_be_read(tmp_path, change, says):
    path = tmp_path / "x.sigmf-meta"
    recording = sigmf.write(path, "ci16_le", 1e6)
    recording.data.write_bytes(bytes(400))
    meta = json.loads(path.read_text())
    meta["global"] |= change
    path.write_text(json.dumps(meta))
    with pytest.raises(ValueError, match=says):
        sigmf.read(path)


def test_recordings_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="X.sigmf-meta"):
        sigmf.read(tmp_path / "x.wav")
    with pytest.raises(FileNotFoundError, match="pair"):
        sigmf.read(tmp_path / "x.sigmf-meta")
    sigmf.write(tmp_path / "x.sigmf-meta", "ci16_le", 1e6).data.write_bytes(b"")
    with pytest.raises(ValueError, match="no samples"):
        radio_source(f"file:{tmp_path}/x.sigmf-meta", RATE)
    (tmp_path / "x.sigmf-meta").write_text("{}")
    with pytest.raises(ValueError, match="not SigMF"):
        sigmf.read(tmp_path / "x.sigmf-meta")


@pytest.mark.parametrize(("ratio", "kind"), [(1.0, 0), (2 / 3, "rational"), (1.00003, "pfb")])
def test_the_resampler_that_fits(ratio, kind):
    made = resampler(ratio)
    assert not made if not kind else kind in made[0].name() + type(made[0]).__module__ + type(made[0]).__name__


def test_a_rate_that_cannot_be():
    with pytest.raises(ValueError, match="rate"):
        radio_source("loopback", 0)


def test_zmq_without_a_pace_must_not_drop():
    with pytest.raises(ValueError, match="pattern=push"):
        radio_sink(f"zmq:tcp://127.0.0.1:{free_port()},pace=no", RATE)


@pytest.mark.parametrize(("where", "key", "value"), [
    ("global", "core:datatype", []), ("global", "core:datatype", "cf64_le"), ("global", "core:sample_rate", "NaN"),
    ("global", "core:sample_rate", 10**400), ("global", "core:sample_rate", True), ("global", "core:num_channels", 2),
    ("captures", "core:frequency", "high"), ("captures", "core:frequency", float("inf"))])
def test_sigmf_metadata_of_the_wrong_kind_is_refused(tmp_path, where, key, value):
    import json

    path = tmp_path / "x.sigmf-meta"
    sigmf.write(path, "ci16_le", 1e6, 1e8).data.write_bytes(bytes(40))
    content = json.loads(path.read_text())
    (content["captures"][0] if where == "captures" else content[where])[key] = float(value) if value == "NaN" else value
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="x.sigmf-meta"):
        sigmf.read(path)


def test_sigmf_metadata_nested_too_deep(tmp_path):
    (tmp_path / "x.sigmf-data").write_bytes(bytes(40))
    (tmp_path / "x.sigmf-meta").write_text("[" * 100_000)
    with pytest.raises(ValueError, match="not SigMF"):
        sigmf.read(tmp_path / "x.sigmf-meta")
