"""JPEGs' segments: three grey JPEGs -> one in colour with their very bits; what a JPEG says.

A JPEG may keep each component in scans of its own (ITU-T T.81, 4.8.1), and those are compressed as
if there were no others. So the scans of a grey photograph are the luma of a coloured one: nothing
has to be decoded, rounded and compressed once more.
"""

import re
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

START, END = b"\xff\xd8", b"\xff\xd9"
DQT, DHT, DRI, SOS, EOI = 0xDB, 0xC4, 0xDD, 0xDA, 0xD9  # markers; T.81, table B.1
FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive: what is read everywhere
PROGRESSIVE = 0xC2
SAID = (0xFE, *range(0xE0, 0xF0))  # comments, and what applications say
# What EXIF, XMP and profiles begin with; and how many bytes a segment, EXIF and XMP have room for.
EXIF, XMP, PROFILE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
MOST_BYTES = 65533
MOST_EXIF, MOST_XMP = MOST_BYTES - len(EXIF), MOST_BYTES - len(XMP)
SAMPLING = (0x22, 0x11, 0x11)  # luma has twice the chroma's resolution, across and down
# In what is compressed, 0 or the number of a restart comes after 0xFF; after others it has ended.
_MARKER = re.compile(rb"\xff([^\xff\x00\xd0-\xd7])")  # a + would make it 10 times slower


@dataclass(frozen=True)
class GreyScans:
    """A grey JPEG, taken apart.

    size: (H, W).
    frame: how it is compressed, one of FRAMES.
    table: the number of its quantization table.
    tables: quantization tables, with their numbers.
    rest: what follows its frame's header: each segment's marker and content; that of a scan goes on
        with what is compressed.
    """

    size: tuple[int, int]
    frame: int
    table: int
    tables: bytes
    rest: tuple[tuple[int, bytes], ...]


def _segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through a JPEG's segments to its end, or to where it is broken."""
    place = len(START)
    while found := _MARKER.match(content, place):
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


def _segment(marker: int, content: bytes, length: int | None = None) -> bytes:
    """Write a segment; of a scan, what is compressed does not count as its length."""
    length = len(content) if length is None else length
    return bytes((0xFF, marker)) + (length + 2).to_bytes(2, "big") + content


def say(
    density: tuple[int, int, int] = (0, 1, 1),
    exif: bytes = b"",
    photoshop: Sequence[bytes] = (),
    xmp: bytes = b"",
    icc_profile: bytes = b"",
    comment: bytes = b"",
) -> bytes:
    """Write the segments of a JPEG that describe it and make no pixels.

    That of JFIF 1.01 comes first, by which YCbCr is known; the others as Pillow orders them.

    Args:
        density: of pixels: across and down, per inch where the first number is 1, per centimetre
            where it is 2, of no unit where it is 0.
        exif: as a TIFF, of MOST_EXIF bytes at most.
        photoshop: contents of segments.
        xmp: of MOST_XMP bytes at most.
        icc_profile: of 16 MB at most.
        comment: of 65,533 bytes at most.

    Raises:
        ValueError, OverflowError: something has no room.
    """
    unit, *densities = density
    parts = [(0xE0, b"JFIF\0\1\1" + struct.pack(">B2H2x", unit, *densities))]
    parts += [(0xE1, EXIF + exif)] if exif else []
    parts += [(0xED, content) for content in photoshop]
    parts += [(0xE1, XMP + xmp)] if xmp else []
    room = MOST_BYTES - len(PROFILE) - 2
    pieces = [icc_profile[place : place + room] for place in range(0, len(icc_profile), room)]
    for n, piece in enumerate(pieces, start=1):
        parts.append((0xE2, PROFILE + bytes((n, len(pieces))) + piece))
    parts += [(0xFE, comment)] if comment else []
    return b"".join(_segment(*part) for part in parts)


def what_is_not_said(content: bytes) -> memoryview:
    """Point to what follows the start and what is said in a JPEG that can be decoded."""
    place = len(START)
    while content[place + 1] in SAID:
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return memoryview(content)[place:]


def grey_scans(content: bytes) -> GreyScans | None:
    """Take a JPEG that can be decoded apart; None if it is not grey, or of a rare kind."""
    header: bytes | None = None
    frame, tables = 0, b""
    rest: list[tuple[int, bytes]] = []
    for marker, body in _segments(content) if content.startswith(START) else ():
        if marker in SAID:
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
            if not one_component or body[0] != 8 or not any(body[1:3]):  # bits; height, said later
                return None
        elif marker in (DHT, DRI) or (marker == SOS and header and body[:1] == b"\1"):
            rest.append((marker, body))
        else:
            return None
    return None


def join_scans(said: bytes, planes: tuple[GreyScans, GreyScans, GreyScans]) -> bytes:
    """Make three grey JPEGs one in colour.

    Args:
        said: as of `say`.
        planes: luma, and both chromas of half its size, rounded up; the chromas of one quantization
            table, and progressive exactly if luma is.
    """
    luma, *chromas = planes
    height, width = luma.size
    half = (height + 1) // 2, (width + 1) // 2
    if any(chroma.size != half for chroma in chromas):
        raise ValueError("chroma is not of half the luma's size")
    if any((p.frame == PROGRESSIVE) != (luma.frame == PROGRESSIVE) for p in chromas):
        raise ValueError("one of luma and chroma is progressive")
    number = 0 if luma.table else 1  # of the chromas' quantization table
    table = bytes((number,)) + chromas[0].tables[1:]
    components = b"".join(
        bytes((n, SAMPLING[n - 1], number if n > 1 else luma.table)) for n in (1, 2, 3)
    )
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    parts = [START, said, _segment(DQT, luma.tables), _segment(DQT, table)]
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
