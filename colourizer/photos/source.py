"""A photograph's source: a path, or an open file that is read from any place."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def own_source(source: Path | BinaryIO) -> Path | io.BytesIO:
    """Give Pillow what it may close when it has read it."""
    return source if isinstance(source, Path) else io.BytesIO(read_content(source))


@contextmanager
def open_source(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path; of an open file, come back to its place afterwards."""
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
    """Read all of a file."""
    with open_source(source) as file:
        file.seek(0)
        return file.read()
