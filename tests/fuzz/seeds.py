# SPDX-License-Identifier: GPL-3.0-or-later
"""Good inputs to begin with, and words to make others of."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import yaml
from soundspring import profile
from soundspring.coding.datagram import pack_datagram
from soundspring.coding.packet import BurstHeader, Packet, pack_burst_header
from targets import CONFIG, PLAN, SIGMF

ROOT = Path(__file__).parents[2]
PROFILES = ROOT / "python" / "soundspring" / "profiles"
ODD = [b"\xff" + np.random.default_rng(n).bytes(30 + n % 2) for n in range(20)]  # see `targets.document`


def seeds(name: str) -> list[bytes]:
    """Inputs that the target reads without an error, or nearly so."""
    return globals().get(f"_{name}", list)()


def words(name: str) -> list[str]:
    """Words of the target's language."""
    if name in ("profiles", "settings"):
        fields = [*profile.load("reference").to_dict(), *profile.load("reference").to_dict()["phy"], "ladder",
                  "payload_bits", "code_bits", "bits_per_symbol", "threshold_db"]
        return [*fields, "layered", "chained", "independent", ".nan", ".inf", "!!bool ", "!!float ", "!!int ",
                "!!timestamp ", "&a ", "*a", "null", "1e999", "[[", "{{"]
    return {
        "plans": ["name", "files", "terms", "channels", "seeds", "seconds", "profile", "schemes", "papr_db", "listen",
                  "snr_db", "loss", "doppler_hz", "delay_spread_ns", "cfo_hz", "awgn", "tdl-a", "opus:*", "codec2",
                  "reference", "voice.wav", ".nan", "!!float ", "&a ", "*a", "**"],
        "sigmf_metadata": ["global", "captures", "core:datatype", "core:sample_rate", "core:num_channels", "cf32_le",
                           "core:frequency", "NaN", "Infinity", "1e999", "null", "[[[["],
        "weights": ["kind", "lm", "sizes", "sha256", "DIGEST", "weights.safetensors", "layers", "entries", "latent",
                    "dim", "blocks", "heads", "hidden", "head_hidden", "learned", "base_layers", "span",
                    "codec_sha256", "F16", "data_offsets", "dtype", "shape", ".int8", ".scale"],
        "radios": ["pluto:", "usrp:", "zmq:", "file:", "loopback", "frequency=", "rate=", "gain=", "agc=", "seed=",
                   "attenuation=", "snr=", "433.92M", "1e400", "nan", "buffer=", "channel=", "clock="],
        "losses": ["bernoulli:", "gilbert:", "wlan", "none", "indices ", "0101", "1e400", "nan"],
        "sounds": ["RIFF", "WAVE", "fmt ", "data", "fLaC", "OggS", "FORM", "AIFF", "RF64", "caff", ".snd", "LIST"],
        "ssp_files": ["SSP1", "model", "profile", "samples", "settings", "sample_rate", "packets", "[[[[", "1e999",
                      "0123456789abcdef"],
    }.get(name, [])


def _packets() -> list[bytes]:
    whole = Packet(0x0123, 7, 1, b"payload").to_bytes()
    return [whole, whole[:-2], Packet(1, 2, 3, b"").to_bytes()]


def _datagrams() -> list[bytes]:
    bits = np.tile(np.array([1, 0, 1], np.uint8), 40)
    return [bytes([n - 1]) + pack_datagram(BurstHeader(2, 3, 4), [bits[: 40 * k] for k in range(n)]) for n in (1, 2, 4)]


def _burst_headers() -> list[bytes]:
    return [np.packbits(pack_burst_header(BurstHeader(1, 2, 3))).tobytes()]


def _ssp_files() -> list[bytes]:
    text = json.dumps({"model": "0123456789abcdef", "profile": "x", "samples": 100, "packets": 1, "settings": {}},
                      separators=(",", ":")).encode()
    packet = Packet(0x0123, 1, 0, b"abc").to_bytes()
    records = [b"\0" + text, b"\1" + packet[:-2], b"\2" + packet, b"\3abc"]
    records += [b"\0" + odd for odd in ODD]
    return [b"".join(bytes([len(r)]) + r for r in records), b"SSP2" + text, b"\0\0SSP1"]


def _profiles() -> list[bytes]:
    return [path.read_bytes() for path in sorted(PROFILES.glob("*.yaml"))] + [
        b"a: &a [x, x, x]\nb: &b [*a, *a, *a]\nname: *b\n", *ODD]


def _settings() -> list[bytes]:
    return [json.dumps(profile.load(name).to_dict()).encode() for name in ("reference", "packet20", "chained")] + ODD


def _sigmf_metadata() -> list[bytes]:
    return [json.dumps(SIGMF).encode(), *ODD]


def _sounds() -> list[bytes]:
    import soundfile

    out = []
    for kind, subtype in (("WAV", "PCM_16"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"), ("FLAC", None),
                          ("AIFF", None), ("AU", None), ("RF64", None), ("CAF", None), ("OGG", None), ("W64", None)):
        memory = io.BytesIO()
        soundfile.write(memory, np.sin(np.arange(64 if kind != "OGG" else 400)), 8000, format=kind, subtype=subtype)
        out.append(memory.getvalue())
    return out


def _weights() -> list[bytes]:
    head = json.dumps({"bias": {"dtype": "F16", "shape": [2], "data_offsets": [0, 4]}}).encode()
    tensors = struct.pack("<Q", len(head)) + head + b"1234"
    whole = struct.pack("<H", len(tensors)) + tensors
    return [whole + yaml.safe_dump(CONFIG).encode(), *(whole + odd for odd in ODD)]


def _plans() -> list[bytes]:
    return [yaml.safe_dump(PLAN).encode(), *ODD]


def _radios() -> list[bytes]:
    return [b"pluto:ip:192.168.2.1,frequency=433.9M,attenuation=30", b"usrp:type=b200,frequency=2.45G,gain=40",
            b"zmq:tcp://127.0.0.1:5555,pattern=push", b"file:capture.sigmf-meta,repeat=yes",
            b"loopback,channel=rayleigh,snr=15,seed=3"]


def _losses() -> list[bytes]:
    return [b"bernoulli:0.1", b"gilbert:0.1,3", b"wlan", b"none", b"indices 2 17 18 # x", b"0 1 0\n01"]


def _pdus() -> list[bytes]:
    rng = np.random.default_rng(1)
    return [bytes([block]) + rng.bytes(60) for block in range(18)]


def _groups() -> list[bytes]:
    rng = np.random.default_rng(2)
    return [bytes([kind, 5, 0, 1, 20]) + rng.bytes(20) + b"\1\x14" + rng.bytes(20) for kind in range(3)]


def _range_code() -> list[bytes]:
    return [np.random.default_rng(3).bytes(n) for n in (20, 60, 200)]


def _coded_headers() -> list[bytes]:
    return [np.random.default_rng(4).integers(-40, 40, 96).astype(np.int8).tobytes()]


def _sealed() -> list[bytes]:
    rng = np.random.default_rng(5)
    return [rng.bytes(n) for n in (60, 300, 300)]


def _samples() -> list[bytes]:
    rng = np.random.default_rng(6)
    return [bytes([3]) + rng.bytes(60) for _ in range(6)]
