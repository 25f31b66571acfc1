# SPDX-License-Identifier: GPL-3.0-or-later
"""What reads bytes that others made, each as a function of bytes: it returns, or it fails.

Errors that a reader promises are caught here; any other exception, a hang or a huge allocation is a fault. Where a
check sum would stop all that is not crafted, a target also reads the same bytes with the sum put right.
"""

from __future__ import annotations

import binascii
import copy
import functools
import importlib
import importlib.util
import io
import json
import os
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from soundspring import profile
from soundspring.coding import datagram, packet, ssp
from soundspring.coding.crc import crc, to_bits
from soundspring.coding.range_coder import Decoder, Encoder

TARGETS: dict[str, Callable[[bytes], None]] = {}
FOLDER = Path(__file__).parent


def target(function: Callable[[bytes], None]) -> Callable[[bytes], None]:
    """Register under its own name."""
    TARGETS[function.__name__] = function
    return function


def corpus(name: str) -> dict[str, bytes]:
    """The inputs that are kept for a target: name -> bytes."""
    path = FOLDER / "corpus" / f"{name}.zip"
    if not path.exists():
        return {}
    with zipfile.ZipFile(path) as archive:
        return {entry: archive.read(entry) for entry in archive.namelist()}


class Bytes:
    """Takes values off the front of an input; zeros follow its end."""

    def __init__(self, data: bytes):
        self._file = io.BytesIO(data)

    def take(self, n: int) -> bytes:
        return self._file.read(n).ljust(n, b"\0")

    def number(self, width: int = 1, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def pick(self, choices):
        return choices[self.number() % len(choices)]

    def some(self) -> bytes:
        """As many bytes as the next one says, fewer at the end."""
        return self._file.read(self.number())

    def rest(self) -> bytes:
        return self._file.read()


@functools.lru_cache
def place() -> Path:
    """A folder in memory for readers that want a file."""
    memory = Path("/dev/shm")
    keep = tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None)
    place.keep = keep  # goes with the process
    return Path(keep.name)


def file(name: str, data: bytes) -> Path:
    path = place() / name
    path.write_bytes(data)
    return path


# --- documents: a mapping that the reader knows, with something in it that it does not expect ------------------------

ODD = (None, True, False, "", "x", "1.5", [], {}, [[]], {"x": {}}, -1, 0, 1, 2, 3, 2**31, 2**63, 10**20, 10**400, 0.5,
       -0.5, 1e-300, 1e300, float("nan"), float("inf"), "a" * 300, "\0", [1, 2, 3], [None], ["x", 1], {1: 2})


def document(data: bytes, base: dict, dump: Callable[[object], str]) -> bytes:
    """The bytes themselves; behind a byte 255, `base` with some of its values replaced, left out or doubled."""
    if data[:1] != b"\xff":
        return data
    source, out = Bytes(data[1:]), copy.deepcopy(base)
    for _ in range(1 + source.number() % 4):
        node = out
        while True:
            keys = list(node) if isinstance(node, dict) else list(range(len(node)))
            if not keys:
                break
            key = source.pick(keys)
            if isinstance(node[key], dict | list) and source.number() % 4:
                node = node[key]
                continue
            _disturb(source, node, key)
            break
    try:
        return dump(out).encode("utf-8", "surrogatepass")
    except (ValueError, TypeError, RecursionError):  # a number with more digits than Python writes, keys of two types
        return b""


def _disturb(source: Bytes, node, key) -> None:
    what = source.number() % 8
    if what == 0:
        del node[key]
    elif what == 1 and isinstance(node, dict):
        node[source.pick(ODD[3:6] + (1, None))] = source.pick(ODD)
    elif what == 2 and isinstance(node, list):
        node.append(node[key])  # in YAML an alias
    elif what == 3:
        node[key] = source.number(4, signed=True)
    elif what == 4:
        node[key] = struct.unpack("<d", source.take(8))[0]
    elif what == 5:
        deep: object = 1
        for _ in range(source.number() * 8):
            deep = [deep]
        node[key] = deep
    else:
        node[key] = source.pick(ODD)


