# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the trained models are: one folder a model, with config.yaml, CARD.md and weights in safetensors files.

`config.yaml` names the SHA-256 of each weights file under the key `sha256`: {file name: 64 hexadecimal digits}.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module


LARGEST = 48000  # of the sizes in a config.yaml: none of ours is larger than the sample rate, and memory is finite


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


def read_config(folder: Path) -> dict:
    """The mapping in a model's config.yaml. Raises FileNotFoundError or ValueError that says how to mend it."""
    from .untrusted import read_mapping

    if not (folder / "config.yaml").is_file():
        raise FileNotFoundError(f"no model in {folder}: config.yaml is missing; install the models again")
    try:
        return read_mapping(folder / "config.yaml", "model")
    except ValueError as error:
        raise ValueError(f"{error}; install the models again") from error


def faults(folder: Path) -> list[str]:
    """What is wrong with a model's files, a line each; none if every weights file is there and has its SHA-256."""
    try:
        wanted = read_config(folder).get("sha256")
    except ValueError as error:
        return [str(error)]
    if not isinstance(wanted, dict) or not wanted:
        return [f"{folder.name}/config.yaml names no sha256 of its weights"]
    from .untrusted import short

    if odd := [name for name, digest in wanted.items() if not _names_a_file(name) or not isinstance(digest, str)]:
        return [f"{folder.name}/config.yaml names the sha256 of {short(odd[0])}, which is no file's"]
    found = []
    for name, digest in wanted.items():
        if not (folder / name).is_file():
            found.append(f"{folder.name}/{name} is missing")
        elif sha256(folder / name) != digest:
            found.append(f"{folder.name}/{name} is damaged or another version (SHA-256 differs)")
    return found


def _names_a_file(name: object) -> bool:
    """Whether it is the name of a file in the model's own folder."""
    return isinstance(name, str) and 0 < len(name) < 256 and name.isprintable() and Path(name).name == name


def load(folder: Path, kind: str) -> tuple[dict, dict]:
    """(tensors, config) of a model folder whose config.yaml says `kind`; refuses weights with another SHA-256.

    Raises FileNotFoundError or ValueError with what is wrong and how to mend it. Nothing is unpickled.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from .untrusted import short

    config = read_config(folder)
    if config.get("kind") != kind:
        raise ValueError(f"{folder} holds a model of kind {short(config.get('kind'))}, not {kind!r}; "
                         "name the right folder")
    if wrong := faults(folder):
        raise ValueError(f"{'; '.join(wrong)}: install the models again")
    tensors: dict = {}
    for name in sorted(config["sha256"]):
        try:
            tensors |= load_file(folder / name)
        except SafetensorError as error:
            raise ValueError(f"{folder / name} holds no tensors ({error}): install the models again") from error
    try:
        return _from_eight_bits(tensors), config
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{folder}: its tensors of eight bits lack their scales ({error}); install the models again"
                         ) from error


def eight_bits(name: str, values: Tensor) -> dict[str, Tensor]:
    """What to save in the place of a float tensor [..., n] that bears half the bytes: rows of int8 with a scale each.

    The error is 43 dB below a row of Gaussian values; `load` gives the tensor back under its name, in float32.
    """
    scale = (values.abs().amax(-1, keepdim=True) / 127).half().float().clamp(min=1e-7)
    return {f"{name}.int8": (values / scale).round().clamp(-127, 127).char(), f"{name}.scale": scale}


def _from_eight_bits(tensors: dict) -> dict:
    names = [k.removesuffix(".int8") for k in tensors if k.endswith(".int8")]
    whole = {k: tensors.pop(f"{k}.int8").float() * tensors.pop(f"{k}.scale").float() for k in names}
    return tensors | whole


def _sizes(config: dict) -> dict:
    """The sizes of a network, none of them absurd. Raises ValueError."""
    sizes = config["sizes"]
    if not isinstance(sizes, dict):
        raise ValueError("sizes: expected a mapping")
    for name, value in sizes.items():
        for x in value if isinstance(value, list) else [value]:
            if isinstance(x, bool) or not isinstance(x, int | float) or not 0 < x <= LARGEST:
                raise ValueError(f"{name}: expected numbers from 0 to {LARGEST}")
    return sizes


def build(folder: Path, config: dict, tensors: dict, make: Callable[[dict], Module]) -> Module:
    """The network `make(sizes)` with these weights in float32, ready to run. ValueError where the two do not fit."""
    try:
        model = make(_sizes(config))
        model.load_state_dict({k: v.float() for k, v in tensors.items()})
    except (KeyError, TypeError, ValueError, RuntimeError, ArithmeticError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{folder}: its sizes and its weights do not fit ({reason}); install the models again"
                         ) from error
    return model.eval().requires_grad_(False)


def save(folder: Path, kind: str, sizes: dict, tensors: dict, **more: object) -> None:
    """Write weights (as float16, integers as they are) and a config.yaml that names their SHA-256."""
    import yaml
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    half = {k: (v.half() if v.is_floating_point() else v).contiguous() for k, v in tensors.items()}
    save_file(half, folder / "weights.safetensors")
    config = {"kind": kind, "sizes": sizes, **more,
              "sha256": {"weights.safetensors": sha256(folder / "weights.safetensors")}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def identity(*configs: dict) -> str:
    """One SHA-256 over all weights files that the configs name: who has the same identity decodes the same bits."""
    digests = [digest for config in configs for _, digest in sorted(config["sha256"].items())]
    return hashlib.sha256("".join(digests).encode()).hexdigest()
