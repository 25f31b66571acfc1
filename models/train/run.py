#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""From nothing to model cards in one command: corpus, codec, tokens, language model, decoder, measurements, cards.

    python models/train/run.py --work DIR --minutes-codec 100 --minutes-lm 40 --minutes-decoder 15

Call it again to go on where it stopped. A stage that is done is skipped, training resumes from its checkpoint until
its minutes are spent; to repeat a stage, delete what it made: DIR/{train,valid,test}.npy, DIR/runs/codec, DIR/tokens,
DIR/runs/lm, DIR/runs/decoder, MODELS/codec, MODELS/lm, DIR/figures. Once the tokens are made, only the codec's decoder
learns on, from what the language model makes of lost packets. Needs apt-get (for the packages with the speech), ffmpeg
and 3 GB.
"""

import argparse
import logging
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BENCHMARKS = ("quality", "saving", "loss", "link", "speed")
log = logging.getLogger("run")


def call(script: Path, *arguments) -> None:
    """One stage in a process of its own; what it prints is shown."""
    log.info("%s", script.name)
    subprocess.run([sys.executable, str(script), *map(str, arguments)], check=True)


def seconds_spent(checkpoint: Path) -> float:
    """Training time in a checkpoint; 0 where there is none."""
    if not checkpoint.exists():
        return 0.0
    import torch

    return float(torch.load(checkpoint, weights_only=True, map_location="cpu")["seconds"])


def train(script: str, run: Path, minutes: float, *arguments) -> Path:
    """Train until `minutes` are spent in all, over any number of calls -> the checkpoint."""
    checkpoint = run / "checkpoint.pt"
    left = minutes - seconds_spent(checkpoint) / 60
    if left > 0.2:
        call(HERE / script, "--run", run, "--minutes", round(left, 2), "--total-minutes", minutes, *arguments)
    return checkpoint


def stages(args) -> None:
    """All of it, in order."""
    work, models, runs = args.work, args.models, args.work / "runs"
    tokens, corpus = ("--tokens", work / "tokens"), ("--corpus", work)
    common = ("--device", args.device, "--seed", args.seed)
    if not (work / "test.json").exists():
        call(HERE / "corpus.py", "--work", work)
    codec = train("train_codec.py", runs / "codec", args.minutes_codec, *corpus, *common)
    if not (work / "tokens/tokens_train.npz").exists():
        call(HERE / "refit_codebooks.py", *corpus, "--checkpoint", codec)
        call(HERE / "tokenise.py", *corpus, "--codec", codec, "--out", work / "tokens")
    lm = train("train_lm.py", runs / "lm", args.minutes_lm, *tokens, "--codec", codec, *common)
    decoder = train(
        "train_decoder.py",
        runs / "decoder",
        args.minutes_decoder,
        "--codec",
        codec,
        "--lm",
        lm,
        "--lr",
        "5e-4",
        *corpus,
        *common,
    )
    export(args, "codec", decoder)
    export(args, "lm", lm, *tokens)
    measure(args, work / "figures")
    call(HERE / "card.py", "--models", models, "--figures", work / "figures", *corpus)


def export(args, kind: str, checkpoint: Path, *arguments) -> None:
    if not (args.models / kind / "config.yaml").exists():
        hardware = ("--hardware", args.hardware) if args.hardware else ()
        call(
            HERE / "export.py",
            kind,
            "--checkpoint",
            checkpoint,
            "--models",
            args.models,
            "--seed",
            args.seed,
            *hardware,
            *arguments,
        )


def measure(args, figures: Path) -> None:
    """Every benchmark that has left no figures yet."""
    for name in BENCHMARKS:
        if not (figures / f"{name}.json").exists():
            picture = ("--image", ROOT / "docs/images/link.png") if name == "link" and not args.quick else ()
            quick = ("--quick",) if args.quick else ()
            call(
                ROOT / "benchmarks" / f"{name}.py",
                "--corpus",
                args.work,
                "--json",
                figures / f"{name}.json",
                *picture,
                *quick,
            )


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, required=True, help="folder for corpus, tokens, checkpoints and figures")
    ap.add_argument("--models", type=Path, default=ROOT / "models", help="where to put them (default: models/)")
    ap.add_argument("--minutes-codec", type=float, default=100)
    ap.add_argument("--minutes-decoder", type=float, default=15)
    ap.add_argument("--minutes-lm", type=float, default=40)
    ap.add_argument("--device", default="cpu", help="cpu (one thread) or cuda")
    ap.add_argument("--hardware", help="what the cards say it was trained on; with cpu: one core of this processor")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--quick", action="store_true", help="measure on little speech")
    args = ap.parse_args(argv)
    if args.device != "cpu" and not args.hardware:
        ap.error("--hardware: name the device, for the cards")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    for name in ("work", "models"):
        setattr(args, name, getattr(args, name).resolve())
    os.environ["SOUNDSPRING_MODELS"] = str(args.models)
    stages(args)


if __name__ == "__main__":
    main()
