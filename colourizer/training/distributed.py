"""Data-parallel training: the processes that torchrun starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from colourizer.runtime.process import rank_and_world_size

PATIENCE = timedelta(hours=12)  # while the first process decodes what the others wait for


@dataclass(frozen=True)
class Team:
    """The processes that train one network, each with its part of every batch.

    device: what this one computes on.
    rank: which of them it is; the first, 0, is the one that writes.
    count: how many they are.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    def add_up(self, *values: float) -> list[float]:
        """Add up each value over all processes."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    def largest(self, *values: float) -> list[float]:
        """Find for each value the largest that any process has."""
        if self.count == 1:
            return list(values)
        most = torch.tensor(values, device=self.device)
        dist.all_reduce(most, dist.ReduceOp.MAX)
        return most.tolist()

    @contextmanager
    def ahead(self) -> Iterator[None]:
        """Let the first process of each machine do something before the others do the same."""
        if self.count == 1:
            yield
            return
        is_first = os.environ["LOCAL_RANK"] == "0"
        if not is_first:
            dist.barrier()
        yield
        if is_first:
            dist.barrier()


@contextmanager
def team_of(device: torch.device) -> Iterator[Team]:
    """Find the other processes, and part from them in the end.

    Args:
        device: what this process computes on.
    """
    rank, count = rank_and_world_size()
    if count == 1:
        yield Team(device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Team(device, rank, count)
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; so is the gradient's."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _Sum.forward(_context, gradient)


class SyncedBatchNorm(nn.BatchNorm2d):
    """Batch normalization over the batches of all processes, on any device.

    As torch's SyncBatchNorm, which is for GPUs only: with it, processes that each see a part of a
    batch compute what one process computes of all of it.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Normalize features (B, C, H, W); in training every process has to call it."""
        if not self.training:
            return super().forward(features)
        mixed = features.float()
        count = mixed.new_tensor(mixed.numel() / mixed.shape[1])
        dist.all_reduce(count)
        mean = _Sum.apply(mixed.sum(dim=(0, 2, 3))) / count
        deviation = mixed - mean[:, None, None]
        variance = _Sum.apply(deviation.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr, arg-type]
            unbiased = variance * count / (count - 1)
            self.running_var.lerp_(unbiased, self.momentum)  # type: ignore[union-attr, arg-type]
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normal = deviation * scale[:, None, None] + self.bias[:, None, None]
        return normal.to(features.dtype)


def sync_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Let the batch normalizations of a network see the batches of all processes.

    Args:
        model: is changed; its parameters stay the same objects.
        device: the network's.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.BatchNorm2d):
                kind = nn.SyncBatchNorm if device.type == "cuda" else SyncedBatchNorm
                synced = kind(child.num_features, child.eps, child.momentum)
                synced.weight, synced.bias = child.weight, child.bias
                for buffer, value in child.named_buffers():
                    setattr(synced, buffer, value)
                synced.train(child.training)
                setattr(parent, name, synced)
