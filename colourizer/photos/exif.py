"""EXIF and TIFF directories: read, and updated with orientation and software."""

import re
import struct
from fractions import Fraction
from io import SEEK_END, BytesIO
from typing import BinaryIO

from colourizer.photos.photoshop import keep_true_resources

# A tag's value as the file holds it: type, count, bytes in the file's byte order. Types and tags
# have the numbers of TIFF 6.0.
Value = tuple[int, int, bytes]
# Bytes of one item of each type: BYTE, ASCII, SHORT, LONG, RATIONAL, ...; 16 to 18 are BigTIFF's.
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
TYPE_BYTES |= {16: 8, 17: 8, 18: 8}
BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 1, 2, 3, 4, 5, 7, 16
NEW_SUBFILE_TYPE, ORIENTATION, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 254, 274, 282, 283, 296
SOFTWARE, XMP, IPTC, ICC_PROFILE, PHOTOSHOP = 305, 700, 33723, 34675, 34377
# Tags whose value is the offset of a directory of further tags: EXIF, GPS, interoperability.
DIRECTORIES = (34665, 34853, 40965)
# Tags of a TIFF that describe how its old pixels were stored: sizes, strips, tiles, colour tables,
# transfer functions, subdirectories, JPEG tables; XMP and ICC, which are carried on their own; and
# 37724, the layers of an image editor.
STORAGE_TAGS = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281),
    *(284, 288, 289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326),
    *(327, 328, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347),
    *(512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, XMP, ICC_PROFILE, 37724),
}
# What tifffile, ImageJ and OME write as ImageDescription: numbers and types of samples.
DESCRIPTION = 270
OF_SAMPLES = re.compile(
    rb'\{"shape": \[|ImageJ=|(<\?xml\b[^>]*>)?\s*(<!--.*?-->)?\s*<OME\b', re.DOTALL
)
# BitsPerSample, PhotometricInterpretation, SamplesPerPixel; Photoshop puts them into JPEGs, too.
SAMPLE_TAGS = (258, 262, 277)
MAX_DIRECTORIES = 10_000  # a chain of more is damaged


