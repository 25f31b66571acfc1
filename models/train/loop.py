# SPDX-License-Identifier: GPL-3.0-or-later
"""Training for a number of minutes that may be cut off at any time: clock, learning rate, checkpoints, progress."""

import argparse
import fcntl
import math
import time
from pathlib import Path

import numpy as np
import torch
from progress import Progress
from together import Together

SAVE_SECONDS = 180


class Training:
    """What trainers inherit. They add `optimizer`, one_step, state, restore, shared and evaluate, then call resume.

    `seconds` is the time that the first process has trained, over all runs and without evaluations.
    """

    def __init__(self, args: argparse.Namespace):
        self.args = args
        args.run.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(args.threads)
        self.together = Together()
        self.device = self.together.device(args.device)
        torch.manual_seed(args.seed)
        self.step, self.seconds = 0, 0.0
        self.rng = np.random.default_rng([args.seed, self.together.rank])
        self.checkpoint = args.run / "checkpoint.pt"
        if not self.together.rank:
            self.lock = open(args.run / "lock", "w")
            try:
                fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RuntimeError(f"{args.run}: another process is training here; end it first") from error

    def one_step(self) -> dict[str, float]:
        """Learn from one batch and count it in `step` -> the terms of its loss."""
        raise NotImplementedError

    def state(self) -> dict:
        """What a checkpoint needs beside optimizer and clock."""
        raise NotImplementedError

    def restore(self, saved: dict) -> None:
        """Take up what `state` gave."""
        raise NotImplementedError

    def shared(self) -> list[torch.Tensor]:
        """What several processes bring to their mean when they meet."""
        raise NotImplementedError

    def evaluate(self) -> tuple[dict[str, dict[str, float | None]], list]:
        """Curves {group: {name: value}} and tracks to listen to, as in progress.Progress.add."""
        raise NotImplementedError

    def prepare(self, lr: float) -> None:
        """Whatever is due before each step."""

    def resume(self) -> None:
        """Go on from the checkpoint, where there is one."""
        if self.checkpoint.exists():
            saved = torch.load(self.checkpoint, weights_only=True, map_location=self.device)
            self.restore(saved)
            self.optimizer.load_state_dict(saved["optimizer"])
            self.step, self.seconds = saved["step"], saved["seconds"]
            self.rng = np.random.default_rng([self.args.seed + self.step, self.together.rank])
        self.progress = Progress(self.args.run, self.step)

    def save(self) -> None:
        """Replace the checkpoint in one go."""
        temporary = self.checkpoint.with_suffix(".tmp")
        own = {"optimizer": self.optimizer.state_dict(), "step": self.step, "seconds": self.seconds}
        torch.save(self.state() | own, temporary)
        temporary.replace(self.checkpoint)

    def run(self) -> None:
        a, mean = self.args, {}
        end = self.seconds + 60 * a.minutes
        saved = evaluated = self.seconds
        shown = self.step
        self.mark = time.monotonic()
        while not self.meet(end):
            lr = self.rate(60 * a.total_minutes or end)
            for group in self.optimizer.param_groups:
                group["lr"] = lr
            self.prepare(lr)
            for k, v in self.one_step().items():
                mean[k] = 0.98 * mean.get(k, v) + 0.02 * v
            self.tick()
            if self.together.rank:
                continue
            if self.step % 100 == 0:
                terms = " ".join(f"{k} {v:.4f}" for k, v in mean.items())
                print(f"step {self.step} {self.seconds / 60:.1f} min lr {lr:.1e} {terms}", flush=True)
            if self.step - shown >= a.eval_steps if a.eval_steps else self.seconds - evaluated > 60 * a.eval_minutes:
                self.report(mean)
                saved, evaluated, shown = self.seconds, self.seconds, self.step
            elif self.seconds - saved > SAVE_SECONDS:
                self.save()
                saved = self.seconds
        if not self.together.rank:
            if self.step > shown:
                self.report(mean)
            self.lock.close()

    def tick(self) -> None:
        """Count the time since the last call."""
        now = time.monotonic()
        self.seconds, self.mark = self.seconds + now - self.mark, now

    def meet(self, end: float) -> bool:
        """Now and then bring the processes together -> whether it is time to stop."""
        if self.together.world > 1 and self.step % self.args.sync:
            return False
        over = self.seconds >= end or 0 < self.args.steps <= self.step
        stop = self.together.meet(self.shared(), self.together.rank == 0 and over)
        clock = torch.tensor([self.seconds], dtype=torch.float64)
        self.together.follow([clock])
        if self.together.rank:  # it may have waited for the first process to evaluate: that is not training
            self.seconds, self.mark = float(clock), time.monotonic()
        return stop

    def report(self, mean: dict[str, float]) -> None:
        """Save, then show how far it has come; the clock stands still."""
        self.save()
        curves, tracks = self.evaluate()
        self.progress.add(self.step, self.seconds / 60, {"training loss": mean} | curves, tracks)
        self.mark = time.monotonic()

    def rate(self, end: float) -> float:
        """The learning rate now: a cosine over the whole budget, so that a run ends annealed."""
        spent = self.step / self.args.steps if self.args.steps else self.seconds / end
        cosine = 0.5 * (1 + math.cos(math.pi * min(spent, 1.0)))
        return self.args.lr * min(1.0, (self.step + 1) / self.args.rise_steps) * (0.02 + 0.98 * cosine)


def options(doc: str, lr: float, rise: int) -> argparse.ArgumentParser:
    """The options of every training script."""
    ap = argparse.ArgumentParser(description=doc.splitlines()[0])
    ap.add_argument("--run", type=Path, required=True, help="folder of checkpoint and progress")
    ap.add_argument("--minutes", type=float, required=True, help="to train in this run")
    ap.add_argument("--total-minutes", type=float, default=0, help="length of the learning-rate schedule over all runs")
    ap.add_argument("--eval-minutes", type=float, default=8)
    ap.add_argument("--steps", type=int, default=0, help="in all, for the schedule too: a result that can be repeated")
    ap.add_argument("--eval-steps", type=int, default=0, help="instead of --eval-minutes")
    ap.add_argument("--lr", type=float, default=lr)
    ap.add_argument("--rise-steps", type=int, default=rise, help="until the learning rate is whole")
    ap.add_argument("--sync", type=int, default=20, help="steps between the meetings of several processes")
    ap.add_argument("--device", default="cpu", help="cpu, or cuda: under torchrun each process takes its own GPU")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seed", type=int, default=1)
    return ap