# --- packets and headers ---------------------------------------------------------------------------------------------


@target
def packets(data: bytes) -> None:
    """Packets of bytes, as they are and with the CRC put right."""
    for own in (data, data + struct.pack(">H", binascii.crc_hqx(data, 0xFFFF))):
        try:
            got = packet.parse(own)
        except packet.PacketError:
            continue
        assert got.to_bytes() == own and len(got.bits) == 8 * len(got.payload)


@target
def datagrams(data: bytes) -> None:
    """Datagrams of 1 to 8 payloads."""
    count, body = 1 + data[0] % 8 if data else 1, data[1:]
    try:
        header, payloads = datagram.unpack_datagram(body, count)
    except packet.PacketError:
        return
    assert len(payloads) == count and sum(map(len, payloads)) <= 8 * len(body)
    again = datagram.unpack_datagram(datagram.pack_datagram(header, payloads), count)
    assert again[0] == header
    assert all(np.array_equal(a, b) for a, b in zip(again[1][:-1], payloads[:-1], strict=True))


@target
def burst_headers(data: bytes) -> None:
    """The bits of a burst header, as they are and with the CRC put right."""
    bits = np.unpackbits(np.frombuffer(data[:8], np.uint8))
    for own in (bits, np.concatenate([bits[:19], to_bits(crc(bits[:19], 6), 6)])):
        try:
            header = packet.parse_burst_header(own)
        except packet.PacketError:
            continue
        assert np.array_equal(packet.pack_burst_header(header), own[:25])


@functools.lru_cache
def _header_code():
    from soundspring.burst_header import HeaderCode

    return HeaderCode(96)


@target
def coded_headers(data: bytes) -> None:
    """LLRs of a coded burst header, not all of them numbers."""
    raw = np.frombuffer(data[:96].ljust(96, b"\0"), np.int8).astype(np.float32)
    llr = np.select([raw == 127, raw == -127, raw == -128], [np.inf, -np.inf, np.nan], raw)
    try:
        header = _header_code().decode(llr.astype(np.float32))
    except packet.PacketError:
        return
    assert 0 <= header.profile < 8 and 0 <= header.model < 64 and 0 <= header.sequence < 256


@target
def range_code(data: bytes) -> None:
    """Any bits decode under any PMFs; where they end clean, the coder makes the same bits of the same symbols."""
    source = Bytes(data)
    tables = [np.cumsum([0, *(1 + source.number(2) for _ in range(1 + source.number() % 16))])
              for _ in range(1 + source.number() % 12)]
    bits = np.unpackbits(np.frombuffer(source.rest()[:64], np.uint8))
    coder, again = Decoder(bits), Encoder()
    for table in tables:
        symbol = coder.decode(table)
        assert 0 <= symbol < len(table) - 1
        again.encode(table[symbol], table[symbol + 1] - table[symbol], table[-1])
    if coder.ends_clean():
        assert np.array_equal(again.finish(), np.trim_zeros(bits, "b"))


def _models():
    """Tiny models, made once a process; blocks find them too."""
    os.environ["SOUNDSPRING_MODELS"] = str(place() / "models")
    return _tiny_models()


@functools.lru_cache
def _tiny_models():
    import torch
    from soundspring.link import Models

    torch.set_num_threads(1)
    spec = importlib.util.spec_from_file_location("tiny_models", FOLDER.parent / "conftest.py")
    spec.loader.exec_module(module := importlib.util.module_from_spec(spec))
    module.write_tiny_models(place() / "models")
    models = Models()
    models.load()
    return models


@functools.lru_cache
def _link(policy: str, copies: tuple[int, ...], elastic: bool):
    from soundspring.link import Link

    plain = profile.load("packet20")
    changes = dict(groups=(2, 4), superframe=2, schedule=((0,), (1,)), policy=policy, copies=copies, phy=None)
    if elastic:
        own = {"payload_bits": 100, "code_bits": 200, "bits_per_symbol": 2}
        changes["phy"] = profile.from_dict(_reference() | {
            "phy": {"header_code_bits": 96, "packets": (own, own)}}).phy
    return Link(profile.replace_profile(plain, window=1 if copies else 2, **changes), _models())


