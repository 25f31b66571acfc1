# SPDX-License-Identifier: GPL-3.0-or-later
"""Several processes under torchrun that learn together: each goes its own way, now and then they meet in the mean.

Stich: "Local SGD converges fast and communicates little", ICLR 2019. They meet in host memory (gloo), with GPUs too:
once in many steps that costs little, and what is tested on processors is what runs on GPUs.
"""

import atexit
import os

import torch
import torch.distributed as dist


class Together:
    """`rank` of `world` processes; a single one where there is no torchrun."""

    def __init__(self):
        self.rank, self.world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        if self.world > 1 and not dist.is_initialized():
            dist.init_process_group("gloo")
            atexit.register(dist.destroy_process_group)  # else its threads may abort an ending process

    @staticmethod
    def device(kind: str) -> torch.device:
        """cpu; or with cuda a GPU of its own for each process of a machine, made the current one."""
        if kind != "cuda":
            return torch.device(kind)
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
        return device

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

    @torch.no_grad()
    def follow(self, tensors) -> None:
        """Set tensors to those of the first process."""
        for t in tensors if self.world > 1 else ():
            own = t.detach().cpu().contiguous()
            dist.broadcast(own, 0)
            t.copy_(own)
