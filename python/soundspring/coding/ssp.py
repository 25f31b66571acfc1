# SPDX-License-Identifier: GPL-3.0-or-later
"""The .ssp file: header records and packets one after the other, each found again by its mark and CRC after damage."""
from __future__ import annotations

import json
import logging
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from .packet import MAGIC, VERSION, NotAPacket, Packet, PacketError, WrongModel, model_id, parse_at

MARK = b"SSP1"  # the digit is the file's major version
MAX_SAMPLES = 24 * 3600 * 16000  # a day: a damaged or hostile header must not keep a decoder busy for ever
REPEAT = 512  # packets between two copies of the header
FIRST, AGAIN, LAST = range(3)
_HEAD = struct.Struct(">4sBH")  # mark, kind, length of the JSON; CRC-32 over all of it follows
_LIMIT = 4096
_log = logging.getLogger(__name__)


class SspError(ValueError):
    """A file that cannot be read at all; the message says why and what to do."""


@dataclass(frozen=True)
class SspMeta:
    """What a decoder must know before the first packet.

    model: at least the first 8 bytes of the weights' SHA-256 in hex (16 are stored). samples: of the decoded sound, to
    cut the last superframe. settings: the profile's key numbers (JSON values). packets: filled in by `write_ssp`.
    """

    model: str
    profile: str
    samples: int
    sample_rate: int = 16000
    settings: dict[str, object] = field(default_factory=dict)
    packets: int = 0


@dataclass
class SspStats:
    """packets: read. missing: written but not found. damaged: with a packet's or header's mark but a wrong CRC or
    length.

    foreign: packets of other weights. skipped_bytes: bytes in no record. headers: read. complete: the end was reached.
    """

    packets: int = 0
    missing: int = 0
    damaged: int = 0
    foreign: int = 0
    skipped_bytes: int = 0
    headers: int = 0
    complete: bool = False


def write_ssp(path: str | os.PathLike[str], meta: SspMeta, packets: Sequence[Packet]) -> None:
    """Write the packets, the header before, after and between them. ValueError on packets of another model."""
    model = model_id(meta.model, 16)
    if len(meta.model) < 16:
        raise ValueError(f"meta.model: must have at least 16 hex digits; got {meta.model!r}")
    for packet in packets:
        if packet.model != model:
            raise ValueError(f"packets: must be of the header's model {model:04x}; got {packet.model:04x}")
    fields = asdict(meta) | {"model": meta.model[:16].lower(), "packets": len(packets)}
    parts = [_header(FIRST, fields)]
    for i, packet in enumerate(packets):
        parts.append(packet.to_bytes())
        if (i + 1) % REPEAT == 0:
            parts.append(_header(AGAIN, fields))
    Path(path).write_bytes(b"".join(parts) + _header(LAST, fields))


def read_ssp(path: str | os.PathLike[str], model: str | None = None) -> tuple[SspMeta, list[Packet], SspStats]:
    """Header, the packets that survive in file order, and counts. model: SHA-256 (hex) of the weights at hand.

    Truncation, lost or damaged packets, and garbage are survived and counted; one intact header anywhere is enough.
    Raises SspError without one or for another file version, WrongModel for other weights, OSError.
    """
    data = Path(path).read_bytes()
    meta = _find_header(data)
    if model is not None and model[:16].lower() != meta.model:
        raise WrongModel(f"{path} was made with model {meta.model}, but the model loaded here is {model[:16].lower()}; "
                         "let SOUNDSPRING_MODELS name the models folder of the release that made it")
    packets: list[Packet] = []
    stats, position = SspStats(), 0
    while position < len(data):
        size = _read_record(data, position, model_id(meta.model, 16), packets, stats)
        stats.skipped_bytes += not size
        position += size or 1
    stats.packets, stats.missing = len(packets), max(meta.packets - len(packets), 0)
    if not stats.complete or stats.missing or stats.damaged:
        _log.warning("%s: %d of %d packets read, %d bytes skipped%s", path, stats.packets, meta.packets,
                     stats.skipped_bytes, "" if stats.complete else ", end missing")
    return meta, packets, stats


def _header(kind: int, fields: dict[str, object]) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    if len(text) > _LIMIT:
        raise ValueError(f"meta: must stay within {_LIMIT} bytes of JSON; got {len(text)}")
    body = _HEAD.pack(MARK, kind, len(text)) + text
    return body + struct.pack(">I", zlib.crc32(body))


def _parse_header(data: bytes, start: int) -> tuple[int, SspMeta, int] | None:
    """(kind, meta, size) of the header record at `start`, or None where there is none or it is damaged."""
    if len(data) - start < _HEAD.size or not data.startswith(MARK, start):
        return None
    _, kind, length = _HEAD.unpack_from(data, start)
    end = start + _HEAD.size + length + 4
    if length > _LIMIT or end > len(data):
        return None
    if zlib.crc32(data[start:end - 4]) != int.from_bytes(data[end - 4:end], "big"):
        return None
    try:
        meta = SspMeta(**json.loads(data[start + _HEAD.size:end - 4]))
        model_id(meta.model, 16)
        for name, kind_of in (("model", str), ("profile", str), ("settings", dict)):
            if not isinstance(getattr(meta, name), kind_of):
                raise ValueError(f"{name}: must be a {kind_of.__name__}")
        for name, low, high in (("samples", 0, MAX_SAMPLES), ("sample_rate", 1, 1 << 32), ("packets", 0, 1 << 32)):
            value = getattr(meta, name)
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{name}: must be an integer {low}..{high}")
    except (ValueError, TypeError, RecursionError) as error:
        raise SspError(f"header intact but not understood ({error}); use a newer release") from error
    return kind, meta, end - start


def _find_header(data: bytes) -> SspMeta:
    position = data.find(MARK)
    while position >= 0:
        found = _parse_header(data, position)
        if found:
            return found[1]
        position = data.find(MARK, position + 1)
    if not data:
        raise SspError("the file is empty; write it again with `soundspring encode`")
    if data[:3] == MARK[:3] and data[3:4].isdigit() and data[:4] != MARK:
        raise SspError(f"file version {data[3:4].decode()}, but this program reads {MARK[3:].decode()}; "
                       "read the file with the release that wrote it")
    if MARK in data:
        raise SspError("every copy of the header is damaged, so the model and profile are unknown; get the file again")
    raise SspError("no SSP1 header: this is not a .ssp file, or its start and end are lost; make one with "
                   "`soundspring encode`")


def _read_record(data: bytes, start: int, model: int, packets: list[Packet], stats: SspStats) -> int:
    """Size of the record at `start`, 0 where there is none; adds it to `packets` or to the counts."""
    if data[start] == MARK[0] and data.startswith(MARK, start):
        found = _parse_header(data, start)
        if found is None:
            stats.damaged += 1
            return 0
        stats.headers += 1
        stats.complete |= found[0] == LAST
        return found[2]
    if data[start] != MAGIC | VERSION:
        return 0
    try:
        packet, end = parse_at(data, start)
    except PacketError as error:
        # A chance byte looks like the start of a packet too; only with the model's id behind it is it worth a count.
        stats.damaged += not isinstance(error, NotAPacket) and data[start + 3:start + 5] == model.to_bytes(2, "big")
        return 0
    if packet.model != model:
        stats.foreign += 1
    else:
        packets.append(packet)
    return end - start