@target
def groups(data: bytes) -> None:
    """Payloads of consecutive superframes, by the tiny model: every packet has a fate, and only good ones have tokens.

    The tokens that are checked by too few bits may be wrong, never out of range.
    """
    source = Bytes(data)
    link = _link(*source.pick([("layered", (), False), ("chained", (), False), ("independent", (2,), True)]))
    decoder, sequence = link.entropy_decoder(), source.number(2)
    for _ in range(2):
        payloads = [np.unpackbits(np.frombuffer(source.some()[:40], np.uint8)) if source.number() % 4 else None
                    for _ in range(2)]
        got = decoder.push(sequence, payloads)
        assert len(got.status) == 2 and got.tokens.min() >= 0 and got.tokens.max() < 1024
        for (start, stop), fate in zip(((0, 2), (2, 4)), got.status, strict=True):
            assert fate in ("ok", "lost", "undecodable", "desync")
            assert fate == "ok" or not got.received[:, start:stop].any()
        sequence += 1 + source.number() % 3


@target
def sealed(data: bytes) -> None:
    """What two transmissions sealed, in any order, again, changed on the way: a packet opens once, and as it was sent.

    The tags are of 8 bytes, so that no forged one is right by chance.
    """
    from soundspring.coding.seal import Opener, Refused, Sealer

    source, key = Bytes(data), bytes(16)
    encrypt = bool(source.number() % 2)
    senders = [Sealer(key, 8, encrypt) for _ in range(2)]
    opener, sent, opened = Opener(key, 8, encrypt), [], set()
    next_one = [source.number(2), source.number(2)]
    for _ in range(4 + source.number() % 60):
        own, kind = source.number() % 2, source.number() % 6
        if kind < 3 or not sent:
            next_one[own] += 1 + (source.number() % 4 if kind == 2 else 0)
            bits = np.unpackbits(np.frombuffer(source.some()[:8] or b"x", np.uint8))
            sent.append((own, next_one[own], bits, senders[own].seal(next_one[own], 0, bits)))
        which = sent[-1 if kind < 3 else source.number() % len(sent)]
        arrived, shift = which[3].copy(), 0
        if kind == 4:
            arrived[source.number() % len(arrived)] ^= 1
        if kind == 5:
            shift = 1 + source.number() % 255
        try:
            got = opener.open(which[1] + shift, 0, arrived)
        except Refused:
            continue
        assert kind < 4 and np.array_equal(got, which[2]) and which[:2] not in opened
        opened.add(which[:2])


@functools.lru_cache
def _air():
    """The link of the profile `reference`, its frame coder, the payloads of a burst and its samples."""
    from soundspring.link import FrameCoder, RadioLink

    link = RadioLink(profile.load("reference"), None)
    coder = FrameCoder(link.profile, "00" * 32)
    payloads = [np.arange(p.payload_bits) % 3 % 2 for p in link.profile.phy.packets]
    return link, coder, payloads, link.modulator().modulate(*coder.encode(7, payloads))


@target
def samples(data: bytes) -> None:
    """Samples of any bits, not all of them numbers, pieces of bursts; then silence and a burst, which is received."""
    source, parts = Bytes(data), []
    link, coder, payloads, burst = _air()
    receiver = link.receiver(coder)
    for _ in range(1 + source.number() % 4):
        size, kind = source.number(2) % 3000, source.number() % 4
        raw = np.resize(np.frombuffer(source.some() or b"\0", np.uint8), 8 * size)
        if kind == 0:
            parts.append(raw.view(np.complex64))
        elif kind == 1:
            parts.append((raw[::8].astype(np.float32) - 128).astype(np.complex64))
        elif kind == 2:
            parts.append(burst[: source.number(2) % len(burst)] * np.float32(2.0) ** (source.number() % 40 - 20))
        else:
            parts.append(burst[source.number(2) % len(burst) :])
    quiet = np.zeros(4 * len(burst), np.complex64)
    found = [b for part in (*parts, quiet, burst, quiet) for b in receiver.push(part.astype(np.complex64))]
    found = [b for b in [*found, *receiver.flush()] if b.header]
    assert found and found[-1].header.sequence == 7
    assert all(np.isfinite(b.symbols).all() and np.isfinite(b.noise_var).all() for b in found)
    got = [coder.decode(b.symbols, b.noise_var) for b in found][-1]
    assert all(bits is not None and np.array_equal(bits, sent) for bits, sent in zip(got, payloads, strict=True))


