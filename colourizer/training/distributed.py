"""Data-parallel training: the processes that torchrun starts."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from colourizer.runtime.cli import describe_error, print_error
from colourizer.runtime.process import is_first_of_machine, rank_and_world_size

TIMEOUT = timedelta(hours=12)  # while the first process decodes what the others wait for
SAME_ERROR_SECONDS = 10.0  # within which processes that fail for the same reason do so


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train one network, each with its part of every batch.

    device: what this one computes on.
    rank: which of them this one is; 0, the main process, is the one that writes.
    world_size: how many they are.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    @property
    def is_local_main(self) -> bool:
        """Whether this is its machine's first process."""
        return self.world_size == 1 or is_first_of_machine()

    def all_reduce_sum(self, *values: float) -> list[float]:
        """Return for each value the sum over all processes."""
        if self.world_size == 1:
            return list(values)
        sums = torch.tensor(values, device=self.device)
        dist.all_reduce(sums)
        return sums.tolist()

    def all_reduce_max(self, *values: float) -> list[float]:
        """Return for each value the maximum over all processes."""
        if self.world_size == 1:
            return list(values)
        maxima = torch.tensor(values, device=self.device)
        dist.all_reduce(maxima, dist.ReduceOp.MAX)
        return maxima.tolist()

    def print_error(self, error: object, *hints: str) -> None:
        """Print an error that this process ends with, once for all that have the same one."""
        if self.world_size > 1:
            if not self.is_local_main:
                wait_for_end()
            _record_for_torchrun(describe_error(error, *hints))
        print_error(error, *hints)

    @contextmanager
    def local_main_process_first(self) -> Iterator[None]:
        """Run a block in the first process of each machine, then in the others."""
        if self.world_size == 1:
            yield
            return
        if not self.is_local_main:
            dist.barrier()
        try:
            yield
        finally:  # if it fails, the others may fail in the same way
            if self.is_local_main:
                dist.barrier()


def wait_for_end() -> None:
    """Wait for the process to be ended, as it is if its machine's first one fails for any reason.

    Returns after SAME_ERROR_SECONDS, if that one goes on.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))  # else torchrun reports on it too
    time.sleep(SAME_ERROR_SECONDS)


def _record_for_torchrun(message: str) -> None:
    """Write an error where torchrun looks for it; its report, printed last, ends with it."""
    if path := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        extra = {"py_callstack": message, "timestamp": str(int(time.time()))}
        content = json.dumps({"message": {"message": message, "extraInfo": extra}})
        Path(path).write_text(content, encoding="utf-8")


def is_lost_process(error: Exception) -> bool:
    """Return whether an error of torch.distributed means that another process has ended."""
    return isinstance(error, dist.DistError) or "onnection" in str(error)


@contextmanager
def join_process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """Join the processes that torchrun has started, and leave them in the end.

    Args:
        device: what this process computes on.
    """
    rank, world_size = rank_and_world_size()
    if world_size == 1:
        yield ProcessGroup(device)
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)
    try:
        yield ProcessGroup(device, rank, world_size)
    finally:
        dist.destroy_process_group()


class _AllReduceSum(torch.autograd.Function):
    """All-reduce (sum) of a tensor; its gradient is all-reduced too."""

    @staticmethod
    def forward(_context: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(_context: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return _AllReduceSum.forward(_context, gradient)


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
        mean = _AllReduceSum.apply(mixed.sum(dim=(0, 2, 3))) / count
        deviation = mixed - mean[:, None, None]
        variance = _AllReduceSum.apply(deviation.square().sum(dim=(0, 2, 3))) / count
        with torch.no_grad():
            self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
            self.running_mean.lerp_(mean, self.momentum)  # type: ignore[union-attr, arg-type]
            unbiased = variance * count / (count - 1)
            self.running_var.lerp_(unbiased, self.momentum)  # type: ignore[union-attr, arg-type]
        scale = self.weight * torch.rsqrt(variance + self.eps)
        normal = deviation * scale[:, None, None] + self.bias[:, None, None]
        return normal.to(features.dtype)


def sync_batch_norm(model: nn.Module, device: torch.device) -> None:
    """Replace a network's batch normalizations by ones over the batches of all processes.

    Args:
        model: is changed in place; its parameters stay the same objects.
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


def parallelize(model: nn.Module, group: ProcessGroup) -> nn.Module:
    """Return a network whose gradients are the mean over all processes.

    Args:
        model: on the group's device; is changed in place if there are several processes.
        group: the processes.
    """
    if group.world_size == 1:
        return model
    sync_batch_norm(model, group.device)
    return DistributedDataParallel(model)
