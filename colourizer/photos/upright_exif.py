"""EXIF's sizes, resolutions and positions in pixels, made those of the upright picture."""

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import NamedTuple

from colourizer.photos.exif import (
    DIRECTORIES,
    LONG,
    SHORT,
    TYPE_BYTES,
    X_RESOLUTION,
    Y_RESOLUTION,
    read_header,
)
from colourizer.photos.orientation import swaps_sides, turn_extent, turn_point

EXIF_DIRECTORY, _, INTEROPERABILITY_DIRECTORY = DIRECTORIES
# Tags of width and height (EXIF 2.32): ImageWidth, PixelXDimension, RelatedImageWidth, ...
WIDTHS, HEIGHTS = (256, 0xA002, 0x1001), (257, 0xA003, 0x1002)
# Tags of resolutions, across and down: of the picture, of the focal plane.
RESOLUTIONS = ((X_RESOLUTION, Y_RESOLUTION), (0xA20E, 0xA20F))
SUBJECT_AREA, SUBJECT_LOCATION = 0x9214, 0xA214  # the centre in pixels; of an area, its size too


class _Entry(NamedTuple):
    """An entry of a directory; its offset, and that of its value."""

    tag: int
    kind: int
    length: int
    place: int
    value_place: int


def upright_exif(exif: bytes, orientation: int, size: tuple[int, int]) -> bytes:
    """Return EXIF whose sizes and positions are those of the upright picture.

    Values are replaced where they stand, so that nothing moves. The tag Orientation stays.

    Args:
        exif: as a TIFF; broken EXIF is returned as it is.
        orientation: of the stored picture, 1 to 8.
        size: (H, W) of the upright one, pixels.
    """
    content = bytearray(exif)
    try:
        order, big, offset = read_header(BytesIO(exif))
        if not big:
            _turn_directory(content, order, offset, orientation, size)
    except (ValueError, struct.error):
        return exif
    return bytes(content)


def _turn_directory(
    content: bytearray,
    order: str,
    offset: int,
    orientation: int,
    size: tuple[int, int],
    children: tuple[int, ...] = (EXIF_DIRECTORY, INTEROPERABILITY_DIRECTORY),
) -> None:
    """Replace the values of a directory, and of that which its tag, the first child, points to."""
    entries = {entry.tag: entry for entry in _iterate_entries(content, order, offset)}
    for tags, value in ((WIDTHS, size[1]), (HEIGHTS, size[0])):
        for tag in entries.keys() & tags:
            _put_number(content, order, entries[tag], value)
    for pair in RESOLUTIONS:
        if swaps_sides(orientation) and entries.keys() >= set(pair):
            # All of an entry but its tag is exchanged.
            across, down = (slice(entries[t].place + 2, entries[t].place + 12) for t in pair)
            content[across], content[down] = content[down], content[across]
    for tag in entries.keys() & {SUBJECT_AREA, SUBJECT_LOCATION}:
        if entries[tag].kind == SHORT and entries[tag].length in (2, 3, 4):
            form = f"{order}{entries[tag].length}H"
            _turn_area(content, form, entries[tag].value_place, orientation, size)
    if children and children[0] in entries:
        (child,) = struct.unpack_from(f"{order}I", content, entries[children[0]].value_place)
        _turn_directory(content, order, child, orientation, size, children[1:])


def _put_number(content: bytearray, order: str, entry: _Entry, value: int) -> None:
    """Replace a whole number; one that has become too large for SHORT is made a LONG."""
    if entry.kind not in (SHORT, LONG) or entry.length != 1:
        return
    kind = SHORT if entry.kind == SHORT and value < 1 << 16 else LONG
    form, numbers = ("HIHH", (value, 0)) if kind == SHORT else ("HII", (value,))
    struct.pack_into(order + form, content, entry.place + 2, kind, 1, *numbers)


def _turn_area(
    content: bytearray, form: str, place: int, orientation: int, size: tuple[int, int]
) -> None:
    """Replace a centre, and of an area its diameter or its width and height."""
    x, y, *extent = struct.unpack_from(form, content, place)
    width, height = turn_extent(orientation, size[1], size[0])  # of the stored picture
    across, down = turn_point(orientation, min(x / width, 1), min(y / height, 1))
    if len(extent) == 2:
        extent = [int(side) for side in turn_extent(orientation, *extent)]
    centre = round(across * size[1]), round(down * size[0])
    struct.pack_into(form, content, place, *(min(value, 65535) for value in centre), *extent)


def _iterate_entries(content: bytearray, order: str, offset: int) -> Iterator[_Entry]:
    """Yield a directory's entries.

    Raises:
        struct.error: they lie beyond the end.
    """
    (total,) = struct.unpack_from(f"{order}H", content, offset)
    for place in range(offset + 2, offset + 2 + 12 * total, 12):
        tag, kind, length, value = struct.unpack_from(f"{order}HHII", content, place)
        inline = length * TYPE_BYTES.get(kind, 0) <= 4
        yield _Entry(tag, kind, length, place, place + 8 if inline else value)