# --- files -----------------------------------------------------------------------------------------------------------


SSP = {"model": "0123456789abcdef", "profile": "x", "samples": 100, "sample_rate": 16000, "packets": 1, "settings": {}}


@target
def ssp_files(data: bytes) -> None:
    """.ssp files of any bytes, and of records whose check sums are right."""
    source, parts = Bytes(data), []
    while len(parts) < 8 and (body := source.some()):
        kind, text = body[0] % 4, body[1:]
        if kind == 0:
            text = document(text, SSP, json.dumps)
            head = struct.pack(">4sBH", ssp.MARK, 0, len(text)) + text
            parts.append(head + struct.pack(">I", zlib.crc32(head)))
        elif kind == 1:
            parts.append(text + struct.pack(">H", binascii.crc_hqx(text, 0xFFFF)))
        elif kind == 2:
            parts.append(text)
        else:
            parts.append(packet.Packet(0x0123, 1, 0, text).to_bytes())
    for own in (data, b"".join(parts)):
        try:
            meta, found, stats = ssp.read_ssp(file("x.ssp", own))
        except (ssp.SspError, packet.PacketError):
            continue
        assert stats.packets == len(found) and stats.skipped_bytes <= len(own)
        assert 0 <= meta.samples <= ssp.MAX_SAMPLES
        assert isinstance(meta.profile, str) and isinstance(meta.settings, dict)


def _use(ladder: profile.Ladder) -> None:
    """What both ends ask of a ladder before anything is sent."""
    from soundspring.link import RadioLink

    if ladder.common.phy is not None:
        link = RadioLink(ladder, None)
        assert 0 < link.burst_samples * 16000 <= link.profile.superframe_samples * link.profile.phy.rate
    assert profile.from_dict(ladder.common.to_dict()) == ladder.common


@target
def profiles(data: bytes) -> None:
    """YAML files of profiles and ladders."""
    text = document(data, _ladder() if len(data) % 2 else _reference(), yaml.safe_dump)
    try:
        _use(profile.load_ladder(file("x.yaml", text)))
    except ValueError:
        pass


@functools.lru_cache
def _reference() -> dict:
    return json.loads(json.dumps(profile.load("reference").to_dict()))  # lists in the place of tuples


@functools.lru_cache
def _ladder() -> dict:
    return yaml.safe_load((Path(profile.__file__).parent / "profiles" / "wide.yaml").read_text())


@target
def settings(data: bytes) -> None:
    """Profiles as they stand in the header of a .ssp file."""
    try:
        text = document(data, _reference(), json.dumps)
        _use(profile.load_ladder(profile.from_dict(json.loads(text))))
    except (ValueError, RecursionError):  # the latter json's own; readers of files turn it into theirs
        pass


SIGMF = {"global": {"core:datatype": "cf32_le", "core:sample_rate": 1e6, "core:num_channels": 1},
         "captures": [{"core:frequency": 433e6}], "annotations": []}


@target
def sigmf_metadata(data: bytes) -> None:
    """Metadata of SigMF recordings."""
    from soundspring.hier import sigmf

    file("x.sigmf-data", b"12345678")
    try:
        text = document(data, SIGMF, json.dumps)
        found = sigmf.read(file("x.sigmf-meta", text))
    except ValueError:
        return
    assert found.samples in (1, 2) and 0 < found.rate < np.inf
    assert found.frequency is None or isinstance(found.frequency, float)


@target
def sounds(data: bytes) -> None:
    """Sound files of any format."""
    from soundspring.audio import io as audio

    try:
        x, info = audio.read(file("x.wav", data))
    except ValueError:
        return
    assert x.ndim == 1 and x.size and np.isfinite(x).all() and np.abs(x).max() <= 1 and info.rate > 0


