# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes under torchrun that learn together: each goes its own way, now and then they meet in the mean.

Stich: "Local SGD converges fast and communicates little", ICLR 2019.
"""

import os

import torch
import torch.distributed as dist


class Together:
    """`rank` of `world` processes; a single one where there is no torchrun."""

    def __init__(self):
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("gloo")

    @torch.no_grad()
    def meet(self, tensors, stop: bool) -> bool:
        """Set tensors to their means over all processes -> whether any process wants to stop."""
        if self.world == 1:
            return stop
        tensors = list(tensors)
        flat = torch.cat([*(t.detach().flatten().cpu() for t in tensors), torch.tensor([float(stop)])])
        dist.all_reduce(flat)
        flat /= self.world
        for t, mean in zip(tensors, flat.split([t.numel() for t in tensors] + [1]), strict=False):
            t.copy_(mean.view_as(t))
        return bool(flat[-1] > 0)
