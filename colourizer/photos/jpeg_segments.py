"""JPEG segments: app segments of metadata; three grey JPEGs' scans joined to one in colour.

A JPEG may keep each component in scans of its own (ITU-T T.81, 4.8.1), and those are compressed as
if there were no others. So the scans of a grey photograph are the luma of a coloured one: nothing
has to be decoded, rounded and compressed once more.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from colourizer.photos.app_segments import EXIF, MAX_SEGMENT, PROFILE, XMP
from colourizer.photos.metadata import Metadata
from colourizer.photos.photoshop import split_segments

START, END = b"\xff\xd8", b"\xff\xd9"
DQT, DHT, DRI, SOS, EOI = 0xDB, 0xC4, 0xDD, 0xDA, 0xD9  # markers; T.81, table B.1
FRAMES = (0xC0, 0xC1, 0xC2)  # SOF0 to SOF2: baseline, extended, progressive, read everywhere
PROGRESSIVE = 0xC2
APP0, APP1, APP2, APP13, COM = 0xE0, 0xE1, 0xE2, 0xED, 0xFE
APP_MARKERS = (COM, *range(0xE0, 0xF0))  # APP0 to APP15, and comments
MAX_EXIF, MAX_XMP = MAX_SEGMENT - len(EXIF), MAX_SEGMENT - len(XMP)
SAMPLING = (0x22, 0x11, 0x11)  # 4:2:0: factors across and down of Y, Cb and Cr
# In entropy-coded data, 0 or the number of a restart comes after 0xFF; others end it.
_MARKER = re.compile(rb"\xff([^\xff\x00\xd0-\xd7])")  # a + would make it 10 times slower


@dataclass(frozen=True)
class GreyScans:
    """A grey JPEG as segments, its scans still entropy-coded.

    size: (H, W).
    frame: marker of the frame's header, one of FRAMES.
    table: identifier of its quantization table.
    tables: body of a DQT segment: the quantization tables and their identifiers.
    rest: markers and bodies of the DHT, DRI and SOS segments after the frame's header; the body of
        SOS goes on with its entropy-coded data.
    """

    size: tuple[int, int]
    frame: int
    table: int
    tables: bytes
    rest: tuple[tuple[int, bytes], ...]


def iterate_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield marker and body of a JPEG's segments, to its end or to where it is broken."""
    place = len(START)
    while True:
        while content[place : place + 2] == b"\xff\xff":  # fill bytes (T.81, B.1.1.2)
            place += 1
        if not (found := _MARKER.match(content, place)):
            return
        marker, place = found[1][0], found.end()
        if marker == EOI:
            yield marker, b""
            return
        end = place + int.from_bytes(content[place : place + 2], "big")
        if marker == SOS:
            following = _MARKER.search(content, end)
            end = following.start() if following else len(content)
        yield marker, content[place + 2 : end]
        place = end


def _segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    """Return a segment; of SOS, `length` leaves the entropy-coded data out."""
    length = len(body) if length is None else length
    return bytes((0xFF, marker)) + (length + 2).to_bytes(2, "big") + body


def write_app_segments(metadata: Metadata) -> bytes:
    """Return the segments of a JPEG's metadata: JFIF, EXIF, Photoshop, XMP, profile, comment.

    That of JFIF 1.01 comes first, by which YCbCr is known; the others as Pillow orders them.

    Args:
        metadata: EXIF has MAX_EXIF bytes at most, XMP MAX_XMP, a comment MAX_SEGMENT, a profile
            16 MB.

    Raises:
        ValueError, OverflowError: something is larger.
    """
    unit, per_unit = (2, 2.54) if metadata.per_cm else (1, 1)
    density = [round(value / per_unit) for value in metadata.dpi or (0, 0)]
    if not all(density):
        unit, density = 0, list(metadata.aspect or (1, 1))
    parts = [(APP0, b"JFIF\0\1\1" + struct.pack(">B2H2x", unit, *density))]
    parts += [(APP1, EXIF + metadata.exif)] if metadata.exif else []
    parts += [(APP13, body) for body in split_segments(metadata.photoshop)]
    parts += [(APP1, XMP + metadata.xmp)] if metadata.xmp else []
    profile, room = metadata.icc_profile, MAX_SEGMENT - len(PROFILE) - 2
    pieces = [profile[start : start + room] for start in range(0, len(profile), room)]
    for n, piece in enumerate(pieces, start=1):
        parts.append((APP2, PROFILE + bytes((n, len(pieces))) + piece))
    parts += [(COM, metadata.comment)] if metadata.comment else []
    return b"".join(_segment(*part) for part in parts)


