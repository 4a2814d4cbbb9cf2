"""Atomic writes: a part file beside the target, flushed to disk, then renamed."""

import errno
import hashlib
import os
import secrets
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from colourizer.runtime.process import MACHINE, has_ended

# A part file's name is PART, its writer's machine, process and a random number. One of a dead
# process is removed at once, one of another machine LEFTOVER_SECONDS after its last change.
PART, LEFTOVER_SECONDS = ".part-", 3600
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_part_files: set[Path] = set()
_flusher = ThreadPoolExecutor(4, "flush")  # threads, which are started when there is something


class PartFile:
    """A file that is written beside its target, then renamed: the target is never incomplete."""

    def __init__(self, path: Path) -> None:
        """Take the target's path; its folder must exist. An existing file is replaced."""
        self._path = path
        name = f"{PART}{MACHINE}-{os.getpid()}-{secrets.token_hex(8)}"
        self._part = path.with_name(name)
        self._flushed: Future[None] | None = None

    def write(self, write: Callable[[BinaryIO], object]) -> None:
        """Write the part file; `write` is called with it, open. If that fails it is removed.

        Images that Pillow writes need photos.encode.save_image, which notices a full disk.
        """
        _part_files.add(self._part)
        try:
            self._file = self._part.open("x+b")
            write(self._file)
            self._file.flush()
        except BaseException as error:
            self._fail(error)
            if isinstance(error, RuntimeError) and isinstance(error.__context__, OSError):
                raise error.__context__ from None  # torch.save raises another for a full disk
            raise

    def begin_flush(self) -> None:
        """Begin to flush what was written to disk; `finish` waits for it. Takes no computing."""
        self._flushed = _flusher.submit(os.fsync, self._file.fileno())

    def digest(self) -> tuple[str, int]:
        """Return the SHA-256 of what was written, hexadecimal, and its size in bytes."""
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest(), self._file.tell()

    def finish(self, modified: int | None = None) -> None:
        """Flush the part file to disk and rename it to the target; any thread may do so.

        Args:
            modified: the file's time of modification, in nanoseconds since 1970; None is now.
        """
        try:
            if self._flushed:
                self._flushed.result()
            else:
                os.fsync(self._file.fileno())
            self._file.close()
            if modified is not None:
                with suppress(OSError, OverflowError):  # a file system that has no such times
                    os.utime(self._part, ns=(modified, modified))
            self._part.replace(self._path)
        except BaseException as error:
            self._fail(error)
            raise
        _part_files.discard(self._part)

    def _fail(self, error: BaseException) -> None:
        """Discard; an error that names the part file names the target instead, which users know."""
        self.discard()
        if isinstance(error, OSError) and error.filename == str(self._part):
            error.filename, error.filename2 = str(self._path), None

    def discard(self) -> None:
        """Remove the part file, if that can be done; the target stays as it is."""
        if self._flushed:
            wait([self._flushed])
        with suppress(AttributeError, OSError):  # not opened; or the disk is full
            self._file.close()
        with suppress(OSError):
            self._part.unlink()
        _part_files.discard(self._part)


def write_atomically(
    path: Path, write: Callable[[BinaryIO], object], modified: int | None = None
) -> None:
    """Write a file atomically; arguments as for `PartFile`."""
    file = PartFile(path)
    file.write(write)
    file.finish(modified)


def discard_part_files() -> None:
    """Remove this process's part files, before it is ended while it writes."""
    for temporary in list(_part_files):
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove the part files in folders that killed processes have left."""
    for folder in folders:
        for path in folder.glob(f"{PART}*"):
            with suppress(OSError):  # gone by now, or another user's
                if _is_abandoned(path):
                    path.unlink()


def _is_abandoned(path: Path) -> bool:
    """Return whether the process that was writing a part file has ended."""
    machine, _, rest = path.name.removeprefix(PART).partition("-")
    process = rest.partition("-")[0]
    if machine == MACHINE and process.isdigit() and os.name == "posix":
        return has_ended(int(process))
    return path.stat().st_mtime < time.time() - LEFTOVER_SECONDS


def write_bytes(path: Path, content: bytes, modified: int | None = None) -> None:
    """Write a file atomically, modified at a time; its folder is made if it does not exist."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda file: file.write(content), modified)
