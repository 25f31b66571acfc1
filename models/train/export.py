#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Turn a training checkpoint into a model folder: weights (float16, codebooks eight bits) and what is known of them.

    python models/train/export.py codec --checkpoint RUN/checkpoint.pt --models models
    python models/train/export.py lm --checkpoint RUN/checkpoint.pt --models models --tokens DIR
    python models/train/export.py jscc --checkpoint RUN/checkpoint.pt --models models

The language model needs the codec's folder beside it (the weights name each other) and the tokens it was trained on,
whose histogram is the coder's static table. The cards are written by card.py, once everything is measured.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "python"))
from checkpoints import language_model, read  # noqa: E402
from soundspring import weights  # noqa: E402
from soundspring.codec.model import Codec, CodecConfig  # noqa: E402
from soundspring.jscc.model import Jscc, JsccConfig  # noqa: E402


def processor() -> str:
    """The name of this machine's processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown processor")


def hardware(args) -> str:
    """What it was trained on, in words."""
    if args.hardware:
        return args.hardware
    count = "one" if args.processes == 1 else str(args.processes)
    if args.device == "cuda":
        return f"{count} {torch.cuda.get_device_name()}"
    return f"{count} core{'s' * (args.processes > 1)} of {processor()}"


def training(saved: dict, args) -> dict:
    """What config.yaml tells about the training."""
    earlier = saved.get("earlier", {"step": 0, "seconds": 0.0})  # of the weights it began with
    minutes, steps = (saved["seconds"] + earlier["seconds"]) / 60, saved["step"] + earlier["step"]
    facts = {"minutes": round(minutes, 1), "steps": int(steps), "seed": args.seed}
    return {"training": facts | {"hardware": hardware(args), "recipe": args.recipe}}


def check_half(tensors: dict) -> None:
    """Refuse weights that float16 cannot hold."""
    bad = [k for k, v in tensors.items() if v.is_floating_point() and not torch.isfinite(v.half()).all()]
    if bad:
        raise ValueError(f"checkpoint: not finite in float16: {', '.join(bad)}; was the training stable?")


def export_codec(saved: dict, folder: Path, more: dict, before: dict | None = None, share: float = 0.4) -> None:
    """saved: what train_codec.py or train_decoder.py left; before: what the latter began with.

    With `before`, the mean of the weights before and after, `share` of the latter: better than either (Wortsman et al.,
    "Robust fine-tuning of zero-shot models", 2022). Encoder and codebooks are the same in both.
    """
    codec = Codec(CodecConfig(**saved["config"]))
    codec.load_state_dict(saved["codec"])
    if before:
        codec.load_state_dict({k: torch.lerp(before["codec"][k], v, share) for k, v in codec.state_dict().items()})
    codec.quantizer.bonus.zero_()  # prices from frequencies: for training. Those who send have the model's
    check_half(codec.state_dict())
    if not codec.quantizer.codebooks.any():
        raise ValueError("checkpoint: the codebooks are empty; train the codec beyond its --warm-steps")
    tensors = codec.state_dict()
    tensors |= weights.eight_bits("quantizer.codebooks", tensors.pop("quantizer.codebooks"))
    weights.save(folder, "codec", codec.to_dict(), tensors, **more)


def histogram(tokens: np.ndarray, entries: int) -> torch.Tensor:
    """tokens int [T, K] -> counts int64 [K, entries]."""
    return torch.from_numpy(np.stack([np.bincount(layer, minlength=entries) for layer in tokens.T]))


def export_lm(saved: dict, folder: Path, codec_folder: Path, tokens: np.ndarray, more: dict) -> None:
    """saved: what train_lm.py left. tokens: those it was trained on, int16 [T, K]."""
    codec, codec_config = weights.load(codec_folder, "codec")
    model = language_model(saved, codec["quantizer.codebooks"].float())
    check_half(model.state_dict())
    tensors = model.state_dict() | {"histogram": histogram(tokens, model.config.entries)}
    weights.save(folder, "lm", model.to_dict(), tensors, codec_sha256=weights.identity(codec_config), **more)


def export_jscc(saved: dict, folder: Path, more: dict) -> None:
    """saved: what train_jscc.py left. The running mean of the weights is what is exported."""
    model = Jscc(JsccConfig(**saved["config"]))
    model.load_state_dict(saved["mean"])
    check_half(model.state_dict())
    weights.save(folder, "jscc", model.to_dict(), model.state_dict(), **more)


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("kind", choices=("codec", "lm", "jscc"))
    ap.add_argument("--checkpoint", type=Path, required=True)
    ap.add_argument("--before", type=Path, help="checkpoint that the decoder's training began with: export their mean")
    ap.add_argument("--share", type=float, default=0.4, help="of what that training came to, in this mean")
    ap.add_argument("--models", type=Path, required=True, help="folder of all models; the codec's is MODELS/codec")
    ap.add_argument("--tokens", type=Path, help="folder of tokens_train.npz (lm)")
    ap.add_argument("--seed", type=int, default=1, help="that the training was started with")
    ap.add_argument("--recipe", default="full", help="that run.py was called with")
    ap.add_argument("--device", default="cpu", help="cpu or cuda")
    ap.add_argument("--processes", type=int, default=1, help="that trained together")
    ap.add_argument("--hardware", help="what it was trained on; default: so many cores or GPUs of this machine")
    args = ap.parse_args(argv)
    saved = read(args.checkpoint)
    folder = args.models / args.kind
    if args.kind == "codec":
        export_codec(saved, folder, training(saved, args), args.before and read(args.before), args.share)
    elif args.kind == "jscc":
        export_jscc(saved, folder, training(saved, args))
    elif args.tokens is None:
        ap.error("--tokens: the language model needs the tokens it was trained on")
    else:
        tokens = np.load(args.tokens / "tokens_train.npz")["tokens"]
        export_lm(saved, folder, args.models / "codec", tokens, training(saved, args))
    size = (folder / "weights.safetensors").stat().st_size
    print(f"{folder}: {size / 1e6:.1f} MB after {saved['step']} steps, {saved['seconds'] / 60:.1f} minutes")


if __name__ == "__main__":
    main()
