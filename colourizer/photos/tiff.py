"""TIFF of 8 and 16 bits, written strip by strip."""

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from colourizer.photos.exif import ICC_PROFILE, LONG, ORIENTATION, SHORT, XMP, Directory
from colourizer.photos.strips import STRIP_BYTES, ZLIB_LEVEL, deflate_strategy, regroup_rows

TIFF_END = 1 << 32  # bytes: the places in a TIFF are numbers of 32 bits


def write_tiff(
    file: BinaryIO,
    strips: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    bits: int,
    tags: Directory,
    dpi: tuple[float, float] | None = None,
    per_cm: bool = False,
    icc_profile: bytes = b"",
    xmp: bytes = b"",
) -> None:
    """Write a TIFF, deflated, with horizontal differences.

    Args:
        file: where it goes; its beginning is written last.
        strips: (h, W, channels) uint8 or uint16, from top to bottom, of H rows together.
        shape: (H, W, channels); 3 channels, or 4 with alpha.
        bits: 8 or 16.
        tags: what else it says, and the byte order to write in.
        dpi: pixels per inch across and down; a resolution among the tags goes first.
        per_cm: write the resolution per centimetre.
        icc_profile: a colour profile.
        xmp: an XMP packet.
    """
    height, width, channels = shape
    row_bytes = width * channels * bits // 8
    rows = min(height, max(1, STRIP_BYTES // row_bytes))
    numbers = np.dtype(f"{tags.order}u{bits // 8}")
    file.write(b"\0" * 8)
    places, sizes, place = [], [], 8
    for strip in regroup_rows(strips, rows):
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]
        packer = zlib.compressobj(ZLIB_LEVEL, strategy=deflate_strategy(bits))
        packed = packer.compress(differences.astype(numbers).data) + packer.flush()
        file.write(packed + b"\0" * (len(packed) % 2))
        places.append(place)
        sizes.append(len(packed))
        place += len(packed) + len(packed) % 2
        if place >= TIFF_END:
            raise ValueError("a TIFF ends at 4 GB")
    tags.put(256, LONG, width)
    tags.put(257, LONG, height)
    tags.put(258, SHORT, *[bits] * channels)
    tags.put(259, SHORT, 8)  # compression: deflate
    tags.put(262, SHORT, 2)  # what the values mean: RGB
    tags.put(273, LONG, *places)
    tags.put(ORIENTATION, SHORT, 1)
    tags.put(277, SHORT, channels)
    tags.put(278, LONG, rows)
    tags.put(279, LONG, *sizes)
    tags.put(284, SHORT, 1)  # the channels of a pixel lie together
    tags.put(317, SHORT, 2)  # horizontal differences
    if channels == 4:
        tags.put(338, SHORT, 2)  # the fourth is alpha, and the others are not multiplied by it
    if dpi:
        tags.add_resolution(dpi, per_cm)
    for tag, content, kind in ((ICC_PROFILE, icc_profile, 7), (XMP, xmp, 1)):
        if content:
            tags.tags[tag] = (kind, len(content), content)
    packed = tags.pack(place)
    if place + len(packed) >= TIFF_END:
        raise ValueError("a TIFF ends at 4 GB")
    file.write(packed)
    file.seek(0)
    file.write(struct.pack(f"{tags.order}2sHI", b"II" if tags.order == "<" else b"MM", 42, place))
