"""HEIF files of boxes, without pictures that could be decoded."""

import struct


def box(kind: bytes, *contents: bytes) -> bytes:
    content = b"".join(contents)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def codes(primaries: int, transfer: int) -> bytes:
    return box(b"colr", b"nclx", struct.pack(">3HB", primaries, transfer, 6, 0x80))


def heif(
    properties: list[bytes],
    own: list[int],
    version: int = 0,
    wide: int = 0,
    content: bytes = bytes(50),
) -> bytes:
    """Return a file of two pictures; `own` are the numbers of the second's, which is primary."""
    number = struct.Struct(">I" if version else ">H")
    table = struct.pack(">BBBBI", version, 0, 0, wide, 2)
    for picture, numbers in ((1, [1]), (2, own)):
        table += number.pack(picture) + bytes((len(numbers),))
        table += b"".join(struct.pack(">H", 0x8000 | n) if wide else bytes((n,)) for n in numbers)
    inner = box(b"ipco", *properties), box(b"ipma", table)
    primary = box(b"pitm", bytes((version, 0, 0, 0)), number.pack(2))
    start = box(b"ftyp", b"heic".ljust(16, b"\0")) + box(b"mdat", content)
    return start + box(b"meta", bytes(4), primary, box(b"iprp", *inner))
