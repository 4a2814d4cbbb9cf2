"""atomic_file.py: files are written whole or not at all; what killed runs left is removed."""

import os
import subprocess
import sys
import time

import pytest

from colourizer.runtime.atomic_file import (
    LEFTOVER_SECONDS,
    PART,
    PartFile,
    remove_leftovers,
    write_atomically,
    write_bytes,
)


def test_a_failed_write_leaves_what_was_there_and_no_rest(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")

    def write(file) -> None:
        file.write(b"half")
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        write_atomically(target, write)
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [target]


def test_a_file_appears_only_when_it_is_finished(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"before")
    part = PartFile(target)
    part.write(lambda file: file.write(b"after"))
    assert target.read_bytes() == b"before"
    part.finish()
    assert target.read_bytes() == b"after"
    assert list(tmp_path.iterdir()) == [target]


def test_an_error_names_the_file_that_was_to_be_written(tmp_path):
    (tmp_path / "a.png").mkdir()
    for target in (tmp_path / "a.png", tmp_path / "gone" / "a.png"):
        with pytest.raises(OSError) as caught:
            write_atomically(target, lambda file: file.write(b"content"))
        assert caught.value.filename == str(target)
        assert PART not in str(caught.value)


def test_a_flush_that_was_begun_early_and_failed_fails_the_file(tmp_path, monkeypatch):
    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    part = PartFile(tmp_path / "a.png")
    part.write(lambda file: file.write(b"content"))
    part.begin_flush()
    assert part.digest()[1] == 7
    with pytest.raises(OSError, match="No space left"):
        part.finish()
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_removed_ends_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    part = PartFile(tmp_path / "out" / "a.png")
    part.write(lambda file: file.write(b"content"))
    (tmp_path / "out").rename(tmp_path / "moved")
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(NotADirectoryError):
        part.finish()
    part.discard()


def test_a_folder_that_is_not_there_yet_is_made(tmp_path):
    write_bytes(tmp_path / "new" / "folder" / "a", b"content")
    assert (tmp_path / "new" / "folder" / "a").read_bytes() == b"content"


@pytest.mark.skipif(os.name != "posix", reason="asks the system whether a process is there")
def test_of_leftovers_only_those_of_processes_that_are_gone_are_removed(tmp_path):
    begin = "import sys; from pathlib import Path; from colourizer.runtime.atomic_file import *\n"
    begin += "import os; PartFile(Path(sys.argv[1])).write(lambda file: os._exit(1))"
    subprocess.run([sys.executable, "-c", begin, tmp_path / "a"], check=False)
    mine = PartFile(tmp_path / "b")
    mine.write(lambda file: file.write(b"content"))
    other = tmp_path / f"{PART}elsewhere-1-0123"
    other.write_bytes(b"another machine's")
    assert len(list(tmp_path.iterdir())) == 3
    remove_leftovers([tmp_path])
    assert len(list(tmp_path.iterdir())) == 2
    old = time.time() - LEFTOVER_SECONDS - 1
    os.utime(other, (old, old))
    remove_leftovers([tmp_path])
    mine.finish()
    assert list(tmp_path.iterdir()) == [tmp_path / "b"]
