"""temporary_folder.py: nothing is left for good, and nobody else's is removed."""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack

from colourizer.runtime.temporary_folder import KEPT_SECONDS, LOCK, kept_folder, temporary_folder


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


def test_a_kept_folder_is_found_again_used_by_one_and_removed_when_it_is_old(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with ExitStack() as stack:
        folder = kept_folder("film", stack)
        assert folder and kept_folder("another", ExitStack()) != folder
        if os.name == "posix":
            assert folder.stat().st_mode & 0o077 == 0
            assert kept_folder("film", ExitStack()) is None
    old = time.time() - KEPT_SECONDS - 1
    os.utime(folder / LOCK, (old, old))
    with ExitStack() as stack:
        assert kept_folder("film", stack) == folder
        os.utime(folder / LOCK, (old, old))
        kept_folder("another", ExitStack())
        assert folder.exists()  # it is old, but in use
    kept_folder("another", ExitStack())
    assert not folder.exists()
