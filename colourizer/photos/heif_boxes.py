"""Properties of an AVIF's or HEIF's primary picture, which Pillow does not tell."""

import struct
from collections.abc import Iterator
from io import SEEK_END
from typing import BinaryIO

from colourizer.photos.orientation import join_turns

# What turning anticlockwise by 90 degrees, so many times, and mirroring are called in EXIF.
ROTATIONS, MIRRORS = (1, 8, 3, 6), (4, 2)
MAX_META = 1 << 26  # bytes of a file's description; of thousands of tiles it has less than 1 MB


def read_properties(file: BinaryIO) -> list[tuple[bytes, bytes]]:
    """Return the type and content of each property of the primary picture (ISO/IEC 23008-12, 9.3).

    Returns:
        in the order in which they are to be obeyed; nothing of a damaged file.
    """
    try:
        meta = _read_meta(file)[4:]
        inner = dict(_iterate_boxes(meta))
        primary = inner[b"pitm"]
        (number,) = struct.unpack_from(">I" if primary[0] else ">H", primary, 4)
        tables = list(_iterate_boxes(inner[b"iprp"]))
        properties = list(_iterate_boxes(dict(tables)[b"ipco"]))
        associations = (content for kind, content in tables if kind == b"ipma")
        places = [n for content in associations for n in _find_places(content, number)]
        return [properties[n - 1] for n in places if n]
    except (KeyError, IndexError, struct.error):
        return []


def read_stored_orientation(file: BinaryIO) -> int:
    """Return the orientation, 1 to 8, in which the primary picture is stored."""
    turns = []
    for kind, content in read_properties(file):
        if kind == b"irot" and content:
            turns.append(ROTATIONS[content[0] & 3])
        elif kind == b"imir" and content:
            turns.append(MIRRORS[content[0] & 1])
    return join_turns(turns)


def _read_meta(file: BinaryIO) -> bytes:
    """Return the content of the box that describes the file's pictures; b"" without one."""
    end, place = file.seek(0, SEEK_END), 0
    while place + 8 <= end:
        file.seek(place)
        head = file.read(16)
        size, kind, long_size = struct.unpack(">I4sQ", head.ljust(16, b"\0"))
        size, start = (long_size, 16) if size == 1 else (size or end - place, 8)
        if kind == b"meta":
            file.seek(place + start)
            return file.read(max(0, min(size - start, MAX_META)))
        place += max(size, start)
    return b""


def _iterate_boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the boxes that follow each other."""
    place = 0
    while place + 8 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, place)
        size = size or len(content) - place
        yield kind, content[place + 8 : place + size]
        place += max(size, 8)


def _find_places(content: bytes, wanted: int) -> Iterator[int]:
    """Yield the numbers, from 1, of a picture's properties in a table of associations (ipma)."""
    version, is_wide = content[0], content[3] & 1
    (count,) = struct.unpack_from(">I", content, 4)
    place = 8
    for _ in range(count):
        (number,) = struct.unpack_from(">I" if version else ">H", content, place)
        place += 4 if version else 2
        total, place = content[place], place + 1
        numbers = struct.unpack_from(f">{total}{'H' if is_wide else 'B'}", content, place)
        place += total * (2 if is_wide else 1)
        if number == wanted:
            yield from (n & (0x7FFF if is_wide else 0x7F) for n in numbers)
