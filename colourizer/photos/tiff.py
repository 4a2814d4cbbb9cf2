"""TIFF of 8 and 16 bits, written strip by strip."""

import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from colourizer.photos.exif import (
    ICC_PROFILE,
    LONG,
    ORIENTATION,
    SHORT,
    XMP,
    parse_exif,
    tiff_header,
)
from colourizer.photos.metadata import Metadata
from colourizer.photos.strips import STRIP_BYTES, ZLIB_LEVEL, deflate_strategy, regroup_rows

TIFF_END = 1 << 32  # bytes: offsets in a TIFF have 32 bits
DEFLATE, RGB, CONTIGUOUS, HORIZONTAL_DIFFERENCES, UNASSOCIATED_ALPHA = 8, 2, 1, 2, 2


def write_tiff(
    file: BinaryIO,
    strips: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    bits: int,
    metadata: Metadata,
) -> None:
    """Write a TIFF, deflated, with horizontal differences.

    Args:
        file: where it goes; its first bytes are written last.
        strips: (h, W, channels) uint8 or uint16, from top to bottom, of H rows together.
        shape: (H, W, channels); 3 channels, or 4 with alpha.
        bits: 8 or 16.
        metadata: its EXIF, resolution, profile and XMP are written; in the byte order of its EXIF.

    Raises:
        ValueError: the file would have more than 4 GB.
    """
    height, width, channels = shape
    directory = parse_exif(metadata.exif)
    rows_per_strip = min(height, max(1, STRIP_BYTES // (width * channels * bits // 8)))
    file.write(b"\0" * 8)
    offsets, sizes = _write_strips(
        file, regroup_rows(strips, rows_per_strip), np.dtype(f"{directory.order}u{bits // 8}")
    )
    directory.put(256, LONG, width)
    directory.put(257, LONG, height)
    directory.put(258, SHORT, *[bits] * channels)
    directory.put(259, SHORT, DEFLATE)
    directory.put(262, SHORT, RGB)
    directory.put(273, LONG, *offsets)
    directory.put(ORIENTATION, SHORT, 1)
    directory.put(277, SHORT, channels)
    directory.put(278, LONG, rows_per_strip)
    directory.put(279, LONG, *sizes)
    directory.put(284, SHORT, CONTIGUOUS)
    directory.put(317, SHORT, HORIZONTAL_DIFFERENCES)
    if channels == 4:
        directory.put(338, SHORT, UNASSOCIATED_ALPHA)
    if metadata.dpi:
        directory.add_resolution(metadata.dpi, metadata.per_cm)
    for tag, content, kind in ((ICC_PROFILE, metadata.icc_profile, 7), (XMP, metadata.xmp, 1)):
        if content:
            directory.tags[tag] = (kind, len(content), content)
    end = file.tell()
    packed = directory.pack(end)
    if end + len(packed) >= TIFF_END:
        raise ValueError("a TIFF ends at 4 GB")
    file.write(packed)
    file.seek(0)
    file.write(tiff_header(directory.order, end))


def _write_strips(
    file: BinaryIO, strips: Iterable[np.ndarray], dtype: np.dtype
) -> tuple[list[int], list[int]]:
    """Write strips, each compressed on its own; return their offsets and sizes, in bytes."""
    offsets, sizes = [], []
    offset = file.tell()
    for strip in strips:
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]
        packer = zlib.compressobj(ZLIB_LEVEL, strategy=deflate_strategy(8 * dtype.itemsize))
        packed = packer.compress(differences.astype(dtype).data) + packer.flush()
        file.write(packed + b"\0" * (len(packed) % 2))
        offsets.append(offset)
        sizes.append(len(packed))
        offset += len(packed) + len(packed) % 2
        if offset >= TIFF_END:
            raise ValueError("a TIFF ends at 4 GB")
    return offsets, sizes
