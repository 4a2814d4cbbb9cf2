"""Processes: their cores, heap memory, limit of open files, rank under torchrun, their end."""

import ctypes
import os
import socket
from contextlib import suppress

MACHINE = socket.gethostname()[:64].replace("-", "_")  # in names of files, between hyphens


def ignore_notebook_backend() -> None:
    """Forget MPLBACKEND, which notebooks set for their children: matplotlib cannot import then.

    Where matplotlib only draws files, no backend is needed.
    """
    os.environ.pop("MPLBACKEND", None)


def is_started_by_torchrun() -> bool:
    """Return whether torchrun, or what does as it does, has started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first_of_machine() -> bool:
    """Return whether torchrun has started no process on this machine before this one."""
    return not is_started_by_torchrun() or os.environ["LOCAL_RANK"] == "0"


def rank_and_world_size() -> tuple[int, int]:
    """Return torchrun's (rank, world size); (0, 1) for a process that it has not started."""
    if not is_started_by_torchrun():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def count_cores() -> int:
    """Return the number of cores this process may use, its share of them under torchrun."""
    get_affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    count = len(get_affinity(0)) if get_affinity else os.cpu_count() or 1
    return max(1, count // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))


def has_ended(number: int) -> bool:
    """Return whether this machine has no process of a number; False where that is not known."""
    if os.name == "posix":
        try:
            os.kill(number, 0)  # signal 0 only checks that it exists
        except ProcessLookupError:
            return True
        except PermissionError:  # it exists, but is another user's
            pass
    return False


def keep_freed_memory() -> None:
    """Make glibc's malloc keep freed memory for the next step or photograph.

    By default it unmaps every large tensor, and the kernel has to map and clear as many pages
    again. Does nothing without glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    mallopt(-3, 1 << 30)  # M_MMAP_THRESHOLD, bytes
    mallopt(-1, (1 << 31) - 1)  # M_TRIM_THRESHOLD, bytes
    mallopt(-2, 1 << 26)  # M_TOP_PAD, bytes: else a thread's heap is unmapped whenever it is empty


def trim_heap() -> None:
    """Make glibc's malloc return free pages to the system, also those between used ones.

    Decoding thousands of photographs leaves gigabytes of them. Does nothing without glibc.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def raise_open_file_limit(count: int) -> None:
    """Raise the limit of open files to a count, as far as the hard limit allows."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
