# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows the gradients: AdamW, or Muon for the matrices and AdamW for the rest."""

import torch
from torch import nn

KINDS = ("adamw", "muon")


class Joint:
    """Several optimizers for different parameters, used as one."""

    def __init__(self, *optimizers: torch.optim.Optimizer):
        self.optimizers = optimizers

    @property
    def param_groups(self) -> list[dict]:
        return [group for o in self.optimizers for group in o.param_groups]

    def zero_grad(self) -> None:
        for o in self.optimizers:
            o.zero_grad()

    def step(self) -> None:
        for o in self.optimizers:
            o.step()

    def state_dict(self) -> dict:
        return {"joint": [o.state_dict() for o in self.optimizers]}

    def load_state_dict(self, saved: dict) -> None:
        for o, state in zip(self.optimizers, saved["joint"], strict=True):
            o.load_state_dict(state)


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """The weights of all linear layers that learn."""
    return [m.weight for m in model.modules() if isinstance(m, nn.Linear) and m.weight.requires_grad]


def optimizer(kind: str, model: nn.Module, lr: float, betas: tuple[float, float], weight_decay: float):
    """AdamW, or with kind "muon" that for the weights of linear layers, AdamW for all else.

    Muon (Jordan et al., 2024) makes the step of a matrix orthogonal, so that no direction of its gradient drowns the
    others. Its steps are scaled to be as long as AdamW's (Liu et al., "Muon is scalable for LLM training", 2025), so
    one learning rate serves both. Vectors, biases and scales, do not decay.
    """
    own = matrices(model) if kind == "muon" else []
    taken = {id(p) for p in own}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    groups = [
        {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW([g for g in groups if g["params"]], lr=lr, betas=betas, fused=True)
    if kind != "muon":
        return adamw
    if not hasattr(torch.optim, "Muon"):
        raise RuntimeError(f"--optimizer: torch {torch.__version__} has no muon (2.9 or newer has); use adamw")
    return Joint(torch.optim.Muon(own, lr=lr, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"), adamw)
