"""Notes on files, valid as long as a file's size, times and inode are unchanged."""

import json
import time
from pathlib import Path
from typing import NamedTuple

from colourizer.runtime.atomic_file import write_bytes
from colourizer.storage.files import CLOCK_STEP


class FileVersion(NamedTuple):
    """What tells a file's versions apart without reading it; times in nanoseconds."""

    size: int
    mtime: int
    ctime: int
    inode: int

    def is_settled(self) -> bool:
        """Return whether a later change of the file would show in its times."""
        return time.time_ns() - max(self.mtime, self.ctime) > CLOCK_STEP


def file_version(path: Path) -> FileVersion:
    """Return a file's version.

    Raises:
        OSError: there is no such file.
    """
    status = path.stat()
    return FileVersion(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class FileNotes:
    """A note on each of many files, kept as JSON: {path: [size, mtime, ctime, inode, note]}."""

    def __init__(self, path: Path | None) -> None:
        """Read the notes; if there are none, or they are damaged, begin without.

        Args:
            path: the JSON file, which need not be there yet; None keeps nothing.
        """
        self._path, self._changed = path, False
        self._notes: dict[str, list[int | str]] = {}
        try:
            notes = json.loads(path.read_bytes()) if path else {}
        except (OSError, ValueError):
            return
        if isinstance(notes, dict):
            self._notes = notes

    def get(self, path: Path) -> str | None:
        """Return the note on a file, None if there is none or the file has changed since."""
        row = self._notes.get(str(path.absolute()))
        try:
            if row and (*file_version(path),) == tuple(row[:-1]):
                return str(row[-1])
        except (OSError, TypeError):  # gone; no list
            pass
        return None

    def add(self, path: Path, version: FileVersion, note: str) -> None:
        """Note something on a file's version; it replaces an earlier note."""
        row: list[int | str] = [*version, note]
        if self._notes.get(str(path.absolute())) != row:
            self._notes[str(path.absolute())] = row
            self._changed = True

    def save(self) -> None:
        """Write the notes if some are new; of several processes' the last one's stay.

        Raises:
            OSError: they cannot be written.
        """
        if self._path and self._changed:
            write_bytes(self._path, json.dumps(self._notes).encode())
            self._changed = False
