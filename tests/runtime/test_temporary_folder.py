"""temporary_folder.py: nothing is left for good, and nobody else's is removed."""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack

from colourizer.runtime.temporary_folder import temporary_folder


def test_folders_of_killed_processes_are_removed_and_those_of_others_are_not(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with ExitStack() as stack:
        folder = temporary_folder(stack)
        (folder / "film.mp4").write_bytes(b"half")
        left = tmp_path / folder.name.replace(f"-{os.getpid()}-", f"-{gone.pid}-")
        (left / "below").mkdir(parents=True)
        other = temporary_folder(stack)
        assert sorted(tmp_path.iterdir()) == sorted([folder, other])
    assert list(tmp_path.iterdir()) == []
