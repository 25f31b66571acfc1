# SPDX-License-Identifier: GPL-3.0-or-later
"""The golden .ssp files of a frozen tiny model: `python tests/portability/make_ssp.py` makes the files anew.

They change only together with the version (docs/wire-format.md, "Versions"). The model is for ever: `--model` makes
another one, and so loses what the old files prove.
"""

import io
import json
import os
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
MODELS, GOLDEN = HERE / "models.tar.xz", HERE / "golden.json"
SOUND = 14000  # samples: nine superframes of 100 ms


def unpack(folder: Path) -> Path:
    """The frozen models, in `folder`."""
    with tarfile.open(MODELS) as archive:
        archive.extractall(folder)
    return folder


def write_models(folder: Path) -> None:
    """Codec and language model of the real structure, as small as they may be; values of few steps, to be packed."""
    import torch
    from soundspring import weights
    from soundspring.codec.model import Codec, CodecConfig
    from soundspring.lm.model import LmConfig, MaskedLm

    torch.manual_seed(20261123)
    codec = Codec(CodecConfig(latent=4, dim=16, hidden=16, encoder_blocks=1, decoder_blocks=1))
    shrink = 0.9 ** torch.arange(24.0)[:, None, None]
    codec.quantizer.codebooks.copy_(torch.randn(24, 1024, 4).mul(3).round().div(6) * shrink)
    weights.save(folder / "codec", "codec", codec.to_dict(), codec.state_dict())
    tensors, config = weights.load(folder / "codec", "codec")
    books = tensors["quantizer.codebooks"].float()
    lm = MaskedLm(LmConfig(latent=4, dim=16, blocks=2, heads=2, hidden=32, head_hidden=32, learned=1), books)
    state = {k: v.mul(16).round().div(16) for k, v in lm.state_dict().items()}
    state["project"] = torch.randn(state["project"].shape).round()  # logits that are far apart
    state |= {"histogram": torch.randint(1, 9, (24, 1024))}
    weights.save(folder / "lm", "lm", lm.to_dict(), state, codec_sha256=weights.identity(config))


def sound() -> np.ndarray:
    """A harmonic sound that swells, float32 [SOUND]."""
    t = np.arange(SOUND) / 16000
    voice = sum(np.sin(2 * np.pi * 140 * h * t + h) / h for h in range(1, 12))
    noise = np.random.default_rng(3).standard_normal(SOUND) * 0.01
    return (0.2 * voice * np.clip(np.sin(2 * np.pi * 2.3 * t), 0, 1) + noise).astype(np.float32)


def profiles() -> dict:
    """What the files are of: each policy, packets of fixed size and of any, copies."""
    from soundspring.profile import load, replace_profile

    reference = load("reference")
    return {"reference": reference, "chained": load("chained"), "packet20": load("packet20"),
            "independent": replace_profile(reference.with_layers(24), policy="independent", copies=())}


def write_files(models) -> None:
    """The .ssp files beside this one."""
    from soundspring.coding.ssp import SspMeta, write_ssp
    from soundspring.link import Link, encode, to_packets

    for name, profile in profiles().items():
        link = Link(profile, models)
        packets = to_packets(link, list(encode(link, sound())))
        meta = SspMeta(models.sha256, profile.name, SOUND, settings=profile.to_dict())
        write_ssp(HERE / f"{name}.ssp", meta, packets)


def pack_models() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_models(Path(folder))
        with tarfile.open(MODELS, "w:xz", preset=9) as archive:
            for path in sorted(Path(folder).rglob("*.*")):
                info = tarfile.TarInfo(str(path.relative_to(folder)))
                info.size = path.stat().st_size
                archive.addfile(info, io.BytesIO(path.read_bytes()))


def main(argv: list[str]) -> None:
    if "--model" in argv:
        pack_models()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SOUNDSPRING_MODELS"] = str(unpack(Path(folder)))
        from portability import decoded
        from soundspring.link import Models

        models = Models()
        write_files(models)
        files = {p.stem: decoded(p, models) for p in sorted(HERE.glob("*.ssp"))}
    GOLDEN.write_text(json.dumps({"model": models.sha256, "files": files}, indent=1) + "\n")


if __name__ == "__main__":
    sys.path[:0] = [str(HERE.parents[1] / "python"), str(HERE.parents[1] / "benchmarks")]
    main(sys.argv[1:])
