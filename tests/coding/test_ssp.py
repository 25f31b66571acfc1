# SPDX-License-Identifier: GPL-3.0-or-later
import logging
import re
import struct
import zlib

import numpy as np
import pytest
from soundspring.coding import ssp
from soundspring.coding.packet import Packet, PacketError, WrongModel

SHA = "0123456789abcdef" * 4
META = ssp.SspMeta(SHA, "reference", 16000 * 3, settings={"groups": [3, 12], "superframe": 5, "policy": "layered"})


def packets(n, seed=0, model=0x0123):
    rng = np.random.default_rng(seed)
    return [Packet(model, i // 2 % 65536, i % 2, rng.bytes(int(rng.integers(5, 40)))) for i in range(n)]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "x.ssp"


def write(path, n=40):
    sent = packets(n)
    ssp.write_ssp(path, META, sent)
    return sent, path.read_bytes()


@pytest.mark.parametrize("n", [0, 1, 40, 1100])
def test_round_trip(path, n, caplog):
    sent, data = write(path, n)
    with caplog.at_level(logging.WARNING):
        meta, got, stats = ssp.read_ssp(path, SHA)
    assert got == sent and not caplog.records
    assert meta == ssp.SspMeta(SHA[:16], "reference", 48000, 16000, META.settings, n)
    assert stats == ssp.SspStats(packets=n, headers=2 + n // 512, complete=True)
    overhead = len(data) - sum(len(p.to_bytes()) for p in sent)
    assert overhead < 210 * (2 + n // 512)


def test_truncation_anywhere(path):
    sent, data = write(path)
    first = data.index(sent[0].to_bytes())
    for cut in [*range(first, len(data), 37), len(data) - 1]:
        path.write_bytes(data[:cut])
        meta, got, stats = ssp.read_ssp(path)
        assert got == sent[:len(got)] and not stats.complete and stats.missing == 40 - len(got)
        assert sum(len(p.to_bytes()) for p in got) > min(cut, len(data) - 200) - first - 60
        assert meta.samples == 48000
    path.write_bytes(data[:first - 1])
    with pytest.raises(ssp.SspError, match="damaged|lost"):
        ssp.read_ssp(path)


def test_lost_start_is_made_good_by_the_end(path):
    sent, data = write(path)
    path.write_bytes(data[data.index(sent[9].to_bytes()) + 3:])
    meta, got, stats = ssp.read_ssp(path, SHA)
    assert got == sent[10:] and stats.complete and stats.missing == 10 and meta.profile == "reference"


def test_of_whatever_a_file_lacks_there_is_a_warning(path, caplog):
    """Its end; a packet; or a header alone, of which there are others."""
    sent, data = write(path, 3)
    second, end = sent[1].to_bytes(), data.rindex(ssp.MARK)
    for damaged, text in ((data[:end], "3 of 3 packets.*end missing"), (data.replace(second, b""), "2 of 3 packets"),
                          (data.replace(second, ssp.MARK + second), "3 of 3 packets read, 4 bytes skipped$")):
        caplog.clear()
        path.write_bytes(damaged)
        with caplog.at_level(logging.WARNING):
            ssp.read_ssp(path, SHA)
        assert re.search(text, caplog.text.strip())


def test_garbage_between_packets_and_foreign_packets(path):
    sent, data = write(path, 20)
    rng, parts = np.random.default_rng(1), [data[:data.index(sent[0].to_bytes())]]
    junk = 0
    for i, packet in enumerate(sent):
        noise = rng.bytes(int(rng.integers(0, 60))) + b"SSP1" * (i % 5 == 0) + b"\xa1" * (i % 3)
        junk += len(noise)
        parts += [noise, packet.to_bytes()]
    parts.append(packets(1, model=0x9999)[0].to_bytes())
    path.write_bytes(b"".join(parts))
    _, got, stats = ssp.read_ssp(path)
    assert got == sent and stats.foreign == 1 and stats.skipped_bytes == junk and stats.damaged == 4
    assert stats.missing == 0 and not stats.complete


def test_bit_errors_cost_only_the_packets_they_hit(path):
    sent, data = write(path, 60)
    rng = np.random.default_rng(2)
    lost_total, end = 0, data.rindex(ssp.MARK)
    for _ in range(60):
        hit = bytearray(data)
        for at in rng.integers(0, end, 6):  # the first header may be hit, the last stays
            hit[at] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(hit))
        meta, got, stats = ssp.read_ssp(path)
        assert all(p in sent for p in got) and stats.packets == len(got) >= 60 - 6
        assert stats.missing == 60 - len(got)
        lost_total += stats.missing
    assert lost_total > 100


def test_random_files_give_a_clear_error_or_data(path):
    rng = np.random.default_rng(3)
    data = write(path)[1]
    for _ in range(300):
        pieces = [rng.bytes(int(rng.integers(0, 80))) if rng.random() < 0.5 else
                  data[int(rng.integers(0, len(data))):][:int(rng.integers(0, 500))] for _ in range(4)]
        path.write_bytes(b"".join(pieces))
        try:
            ssp.read_ssp(path)
        except (ssp.SspError, PacketError):
            pass


def test_what_cannot_be_read_says_why(path):
    data = write(path)[1]
    for content, text in ((b"", "empty"), (b"RIFF" + bytes(100), "not a .ssp"), (b"SSP2" + data[4:-200], "version 2"),
                          (data[:30].replace(b"{", b"["), "header is damaged"), (data[:20], "header is damaged")):
        path.write_bytes(content)
        with pytest.raises(ssp.SspError, match=text):
            ssp.read_ssp(path)
    path.write_bytes(data)
    with pytest.raises(WrongModel, match="ffff.*SOUNDSPRING_MODELS"):
        ssp.read_ssp(path, "f" * 64)
    with pytest.raises(OSError):
        ssp.read_ssp(path.parent / "none.ssp")


def test_headers_of_the_future(path):
    for fields in ({"other": 1}, [1], {"model": "x", "profile": "p", "samples": 1}):
        path.write_bytes(ssp._header(0, fields))
        with pytest.raises(ssp.SspError, match="newer release"):
            ssp.read_ssp(path)


def test_writing_nonsense_raises(path):
    for meta, sent, text in ((META, packets(1, model=5), "packets"), (ssp.SspMeta("12345", "p", 1), [], "model"),
                             (ssp.SspMeta(SHA, "p" * 5000, 1), [], "meta")):
        with pytest.raises(ValueError, match=text):
            ssp.write_ssp(path, meta, sent)
    assert not path.exists()


@pytest.mark.parametrize("text", [b"[" * 2000, b'{"model":["a","b"],"profile":"x","samples":1}',
                                  b'{"model":"0123456789abcdef","profile":5,"samples":1}',
                                  b'{"model":"0123456789abcdef","profile":"x","samples":1,"settings":[]}',
                                  b'{"model":"0123456789abcdef","profile":"x","samples":1e400}'])
def test_a_header_with_a_right_checksum_and_wrong_contents(path, text):
    body = struct.pack(">4sBH", ssp.MARK, 0, len(text)) + text
    path.write_bytes(body + struct.pack(">I", zlib.crc32(body)))
    with pytest.raises(ssp.SspError, match="not understood"):
        ssp.read_ssp(path)
