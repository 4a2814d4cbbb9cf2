"""device.py: threads that use one core each leave the main thread all of its own."""

import os
import subprocess
import sys

import pytest
from support.scenes import ROOT

THREADS = """
import os, threading
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, range(os.cpu_count()))  # the tests' process may keep to one core
import torch
from colourizer.network.device import use_one_thread

counts = []
thread = threading.Thread(target=lambda: (use_one_thread(), counts.append(torch.get_num_threads())))
thread.start()
thread.join()
assert counts == [1], counts
assert torch.get_num_threads() == 2, torch.get_num_threads()
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="has one core only")
def test_one_thread_of_many_uses_one_core_and_the_main_thread_all(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    subprocess.run([sys.executable, "-c", THREADS], cwd=ROOT, check=True)