def after_app_segments(content: bytes) -> memoryview:
    """Return what follows the start and the app segments of a JPEG that can be decoded."""
    place = len(START)
    while content[place + 1] in APP_MARKERS:
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return memoryview(content)[place:]


def append_end_marker(content: bytes) -> bytes | None:
    """Return a JPEG with the end marker that it lacks; None if it has one, or lacks scans, too.

    Whether the last scan is whole can only be known by decoding it.
    """
    whole_but_for_the_end = _find_ends(content) == (False, False)
    return content.removesuffix(END[:1]) + END if whole_but_for_the_end else None


def lacks_scans(content: bytes) -> bool:
    """Return whether a JPEG has an end marker, but before it not all scans of its pixels."""
    return _find_ends(content) == (True, True)


def _find_ends(content: bytes) -> tuple[bool, bool | None]:
    """Return whether a JPEG has an end marker, and whether no scan has some of its bits.

    The latter is None, unknown, of a frame of a rare kind.
    """
    components: list[int] = []
    low_bits: dict[tuple[int, int], int] = {}  # still missing, by component and coefficient
    has_end = False
    for marker, body in iterate_segments(content) if content.startswith(START) else ():
        if marker == EOI:
            has_end = True
        elif marker in FRAMES and not components and len(body) == 6 + 3 * body[5]:
            components = [body[6 + 3 * n] for n in range(body[5])]
            low_bits = {(of, k): 8 for of in components for k in range(64)}
        elif marker == SOS:
            n = body[0]
            first, last, shifts = body[1 + 2 * n : 4 + 2 * n]
            for of in body[1 : 1 + 2 * n : 2]:
                low_bits |= {(of, k): shifts & 15 for k in range(first, last + 1)}
    return has_end, any(low_bits.values()) if components else None


def parse_grey_scans(content: bytes) -> GreyScans | None:
    """Return the scans of a JPEG that can be decoded; None if it is not grey, or of a rare kind."""
    header: bytes | None = None
    frame, tables = 0, b""
    rest: list[tuple[int, bytes]] = []
    for marker, body in iterate_segments(content) if content.startswith(START) else ():
        if marker in APP_MARKERS:
            continue
        if marker == EOI and header and any(of == SOS for of, _ in rest):
            size = int.from_bytes(header[1:3], "big"), int.from_bytes(header[3:5], "big")
            # One segment has to hold all tables; no encoder writes more than four.
            fits = len(tables) < 1000
            return GreyScans(size, frame, header[8], tables, tuple(rest)) if fits else None
        if marker == DQT and not header:
            tables += body
        elif marker in FRAMES and not header:
            frame, header = marker, body
            one_component = len(body) == 9 and body[5] == 1
            # Bits; and height, of which 0 means that it comes later.
            if not one_component or body[0] != 8 or not any(body[1:3]):
                return None
        elif marker in (DHT, DRI) or (marker == SOS and header and body[:1] == b"\1"):
            rest.append((marker, body))
        else:
            return None
    return None


def join_scans(app_segments: bytes, planes: tuple[GreyScans, GreyScans, GreyScans]) -> bytes:
    """Return a JPEG in colour, 4:2:0, whose components are three grey JPEGs, bit for bit.

    Args:
        app_segments: from `write_app_segments`.
        planes: Y, Cb, Cr; chroma of half the luma's size, rounded up, both of one quantization
            table, and progressive exactly if luma is.

    Raises:
        ValueError: they do not belong together.
    """
    luma, *chromas = planes
    height, width = luma.size
    half = (height + 1) // 2, (width + 1) // 2
    if any(chroma.size != half for chroma in chromas):
        raise ValueError("chroma is not of half the luma's size")
    if any((p.frame == PROGRESSIVE) != (luma.frame == PROGRESSIVE) for p in chromas):
        raise ValueError("one of luma and chroma is progressive")
    chroma_table = 0 if luma.table else 1
    components = b"".join(
        bytes((n, SAMPLING[n - 1], chroma_table if n > 1 else luma.table)) for n in (1, 2, 3)
    )
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    parts = [START, app_segments, _segment(DQT, luma.tables)]
    parts.append(_segment(DQT, bytes((chroma_table,)) + chromas[0].tables[1:]))
    parts.append(_segment(luma.frame, b"\x08" + size + b"\x03" + components))
    for n, plane in enumerate(planes, start=1):
        for marker, body in plane.rest:
            if marker == SOS:  # 6 bytes of header, of which the second names the component
                parts.append(_segment(SOS, body[:1] + bytes((n,)) + body[2:], 6))
            else:
                parts.append(_segment(marker, body))
        if any(marker == DRI for marker, _ in plane.rest):
            parts.append(_segment(DRI, b"\0\0"))
    return b"".join([*parts, END])
