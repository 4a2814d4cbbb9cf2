"""Where the network runs, and in which precision."""

import argparse
import os
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import nn

# Fixes the importing thread's number of intra-op threads now; otherwise it would inherit the number
# that another thread sets first, see `use_one_thread`.
torch.get_num_threads()

DEVICES = ("auto", "cpu", "cuda", "mps")


def device_name(text: str) -> str:
    """Parse one of DEVICES that this machine has, for argparse."""
    if text not in DEVICES:
        raise argparse.ArgumentTypeError(f"{text}: choose from {', '.join(DEVICES)}")
    missing = {"cuda": not torch.cuda.is_available(), "mps": not torch.mps.is_available()}
    if missing.get(text):
        raise argparse.ArgumentTypeError(f"{text}: there is none here; leave --device out")
    return text


def add_device_option(group: Any) -> None:
    """Add the option --device to a parser or an option group."""
    names = ", ".join(DEVICES)
    help_text = f"what to compute on: {names} (default: %(default)s)"
    group.add_argument("--device", type=device_name, default="auto", metavar="NAME", help=help_text)


def pick_device(name: str) -> torch.device:
    """Return the device of a name; auto is the fastest that this machine has."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu"
    if name == "cuda":  # each of torchrun's processes on a machine has its own
        local_rank = int(os.environ.get("LOCAL_RANK", 0))
        return torch.device("cuda", local_rank % torch.cuda.device_count())
    return torch.device(name)


def is_fast_in_bf16(device: torch.device) -> bool:
    """Return whether the hardware computes bf16 faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)


def autocast(device: torch.device) -> AbstractContextManager:
    """Return a context of bf16 autocast where the hardware is fast at it, else of fp32."""
    fast = is_fast_in_bf16(device)
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()


def why_not_compiled(device: torch.device) -> str:
    """Return why torch.compile does not work here, in words; "" if it does."""
    try:
        torch.compile(nn.ReLU())(torch.zeros(2, device=device))
    except Exception as error:  # no C++ compiler, no Triton
        return (str(error).strip() or type(error).__name__).splitlines()[0]
    return ""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error means that there is not enough memory, of the device or the CPU."""
    named = ("out of memory", "DefaultCPUAllocator")  # of MPS; of the CPU
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or any(
        name in str(error) for name in named
    )


def use_one_thread() -> None:
    """Limit PyTorch to one core in the calling thread, one of a pool of as many threads as cores.

    Otherwise the threads' operations would compete for all cores and gain next to nothing. Threads
    that have used PyTorch before keep their number; those that start later get one core too.
    """
    torch.set_num_threads(1)
