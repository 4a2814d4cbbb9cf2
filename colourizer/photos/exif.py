"""EXIF and TIFF directories: read, and written anew with orientation and software set."""

import struct
from fractions import Fraction
from io import SEEK_END, BytesIO
from typing import BinaryIO

# A tag's value as the file holds it: type, count, bytes in the file's byte order.
Value = tuple[int, int, bytes]
# Bytes of one item of each type: BYTE, ASCII, SHORT, LONG, RATIONAL, ...; 16 to 18 are BigTIFF's.
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5
NEW_SUBFILE_TYPE, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 254, 274, 282, 283, 296
SOFTWARE, XMP, ICC_PROFILE = 305, 700, 34675
# Tags whose value is the place of a directory of further tags: EXIF, GPS, interoperability.
DIRECTORIES = (34665, 34853, 40965)
# Tags of a TIFF that describe how its old pixels were stored: sizes, strips, tiles, colour tables,
# transfer functions, subdirectories, JPEG tables; XMP and ICC, which are carried on their own; and
# 37724, the layers of an image editor.
ENCODING = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281),
    *(284, 288, 289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326),
    *(327, 328, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347),
    *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, XMP, ICC_PROFILE, 37724),
}
MOST_DIRECTORIES = 10_000  # a chain of more is damaged


