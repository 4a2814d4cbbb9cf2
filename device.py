"""Where the network runs, and in which precision."""

import argparse
import ctypes
import os
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch

DEVICES = ("auto", "cpu", "cuda", "mps")


def device_name(text: str) -> str:
    """Be an argparse type: one of DEVICES, and one that is there."""
    if text not in DEVICES:
        raise argparse.ArgumentTypeError(f"{text}: choose from {', '.join(DEVICES)}")
    missing = {"cuda": not torch.cuda.is_available(), "mps": not torch.mps.is_available()}
    if missing.get(text):
        raise argparse.ArgumentTypeError(f"{text}: there is none here; leave --device out")
    return text


def add_device_option(group: Any) -> None:
    """Give a parser, or a group of its options, the option --device."""
    names = ", ".join(DEVICES)
    help_text = f"what to compute on: {names} (default: %(default)s)"
    group.add_argument("--device", type=device_name, default="auto", metavar="NAME", help=help_text)


def pick_device(name: str) -> torch.device:
    """Turn one of DEVICES into a device; auto takes the fastest that is there."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.mps.is_available() else "cpu"
    if name == "cuda":  # of the processes that torchrun starts on a machine, each has its own
        of_machine = int(os.environ.get("LOCAL_RANK", 0))
        return torch.device("cuda", of_machine % torch.cuda.device_count())
    return torch.device(name)


def count_cores() -> int:
    """Count the processor cores that this process may use; of those that torchrun's share, some."""
    may_use = getattr(os, "sched_getaffinity", None)  # Linux only
    count = len(may_use(0)) if may_use else os.cpu_count() or 1
    return max(1, count // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def keep_freed_memory() -> None:
    """Let the C library keep what is freed; the next step or photograph needs it again at once.

    Without it glibc gives every large tensor back to the system, which has to find and clear as
    many pages again. Elsewhere than on Linux with glibc nothing is done.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD, bytes
    mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD, bytes
    mallopt(-2, 1 << 26)  # M_TOP_PAD, bytes: else a thread's heap goes when all of it is free


def give_back_freed_memory() -> None:
    """Make the C library give back what is freed, also where it lies between what is not.

    Decoding thousands of photographs leaves such holes, of gigabytes in all. Elsewhere than on
    Linux with glibc nothing is done.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def allow_open_files(count: int) -> None:
    """Let this process have so many files open, as far as the system allows it."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def is_fast_in_bf16(device: torch.device) -> bool:
    """Say whether the hardware computes bf16 faster than fp32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)


def autocast(device: torch.device) -> AbstractContextManager:
    """Compute convolutions in bf16 where the hardware is fast at it, elsewhere in fp32."""
    fast = is_fast_in_bf16(device)
    return torch.autocast(device.type, torch.bfloat16) if fast else nullcontext()
