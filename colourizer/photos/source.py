"""Sources of photographs: a path, or an open file that can be read from any place."""

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast


def closeable_source(source: Path | BinaryIO) -> Path | io.BytesIO:
    """Return a source that Pillow may close: a path, or a copy in memory of an open file."""
    return source if isinstance(source, Path) else io.BytesIO(read_content(source))


@contextmanager
def open_source(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Yield a path's file, or an open file, whose position is restored afterwards."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
        return
    place = source.tell()
    try:
        yield source
    finally:
        source.seek(place)


def read_content(source: Path | BinaryIO) -> bytes:
    """Read all of a source."""
    with open_source(source) as file:
        file.seek(0)
        return file.read()


def hash_source(source: Path | BinaryIO) -> tuple[str, int]:
    """Return the SHA-256 of a source, hexadecimal, and its size in bytes."""
    with open_source(source) as file:
        file.seek(0)
        digest = hashlib.file_digest(cast(io.BufferedReader, file), "sha256")
        return digest.hexdigest(), file.seek(0, io.SEEK_END)
