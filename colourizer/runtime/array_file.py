"""Arrays in a temporary file, for what would not fit into memory; nothing of it is left behind."""

import io
import tempfile
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import numpy as np


class StoredArray(NamedTuple):
    """Where an array lies in the file, and what it is."""

    at: int
    shape: tuple[int, ...]
    dtype: np.dtype


class ArrayFile:
    """A file in the system's temporary folder (TMPDIR) that arrays are appended to.

    It is opened for the first array. It has no name, so that it goes with the process, even if that
    is killed. Threads may share it.
    """

    def __init__(self) -> None:
        self._lock = Lock()

    @cached_property
    def _file(self) -> io.BufferedRandom:
        return tempfile.TemporaryFile()

    def __enter__(self) -> "ArrayFile":
        return self

    def __exit__(self, *_: object) -> None:
        if "_file" in vars(self):
            self._file.close()

    def append(self, array: np.ndarray) -> StoredArray:
        """Write an array; return what `read` takes.

        Raises:
            OSError: it cannot be opened or written.
        """
        with self._lock:
            at = self._file.seek(0, 2)
            self._file.write(np.ascontiguousarray(array).data)
            self._file.flush()
        return StoredArray(at, array.shape, array.dtype)

    def read(self, stored: StoredArray) -> np.ndarray:
        """Read an array that was appended."""
        array = np.empty(stored.shape, stored.dtype)
        with self._lock:
            self._file.seek(stored.at)
            self._file.readinto(array.data)
        return array