class Directory:
    """An image file directory (IFD) of EXIF or TIFF.

    Attributes:
        order: byte order, "<" or ">".
        tags: values by tag.
        children: directories by the tag, one of DIRECTORIES, that points to them.
    """

    def __init__(self, order: str, tags: dict[int, Value] | None = None) -> None:
        self.order = order
        self.tags = {} if tags is None else tags
        self.children: dict[int, Directory] = {}

    def numbers(self, tag: int) -> tuple[int, ...]:
        """Return the whole numbers of a tag; none if it is missing, or of another type."""
        kind, count, raw = self.tags.get(tag, (0, 0, b""))
        code = {1: "B", SHORT: "H", LONG: "I", 13: "I", 16: "Q", 18: "Q"}.get(kind)
        return struct.unpack(f"{self.order}{count}{code}", raw) if code else ()

    def put(self, tag: int, kind: int, *numbers: int) -> None:
        """Set a tag to whole numbers, of which a rational takes two."""
        code, count = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}[kind], len(numbers)
        raw = struct.pack(f"{self.order}{count}{code}", *numbers)
        self.tags[tag] = (kind, count // 2 if kind == RATIONAL else count, raw)

    def add_software(self, text: str) -> None:
        """Append a program to the tag Software, unless it is there already."""
        kind, _, raw = self.tags.get(SOFTWARE, (ASCII, 0, b""))
        before = raw.rstrip(b"\0 ") if kind == ASCII else b""
        if text.encode() not in before:
            raw = b"; ".join(filter(None, (before, text.encode()))) + b"\0"
            self.tags[SOFTWARE] = (ASCII, len(raw), raw)

    def add_resolution(self, dpi: tuple[float, float], per_cm: bool = False) -> None:
        """Set the resolution, unless there is one.

        Args:
            dpi: pixels per inch, (across, down).
            per_cm: store it per centimetre.
        """
        if X_RESOLUTION in self.tags:
            return
        for tag, value in zip((X_RESOLUTION, Y_RESOLUTION), dpi, strict=True):
            ratio = Fraction(value / 2.54 if per_cm else value).limit_denominator(10_000)
            self.put(tag, RATIONAL, ratio.numerator, ratio.denominator)
        self.put(RESOLUTION_UNIT, SHORT, 3 if per_cm else 2)

    def pack(self, offset: int, big: bool = False) -> bytes:
        """Return the directory's bytes, its values and its children after it.

        Args:
            offset: of the first byte in the file, an even number.
            big: whether it is part of a BigTIFF.
        """
        head, word, room = ("Q", "Q", 8) if big else ("H", "I", 4)
        tags = {tag: value for tag, value in self.tags.items() if tag not in self.children}
        size = struct.calcsize(f"<{head}{word}")  # of the count of tags, and of no next directory
        size += struct.calcsize(f"<HH{word}{word}") * (len(tags) + len(self.children))
        data = b""  # the values for which an entry has no room, and the children
        entries = {}
        for tag, (kind, count, raw) in tags.items():
            field = raw.ljust(room, b"\0")
            if len(raw) > room:
                field = struct.pack(self.order + word, offset + size + len(data))
                data += raw + b"\0" * (len(raw) % 2)
            entries[tag] = struct.pack(f"{self.order}HH{word}", tag, kind, count) + field
        for tag, child in self.children.items():
            place, kind = offset + size + len(data), LONG8 if big else LONG
            entries[tag] = struct.pack(f"{self.order}HH{word}{word}", tag, kind, 1, place)
            data += child.pack(place, big)
        ordered = b"".join(entries[tag] for tag in sorted(entries))
        return struct.pack(self.order + head, len(entries)) + ordered + bytes(room) + data


def tiff_header(order: str, offset: int, big: bool = False) -> bytes:
    """Return what a TIFF begins with, 8 bytes, or 16 of a BigTIFF.

    Args:
        order: byte order, "<" or ">".
        offset: of the first directory.
        big: whether it is a BigTIFF.
    """
    start = b"II" if order == "<" else b"MM"
    if big:
        return struct.pack(f"{order}2s3HQ", start, 43, 8, 0, offset)
    return struct.pack(f"{order}2sHI", start, 42, offset)


def read_exactly(file: BinaryIO, offset: int, size: int) -> bytes:
    """Read bytes at an offset.

    Raises:
        ValueError: the file has fewer.
    """
    if offset + size > file.seek(0, SEEK_END):  # before memory is taken for them
        raise ValueError("tags lie beyond the end of the file")
    file.seek(offset)
    return file.read(size)


def read_header(file: BinaryIO) -> tuple[str, bool, int]:
    """Read the header of a TIFF.

    Returns:
        byte order, whether it is a BigTIFF, and the offset of its first directory.

    Raises:
        ValueError: there is none.
    """
    head = read_exactly(file, 0, 8)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(f"{order or '<'}H", head[2:4])[0]
    if order is None or version not in (42, 43):
        raise ValueError("no TIFF header")
    if version == 43:
        return order, True, int(struct.unpack(f"{order}Q", read_exactly(file, 8, 8))[0])
    return order, False, int(struct.unpack(f"{order}I", head[4:])[0])


def read_directory(
    file: BinaryIO, offset: int, order: str, big: bool, wanted: frozenset[int] | None = None
) -> tuple[Directory, int]:
    """Read a directory, but not its children.

    Args:
        file: a TIFF file, or EXIF, which is one.
        offset: where the directory begins.
        order: byte order, "<" or ">".
        big: whether it is a BigTIFF.
        wanted: the tags to read; without, all whose values lie within the file.

    Returns:
        the directory, and the offset of the next one, 0 for none.
    """
    head, entry, word = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (n,) = struct.unpack(order + head, read_exactly(file, offset, word if big else 2))
    if n > MAX_DIRECTORIES:
        raise ValueError("a directory of too many tags")
    step, start = 4 + 2 * word, offset + (word if big else 2)
    table = read_exactly(file, start, n * step)
    following = file.read(word)  # missing at the end of some EXIF, which means the same as 0
    directory = Directory(order)
    room = file.seek(0, SEEK_END)  # bytes: thousands of tags may all claim the same large value
    for at in range(0, n * step, step):
        tag, kind, count = struct.unpack_from(order + entry, table, at)
        size = count * TYPE_BYTES.get(kind, 0)
        if not size or (wanted is not None and tag not in wanted):
            continue
        raw = table[at + 4 + word : at + step]
        try:
            if size > word:
                (value_offset,) = struct.unpack(order + ("Q" if big else "I"), raw)
                room -= size
                if room < 0:
                    continue
                raw = read_exactly(file, value_offset, size)
        except (ValueError, OverflowError, OSError):
            continue  # one broken value is no reason to lose the others
        directory.tags[tag] = (kind, count, raw[:size])
    return directory, int.from_bytes(following, "little" if order == "<" else "big")


def read_tags(file: BinaryIO) -> Directory:
    """Read the first directory of a TIFF or of EXIF, and its children.

    Raises:
        ValueError: there is none; struct.error and OSError mean the same.
    """
    order, big, offset = read_header(file)
    first, _ = read_directory(file, offset, order, big)

    def read_children(directory: Directory, depth: int) -> None:
        for tag in DIRECTORIES:
            offsets = directory.numbers(tag)
            directory.tags.pop(tag, None)
            if len(offsets) != 1 or depth > 2:
                continue
            try:
                directory.children[tag], _ = read_directory(file, offsets[0], order, big)
            except (ValueError, struct.error, OSError):
                continue
            read_children(directory.children[tag], depth + 1)

    read_children(first, 0)
    return first


def extract_exif(file: BinaryIO, turned: bool = False) -> bytes:
    """Return a TIFF file's tags as EXIF, less those that describe how its pixels are stored.

    Args:
        file: a TIFF.
        turned: whether its picture is turned upright: Photoshop's positions are left out then.

    Raises:
        ValueError: it has none; struct.error and OSError mean the same.
    """
    directory = read_tags(file)
    # The values of types 13 and 16 to 18 are offsets in the file, or too long for EXIF.
    directory.tags = {
        tag: value
        for tag, value in directory.tags.items()
        if tag not in STORAGE_TAGS and value[0] <= 12 and tag not in DIRECTORIES
    }
    if OF_SAMPLES.match(directory.tags.get(DESCRIPTION, (0, 0, b""))[2]):
        del directory.tags[DESCRIPTION]
    kind, _, resources = directory.tags.get(PHOTOSHOP, (0, 0, b""))
    if kind in (BYTE, UNDEFINED):
        resources = keep_true_resources(resources, turned)
        directory.tags[PHOTOSHOP] = (kind, len(resources), resources)
    if not directory.tags and not directory.children:
        return b""
    return tiff_header(directory.order, 8) + directory.pack(8)


def parse_exif(exif: bytes) -> Directory:
    """Return EXIF as the directory of a TIFF file; an empty one where it is broken."""
    try:
        directory = read_tags(BytesIO(exif))
    except (ValueError, struct.error, OSError):
        return Directory("<")
    directory.tags = {t: value for t, value in directory.tags.items() if t not in STORAGE_TAGS}
    return directory


def update_exif(
    exif: bytes,
    provenance: str | None,
    dpi: tuple[float, float] | None = None,
    keep_orientation: bool = True,
) -> bytes:
    """Return EXIF of an upright photograph, with the program that made it; nothing else moves.

    Maker notes and all else stay where they were, byte by byte, because they hold offsets from the
    beginning; a new first directory is appended. The thumbnail, which shows the photograph in grey
    and not turned, is no longer pointed to; what says how grey samples were stored is left out.

    Args:
        exif: as a TIFF; empty for none.
        provenance: what to append to the tag Software.
        dpi: pixels per inch, (across, down), to store where there is no resolution.
        keep_orientation: set Orientation, where it is, to 1; else leave it out.

    Returns:
        EXIF as a TIFF; empty if there is nothing to store. Broken EXIF is replaced.
    """
    if not exif and not provenance and not dpi:
        return b""
    try:
        first = _read_first_directory(exif) if exif else Directory("<")
    except (ValueError, struct.error, OSError):
        return update_exif(b"", provenance, dpi)
    if ORIENTATION in first.tags:
        first.put(ORIENTATION, SHORT, 1)
        if not keep_orientation:
            del first.tags[ORIENTATION]
    for tag in SAMPLE_TAGS:
        first.tags.pop(tag, None)
    if provenance:
        first.add_software(provenance)
    if dpi:
        first.add_resolution(dpi)
    body = exif[8:] + b"\0" * (len(exif) % 2)
    offset = 8 + len(body)
    return tiff_header(first.order, offset) + body + first.pack(offset)


def _read_first_directory(exif: bytes) -> Directory:
    file = BytesIO(exif)
    order, big, offset = read_header(file)
    if big:
        raise ValueError("EXIF is never a BigTIFF")
    return read_directory(file, offset, order, big)[0]
