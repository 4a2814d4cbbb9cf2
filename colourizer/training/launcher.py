"""Starts train.py several times on this computer, to train together; quieter than torchrun."""

import logging
import os
import signal
import sys
import uuid

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from colourizer.runtime.cli import print_error


def run_processes(count: int, script: str, arguments: list[str]) -> int:
    """Run a script in several processes, as torchrun does; return the exit code.

    If they fail, what they have printed is all: torchrun would add a traceback of its own, and a
    report on each process.

    Args:
        count: of processes.
        script: a path.
        arguments: its command line.
    """
    logging.disable()  # of torch, to the end of this process
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # as torchrun
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",  # a free port
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
    )
    try:
        elastic_launch(config, sys.executable)("-u", script, *arguments)
    except SignalException as stop:  # the processes have got it too, and have ended
        return 128 + stop.sigval
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        if own := [code for code in codes.values() if code > 0]:
            return own[0]
        rank, code = next(iter(codes.items()))
        print_error(f"process {rank} was ended by {signal.Signals(-code).name}")
        return 1
    return 0
