#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""From nothing to model cards in one command: corpus, codec, tokens, language model, decoder, analog scheme, figures.

    python models/train/run.py --recipe tiny --work DIR    # about two minutes, nothing downloaded
    python models/train/run.py --work DIR                  # the real ones: hours, 3 GB, apt-get
    python models/train/run.py --recipe further --start models --work DIR    # released ones, an hour and a half more

Kill it and call it again: it goes on where it was. What is done is skipped; to repeat a stage, delete what it made and
what came of it: DIR/{train,valid,test}.npy and .json, DIR/runs/codec, DIR/tokens, DIR/runs/lm, DIR/chosen,
DIR/runs/lm_chosen, DIR/runs/decoder, DIR/runs/jscc, MODELS/codec, MODELS/lm, MODELS/jscc, DIR/figures.
DIR/runs/*/progress/index.html shows how far it is.
"""

import argparse
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RECIPES = HERE / "recipes"
STAGES = ("corpus", "train_codec", "refit_codebooks", "tokenise", "train_lm", "choose", "train_lm_chosen",
          "train_decoder", "train_jscc", "benchmarks")
SCRIPTS = {"choose": "tokenise", "train_lm_chosen": "train_lm"}  # of stages not named after theirs
log = logging.getLogger("run")


def read_recipe(name: str) -> dict:
    """The recipe of recipes/NAME.yaml or of a file. ValueError for keys that are no stage."""
    path = Path(name) if name.endswith(".yaml") else RECIPES / f"{name}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in RECIPES.glob("*.yaml")))
        raise ValueError(f"--recipe: no {path}; expected a .yaml file or one of {known}")
    recipe = {"about": ""} | yaml.safe_load(path.read_text(encoding="utf-8"))
    if wrong := set(recipe) ^ {"about", *STAGES}:
        raise ValueError(f"{path}: expected the keys {', '.join(STAGES)}, once each; wrong: {', '.join(sorted(wrong))}")
    return recipe


def command(options: dict) -> list[str]:
    """{"eval_minutes": 8, "quick": True} -> ["--eval-minutes", "8", "--quick"]; a mapping becomes JSON, a list several
    words."""
    out = []
    for key, value in options.items():
        if value is not False:
            out.append("--" + key.replace("_", "-"))
            values = [] if value is True else value if isinstance(value, list) else [value]
            out += [json.dumps(v) if isinstance(v, dict) else str(v) for v in values]
    return out


def call(script: Path, arguments: list[str], processes: int = 1) -> None:
    """One stage in processes of its own, which end with this one; what it prints is shown."""
    log.info("%s", script.name)
    # Behind the lone dashes torchrun takes no option for its own; --run would be one of several that begin so.
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes), "--"]
    launch = launch if processes > 1 else []
    stage = subprocess.Popen([sys.executable, *launch, str(script), *arguments], cwd=ROOT)
    try:
        if code := stage.wait():
            raise subprocess.CalledProcessError(code, [script.name, *arguments])
    finally:
        if stage.poll() is None:
            stage.terminate()
            stage.wait()


def seconds_spent(checkpoint: Path) -> float:
    """Training time in a checkpoint; 0 where there is none."""
    if not checkpoint.exists():
        return 0.0
    from checkpoints import read

    return float(read(checkpoint)["seconds"])


class Run:
    """The stages of a recipe, each called only if what it makes is missing."""

    def __init__(self, recipe: dict, args: argparse.Namespace):
        self.recipe, self.args, self.work, self.models = recipe, args, args.work, args.models

    def call(self, stage: str, options: dict, processes: int = 1) -> None:
        """The script of a stage, with the recipe's options and these."""
        call(HERE / f"{SCRIPTS.get(stage, stage)}.py", command(self.recipe[stage] | options), processes)

    def stage(self, stage: str, result: Path, **options) -> Path:
        """One stage, if its result is missing -> the result."""
        if not result.exists():
            self.call(stage, options)
        return result

    def train(self, kind: str, unless: Path, **options) -> Path:
        """Train until the recipe's minutes are spent, over any number of calls -> the checkpoint.

        Not once there is what is made of it: the two would no longer belong together.
        """
        stage, run = f"train_{kind}", self.work / "runs" / kind
        checkpoint, minutes = run / "checkpoint.pt", self.recipe[stage]["minutes"]
        left = minutes - seconds_spent(checkpoint) / 60
        if left > 0 and not unless.exists():
            own = {"run": run, "minutes": left, "total_minutes": minutes} | options
            self.call(stage, {"device": self.args.device, "seed": self.args.seed} | own, self.args.processes)
        return checkpoint

    def export(self, kind: str, checkpoint: Path, **more) -> Path:
        """The model folder -> its config.yaml."""
        result = self.models / kind / "config.yaml"
        if not result.exists():
            options = {"checkpoint": checkpoint, "models": self.models}
            options |= {k: getattr(self.args, k) for k in ("seed", "device", "processes", "recipe")}
            options |= more | ({"hardware": self.args.hardware} if self.args.hardware else {})
            call(HERE / "export.py", [kind, *command(options)])
        return result

    def measure(self, name: str) -> None:
        """The figures of one benchmark."""
        result = self.work / "figures" / f"{name}.json"
        if not result.exists():
            unfinished = result.with_suffix(".part")
            options = {"corpus": self.work, "json": unfinished} | self.recipe["benchmarks"][name]
            call(ROOT / "benchmarks" / f"{name}.py", command(options))
            unfinished.replace(result)

    def begin(self, kind: str) -> dict:
        """The option of a stage that goes on from a released model."""
        return {"start": self.args.start / kind} if self.args.start else {}

    def analog(self, **corpus) -> None:
        """The analog scheme: trained, or the one to start from where the recipe has no time for it."""
        if self.args.start and not self.recipe["train_jscc"]["minutes"]:
            if not (self.models / "jscc").exists():
                shutil.copytree(self.args.start / "jscc", self.models / "jscc")
        else:
            self.export("jscc", self.train("jscc", self.models / "jscc" / "config.yaml", **corpus))

    def all(self) -> None:
        """Everything, in order."""
        work, runs = self.work, self.work / "runs"
        corpus, refitted, tokens = {"corpus": work}, runs / "codec" / "refitted.pt", work / "tokens"
        chosen = work / "chosen"  # some of the speech again, in the tokens that are sent
        decoded = self.models / "codec" / "config.yaml"
        self.stage("corpus", work / "test.json", work=work)
        codec = self.train("codec", refitted, **corpus, **self.begin("codec"))
        self.stage("refit_codebooks", refitted, checkpoint=codec, out=refitted, **corpus)
        self.stage("tokenise", tokens / "tokens_train.npz", codec=refitted, out=tokens, **corpus)
        first = self.train("lm", chosen / "tokens_train.npz", codec=refitted, tokens=tokens, **self.begin("lm"))
        self.stage("choose", chosen / "tokens_train.npz", codec=refitted, lm=first, out=chosen, **corpus)
        begun = runs / "decoder" / "checkpoint.pt"
        lm = self.train("lm_chosen", begun, codec=refitted, tokens=[tokens, chosen], start=first)
        decoder = self.train("decoder", decoded, codec=refitted, lm=lm, **corpus)
        self.export("codec", decoder, before=refitted)
        self.export("lm", lm, tokens=tokens)
        self.analog(**corpus)
        for name in self.recipe["benchmarks"]:
            self.measure(name)
        more = {"about": self.recipe["about"]} if self.recipe["about"] else {}
        places = {"models": self.models, "figures": work / "figures", "runs": runs}
        call(HERE / "card.py", command(places | corpus | more))


def accelerators() -> int:
    """GPUs that torch can use."""
    import torch

    return torch.cuda.device_count()


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--work", type=Path, required=True, help="folder for corpus, tokens, checkpoints and figures")
    ap.add_argument("--models", type=Path, help="where to put them; default: models/ for full, else DIR/models")
    ap.add_argument("--recipe", default="full", help="full, tiny, or a .yaml file like those in recipes/")
    ap.add_argument("--start", type=Path, help="folder of models to go on from: their sizes hold")
    ap.add_argument("--device", choices=("cpu", "cuda"), help="default: cuda where torch finds a GPU")
    ap.add_argument("--processes", type=int, help="that train together; default: one a GPU, or one")
    ap.add_argument("--hardware", help="what the cards say it was trained on; default: found out")
    ap.add_argument("--seed", type=int, default=1)
    args = ap.parse_args(argv)
    recipe = read_recipe(args.recipe)
    args.work = args.work.resolve()
    args.models = (args.models or (ROOT if args.recipe == "full" else args.work) / "models").resolve()
    args.start = args.start and args.start.resolve()
    if args.start == args.models:
        ap.error("--start: the models to go on from would be taken for the new ones; give --models another folder")
    gpus = 0 if args.device == "cpu" else accelerators()
    args.device = args.device or ("cuda" if gpus else "cpu")
    args.processes = args.processes or max(gpus, 1)
    if args.device == "cuda" and args.processes > gpus:
        ap.error(f"--processes: at most one for each of the {gpus} GPUs, got {args.processes}")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    os.environ["SOUNDSPRING_MODELS"] = str(args.models)
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that stages are ended too
    Run(recipe, args).all()


if __name__ == "__main__":
    main()