class Directory:
    """A directory of tags, as EXIF and TIFF files have them, in the byte order "<" or ">"."""

    def __init__(self, order: str, tags: dict[int, Value] | None = None) -> None:
        self.order = order
        self.tags = {} if tags is None else tags
        self.below: dict[int, Directory] = {}  # by the tag, one of DIRECTORIES, that leads there

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Read a tag of whole numbers; of any other and of a missing one, nothing."""
        kind, count, raw = self.tags.get(tag, (0, 0, b""))
        code = {1: "B", SHORT: "H", LONG: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
        return struct.unpack(f"{self.order}{count}{code}", raw) if code else ()

    def put(self, tag: int, kind: int, *numbers: int) -> None:
        """Set a tag to whole numbers; a rational is two."""
        code, count = {SHORT: "H", LONG: "I", RATIONAL: "I"}[kind], len(numbers)
        raw = struct.pack(f"{self.order}{count}{code}", *numbers)
        self.tags[tag] = (kind, count // 2 if kind == RATIONAL else count, raw)

    def add_software(self, text: str) -> None:
        """Say what made the photograph, after what says so already."""
        kind, _, raw = self.tags.get(SOFTWARE, (ASCII, 0, b""))
        before = raw.rstrip(b"\0 ") if kind == ASCII else b""
        if text.encode() not in before:
            raw = b"; ".join(filter(None, (before, text.encode()))) + b"\0"
            self.tags[SOFTWARE] = (ASCII, len(raw), raw)

    def add_resolution(self, dpi: tuple[float, float], per_cm: bool = False) -> None:
        """Say how many pixels an inch has across and down, unless that is said already."""
        if X_RESOLUTION in self.tags:
            return
        for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
            ratio = Fraction(value / 2.54 if per_cm else value).limit_denominator(10_000)
            self.put(tag, RATIONAL, ratio.numerator, ratio.denominator)
        self.put(RESOLUTION_UNIT, SHORT, 3 if per_cm else 2)

    def pack(self, base: int) -> bytes:
        """Write the directory, its values and the directories below it.

        Args:
            base: the place in the file, an even number, that the first byte goes to.
        """
        tags = {tag: value for tag, value in self.tags.items() if tag not in self.below}
        size = 2 + 12 * (len(tags) + len(self.below)) + 4
        behind = b""  # the values that are longer than four bytes
        entries = {}
        for tag, (kind, count, raw) in tags.items():
            field = raw.ljust(4, b"\0")
            if len(raw) > 4:
                field = struct.pack(f"{self.order}I", base + size + len(behind))
                behind += raw + b"\0" * (len(raw) % 2)
            entries[tag] = struct.pack(f"{self.order}HHI", tag, kind, count) + field
        for tag, directory in self.below.items():
            place = base + size + len(behind)
            entries[tag] = struct.pack(f"{self.order}HHII", tag, LONG, 1, place)
            behind += directory.pack(place)
        ordered = b"".join(entries[tag] for tag in sorted(entries))
        return struct.pack(f"{self.order}H", len(entries)) + ordered + b"\0\0\0\0" + behind


def read_exactly(file: BinaryIO, place: int, size: int) -> bytes:
    """Read so many bytes at a place of a file, which must be there."""
    if place + size > file.seek(0, SEEK_END):  # before memory is taken for them
        raise ValueError("tags lie beyond the end of the file")
    file.seek(place)
    return file.read(size)


def read_directory(
    file: BinaryIO, place: int, order: str, big: bool, wanted: frozenset[int] | None = None
) -> tuple[Directory, int]:
    """Read a directory, not those below it; return it and the next one's place, 0 for none.

    Args:
        file: a TIFF file, or EXIF, which is one.
        place: where the directory begins.
        order: "<" or ">".
        big: whether it is a BigTIFF.
        wanted: the tags to read; without, all whose values lie within the file.
    """
    head, entry, word = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (n,) = struct.unpack(order + head, read_exactly(file, place, word if big else 2))
    if n > MOST_DIRECTORIES:
        raise ValueError("a directory of too many tags")
    step, start = 4 + 2 * word, place + (word if big else 2)
    table = read_exactly(file, start, n * step)
    rest = file.read(word)  # missing at the end of some EXIF, which means the same as 0
    found = Directory(order)
    room = file.seek(0, SEEK_END)  # bytes: thousands of tags may all claim the same large value
    for at in range(0, n * step, step):
        tag, kind, count = struct.unpack_from(order + entry, table, at)
        size = count * TYPE_BYTES.get(kind, 0)
        if not size or (wanted is not None and tag not in wanted):
            continue
        raw = table[at + 4 + word : at + step]
        try:
            if size > word:
                (value_place,) = struct.unpack(order + ("Q" if big else "I"), raw)
                room -= size
                if room < 0:
                    continue
                raw = read_exactly(file, value_place, size)
        except (ValueError, OverflowError, OSError):
            continue  # one broken value is no reason to lose the others
        found.tags[tag] = (kind, count, raw[:size])
    return found, int.from_bytes(rest, "little" if order == "<" else "big")


def read_header(file: BinaryIO) -> tuple[str, bool, int]:
    """Read the header of a TIFF; return byte order, whether it is a BigTIFF, the first place."""
    head = read_exactly(file, 0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{order or '<'}H", head[2:4])[0]
    if order is None or version not in (42, 43):
        raise ValueError("no TIFF header")
    if version == 43:
        return order, True, int(struct.unpack(f"{order}Q", read_exactly(file, 8, 8))[0])
    return order, False, int(struct.unpack(f"{order}I", head[4:])[0])


def read_tags(file: BinaryIO) -> Directory:
    """Read the first directory of a TIFF or of EXIF, and those below it.

    Raises:
        ValueError: there is none; struct.error and OSError mean the same.
    """
    order, big, place = read_header(file)
    first, _ = read_directory(file, place, order, big)

    def descend(directory: Directory, depth: int) -> None:
        for tag in DIRECTORIES:
            places = directory.numbers(tag)
            directory.tags.pop(tag, None)
            if len(places) != 1 or depth > 2:
                continue
            try:
                directory.below[tag], _ = read_directory(file, places[0], order, big)
            except (ValueError, struct.error, OSError):
                continue
            descend(directory.below[tag], depth + 1)

    descend(first, 0)
    return first


def tiff_pages(file: BinaryIO) -> int:
    """Count the pages of a TIFF; reduced copies and masks of a page are none."""
    order, big, place = read_header(file)
    seen: set[int] = set()
    pages = 0
    while place and place not in seen and len(seen) < MOST_DIRECTORIES:
        seen.add(place)
        wanted = frozenset((NEW_SUBFILE_TYPE,))
        try:
            directory, place = read_directory(file, place, order, big, wanted)
        except (ValueError, struct.error, OSError):
            break
        kind = directory.numbers(NEW_SUBFILE_TYPE)
        pages += not kind or not kind[0] & 0b101  # bit 0: reduced; bit 2: a mask
    return pages


def exif_of_tiff(file: BinaryIO) -> bytes:
    """Take out of a TIFF file what EXIF would say: everything but how its pixels are stored."""
    tags = read_tags(file)
    # The values of types 13 and 16 to 18 are places in the file, or too long for EXIF.
    kept = {
        tag: value
        for tag, value in tags.tags.items()
        if tag not in ENCODING and value[0] <= 12 and tag not in DIRECTORIES
    }
    tags.tags = kept
    if not kept and not tags.below:
        return b""
    return _header(tags.order, 8) + tags.pack(8)


def _header(order: str, place: int) -> bytes:
    return struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, place)


def new_exif(
    exif: bytes,
    software: str | None,
    dpi: tuple[float, float] | None = None,
    keep_orientation: bool = True,
) -> bytes:
    """Say in EXIF that the photograph is upright and what made it; nothing else moves.

    Maker notes and all else stay where they were, byte by byte, because their own places count
    from the beginning; a new first directory goes to the end. The thumbnail, which shows the
    photograph in grey and not turned, is no longer pointed to.

    Args:
        exif: as a TIFF; empty for none.
        software: what to add to the tag Software.
        dpi: pixels per inch across and down, if EXIF is to say it; what it says itself goes first.
        keep_orientation: set Orientation to 1, where it is; or leave it out.

    Returns:
        EXIF as a TIFF; empty if there is nothing to say, or `exif` says nothing intelligible.
    """
    if not exif and not software and not dpi:
        return b""
    try:
        file = BytesIO(exif) if exif else BytesIO(_header("<", 8) + b"\0" * 6)
        order, big, place = read_header(file)
        first, _ = read_directory(file, place, order, big)
        if big:
            raise ValueError("EXIF is never a BigTIFF")
    except (ValueError, struct.error, OSError):
        return new_exif(b"", software, dpi) if exif else b""
    if ORIENTATION in first.tags:
        first.put(ORIENTATION, SHORT, 1)
        if not keep_orientation:
            del first.tags[ORIENTATION]
    if software:
        first.add_software(software)
    if dpi:
        first.add_resolution(dpi)
    body = exif if exif else _header("<", 8)
    body += b"\0" * (len(body) % 2)
    return _header(order, len(body)) + body[8:] + first.pack(len(body))


def exif_directory(exif: bytes) -> Directory:
    """Read EXIF for a TIFF file to take over; empty where it is not intelligible."""
    try:
        tags = read_tags(BytesIO(exif))
    except (ValueError, struct.error, OSError):
        return Directory("<")
    tags.tags = {tag: value for tag, value in tags.tags.items() if tag not in ENCODING}
    return tags