CONFIG = {"kind": "lm", "sizes": {"layers": 24, "entries": 1024, "latent": 4, "dim": 8, "blocks": 1, "heads": 2,
          "hidden": 8, "head_hidden": 8, "learned": 2, "base_layers": 3, "span": 4},
          "sha256": {"weights.safetensors": "DIGEST"}}


@target
def weights(data: bytes) -> None:
    """A model's config.yaml and weights that bear the checksum it names."""
    from soundspring import weights as reader
    from soundspring.lm.model import LmConfig, MaskedLm

    source = Bytes(data)
    tensors = source.take(source.number(2) % 400)
    folder = place() / "model"
    folder.mkdir(exist_ok=True)
    (folder / "weights.safetensors").write_bytes(tensors)
    digest = reader.sha256(folder / "weights.safetensors").encode()
    text = document(source.rest(), CONFIG, yaml.safe_dump)
    (folder / "config.yaml").write_bytes(text.replace(b"DIGEST", digest))
    try:
        found, config = reader.load(folder, "lm")
        reader.identity(config)
        reader.build(folder, config, found, lambda sizes: MaskedLm(LmConfig(**sizes), _books()))
    except (ValueError, FileNotFoundError):
        pass


@functools.lru_cache
def _books():
    import torch

    return torch.zeros(24, 1024, 4)


PLAN = {"name": "x", "files": ["voice.wav"], "seeds": [0, 1], "seconds": 2,
        "channels": [{"name": "awgn", "snr_db": [0, 5], "loss": ["none", "bernoulli:0.1"], "cfo_hz": 0}],
        "terms": {"fair": {"profile": "reference", "papr_db": 9, "schemes": ["soundspring", "codec2:*"],
                           "listen": [5]}}}


@target
def plans(data: bytes) -> None:
    """Plans of sweeps."""
    from soundspring.comparison.plan import load_plan

    file("voice.wav", b"")
    try:
        plan = load_plan(file("plan.yaml", document(data, PLAN, yaml.safe_dump)))
    except ValueError:
        return
    assert plan.contests and plan.files and plan.seeds
    for _, cell in zip(range(3), plan.cells(), strict=False):
        assert cell.key


@target
def radios(data: bytes) -> None:
    """Addresses of radios."""
    from soundspring.hier.radio_address import parse

    for direction in ("source", "sink"):
        try:
            address = parse(data.decode("utf-8", "replace"), direction)
        except ValueError:
            continue
        assert all(np.isfinite(v) for v in address.options.values() if isinstance(v, float))


@target
def losses(data: bytes) -> None:
    """Names of loss processes, and traces."""
    from soundspring.channel.loss import parse_loss

    for spec in (data.decode("utf-8", "replace"), str(file("trace", data))):
        try:
            process = parse_loss(spec)
        except ValueError:
            continue
        assert process.step(7).shape == (7,) and 0 <= process.loss_rate <= 1


# --- message ports ---------------------------------------------------------------------------------------------------

ENTRIES = ("sequence", "group", "profile", "ok", "due", "received", "sent", "layers", "gain", "latent", "noise_var",
           "snr_db", "rung", "frames")
VECTORS = (np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.float32, np.float64, np.complex64,
           np.complex128)


@functools.lru_cache
def _blocks() -> dict:
    """Every block with a message port, on tiny models; those that make a stream, with what takes some of it."""
    _models()
    b = {name: getattr(importlib.import_module(f"soundspring.blocks.{name}"), name) for name in (
        "burst_modulator", "codec_decoder", "concealer", "entropy_decoder", "entropy_encoder", "jscc_decoder",
        "ldpc_decoder", "ldpc_encoder", "packet_formatter", "packet_loss", "packet_parser", "qam_mapper",
        "rate_controller", "soft_demapper")}
    made = {name: make() for name, make in b.items()}
    made["packet_loss_by_place"] = b["packet_loss"]("gilbert:0.1,3", groups=2)
    made["codec_decoder_with_playout"] = b["codec_decoder"](playout_ms=60)
    made["entropy_decoder_of_a_ladder"] = b["entropy_decoder"]("wide")
    modulator = made["burst_modulator"]
    modulator.nitems_written, modulator.add_item_tag = lambda _: 0, lambda *_: None  # there is no flowgraph
    for name in ("codec_decoder", "codec_decoder_with_playout", "jscc_decoder"):
        made[name].nitems_written = lambda _: 0
    return made


