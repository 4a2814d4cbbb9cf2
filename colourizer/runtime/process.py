"""The process: its cores, memory, open files, and its rank among torchrun's."""

import ctypes
import os
from contextlib import suppress


def find_share() -> tuple[int, int]:
    """Say which of how many processes this is, if torchrun has started it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


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
