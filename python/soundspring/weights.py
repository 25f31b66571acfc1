# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the trained models are: one folder a model, with config.yaml, CARD.md and weights in safetensors files.

`config.yaml` names the SHA-256 of each weights file under the key `sha256`: {file name: 64 hexadecimal digits}.
"""

import hashlib
import os
from pathlib import Path


def models_dir() -> Path:
    """The folder of all models: $SOUNDSPRING_MODELS, else beside the installed package, else in the source tree."""
    package = Path(__file__).resolve().parent
    given = os.environ.get("SOUNDSPRING_MODELS")
    candidates = [Path(given)] if given else [package / "models", package.parents[1] / "models"]
    for folder in candidates:
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"no models folder: looked for {', '.join(map(str, candidates))}")


def model_names() -> list[str]:
    """The models that can be used: every folder with a config.yaml."""
    return sorted(config.parent.name for config in models_dir().glob("*/config.yaml"))


def find_model(name: str) -> Path:
    """The folder of the model `name`; FileNotFoundError names those there are."""
    folder = models_dir() / name
    if not (folder / "config.yaml").is_file():
        raise FileNotFoundError(f"no model {name!r} in {models_dir()}; there are: {', '.join(model_names()) or 'none'}")
    return folder


def sha256(path: str | Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def faults(folder: Path) -> list[str]:
    """What is wrong with a model's files, a line each; none if every weights file is there and has its SHA-256."""
    import yaml

    wanted = (yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")) or {}).get("sha256")
    if not isinstance(wanted, dict) or not wanted:
        return [f"{folder.name}/config.yaml names no sha256 of its weights"]
    found = []
    for name, digest in wanted.items():
        if not (folder / name).is_file():
            found.append(f"{folder.name}/{name} is missing")
        elif sha256(folder / name) != digest:
            found.append(f"{folder.name}/{name} is damaged or another version (SHA-256 differs)")
    return found