def _value(source: Bytes, depth: int = 0):
    """Anything that a message can hold."""
    import pmt

    kind = source.number() % 16
    if kind < 5:
        return pmt.from_long(source.number(1 + kind, signed=True))
    if kind == 5:
        return pmt.from_long(source.number(8, signed=True))
    if kind == 6:
        return pmt.from_uint64(source.number(8))
    if kind == 7:
        return pmt.from_double(struct.unpack("<d", source.take(8))[0])
    if kind == 8:
        return pmt.intern(source.some()[:16].hex())
    if kind == 9:
        return source.pick([pmt.PMT_NIL, pmt.PMT_T, pmt.PMT_F, pmt.PMT_EOF, pmt.make_dict()])
    if kind == 10:
        return pmt.from_complex(complex(source.number(), np.nan))
    if kind == 11 and depth < 3:
        return pmt.cons(_value(source, depth + 1), _value(source, depth + 1))
    if kind == 12 and depth < 3:
        return pmt.make_tuple(_value(source, depth + 1), _value(source, depth + 1))
    if kind == 13 and depth < 3:
        return pmt.make_vector(source.number() % 4, _value(source, depth + 1))
    if kind == 14 and depth < 3:
        return pmt.dict_add(pmt.make_dict(), pmt.from_long(source.number()), _value(source, depth + 1))
    return _vector(source)


def _vector(source: Bytes):
    """A uniform vector of any type, often of a length that some block wants."""
    import pmt

    dtype = source.pick(VECTORS)
    size = source.pick([0, 1, 2, 5, 6, 8, 16, 60, 80, 144, 480, 1008, source.number(), source.number(2) % 3000])
    data = np.resize(np.frombuffer(source.some() or b"\0", np.uint8), size)
    if source.number() % 2:
        return pmt.to_pmt(np.resize(data, size * dtype().itemsize).view(dtype))  # any bits, NaN among them
    return pmt.to_pmt((data.astype(np.int64) % source.pick([2, 256, 24])).astype(dtype))


def _message(source: Bytes):
    import pmt

    if source.number() % 8 == 0:
        return _value(source)
    meta = pmt.make_dict() if source.number() % 8 else _value(source)
    for _ in range(source.number() % 5):
        name, value = pmt.intern("soundspring_" + source.pick(ENTRIES)), source.number()
        try:
            meta = pmt.dict_add(meta, name, pmt.from_long(value % 12) if value % 2 else _value(source))
        except ValueError:  # no dictionary
            return meta
    return pmt.cons(meta, _vector(source))


@target
def pdus(data: bytes) -> None:
    """Messages of any kind at the ports of all blocks, one block an input, and what they play then.

    A block drops with a ValueError what it cannot use. It must not keep more and more of what never becomes complete.
    """
    source = Bytes(data)
    block = source.pick(list(_blocks().values()))
    for _ in range(1 + source.number() % 4):
        message = _message(source)
        for take in (block.take, getattr(block, "_switch", block.take)):
            try:
                take(message)
            except ValueError:
                pass
    _play(block)
    assert len(getattr(block, "_open", ())) <= 700 and len(getattr(block, "_switches", ())) <= 1100


def _play(block) -> None:
    """Let a block that makes a stream make some."""
    queue = getattr(block, "_queue", None)
    if queue is None:
        return
    for _ in range(4):
        is_radio = hasattr(block, "samples_per_burst")
        out = np.zeros(8192, np.complex64 if is_radio else np.float32)
        made = block.work([], [out])
        assert np.isfinite(out[:made]).all() and (is_radio or np.abs(out[:made]).max(initial=0) <= 1)
        if not made:
            break
