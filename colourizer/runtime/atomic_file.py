"""Files that are written beside their place and renamed: whole or not at all."""

import errno
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

# A file that is being written has this at the beginning of its name, then its writer's machine and
# process. What a process left that is gone is removed at once; what another machine's left, after
# so long without growing.
PART, LEFTOVER_SECONDS = ".part-", 3600
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_MACHINE = socket.gethostname()[:64].replace("-", "_")
_being_written: set[Path] = set()


class PartFile:
    """A file that is written beside its place, then renamed: nobody ever sees half of it."""

    def __init__(self, path: Path) -> None:
        """Take the file's path; its folder must exist. An existing one is replaced."""
        self._path = path
        name = f"{PART}{_MACHINE}-{os.getpid()}-{secrets.token_hex(8)}"
        self._beside = path.with_name(name)

    def write(self, write: Callable[[BinaryIO], object]) -> None:
        """Write it; `write` is given the open file. Where that fails nothing is left.

        What Pillow writes without Python (JPEG, BMP, TIFF) needs photos.encode.save_image.
        """
        _being_written.add(self._beside)
        try:
            self._file = self._beside.open("x+b")
            write(self._file)
            self._file.flush()
        except BaseException:
            self._give_up()
            raise

    def finish(self) -> None:
        """Wait till the disk has it, then put it in its place; any thread may do so."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._beside.replace(self._path)
        except BaseException:
            self._give_up()
            raise
        _being_written.discard(self._beside)

    def _give_up(self) -> None:
        with suppress(AttributeError, OSError):  # not opened; what it holds back has no room
            self._file.close()
        self._beside.unlink(missing_ok=True)
        _being_written.discard(self._beside)


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file as `PartFile` does, at once; `write` is given the open file."""
    file = PartFile(path)
    file.write(write)
    file.finish()


def give_up_writing() -> None:
    """Remove what is half written, before the process ends in the middle of it."""
    for temporary in list(_being_written):
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove what killed runs left of files that they had begun to write."""
    for folder in folders:
        for path in folder.glob(f"{PART}*"):
            with suppress(OSError):  # gone by now, or another's
                if _is_left(path):
                    path.unlink()


def _is_left(path: Path) -> bool:
    """Say whether the process is gone that was writing a file beside its place."""
    machine, _, rest = path.name.removeprefix(PART).partition("-")
    process = rest.partition("-")[0]
    if machine == _MACHINE and process.isdigit() and os.name == "posix":
        try:
            os.kill(int(process), 0)  # asks only whether it is there
        except ProcessLookupError:
            return True
        except PermissionError:  # there, but another user's
            pass
        return False
    return path.stat().st_mtime < time.time() - LEFTOVER_SECONDS


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, into a folder that need not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write(content))
