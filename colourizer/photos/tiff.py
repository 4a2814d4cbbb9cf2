"""TIFF and BigTIFF of 8 and 16 bits, written strip by strip, compressed as the original was."""

import io
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np
from PIL import Image

from colourizer.photos.exif import (
    ICC_PROFILE,
    IPTC,
    LONG,
    LONG8,
    ORIENTATION,
    PHOTOSHOP,
    SHORT,
    XMP,
    parse_exif,
    read_directory,
    read_header,
    tiff_header,
)
from colourizer.photos.metadata import DEFLATE, LZW, NONE, PACKBITS, Metadata, TiffStorage
from colourizer.photos.photoshop import find_iptc
from colourizer.photos.strips import STRIP_BYTES, ZLIB_LEVEL, deflate_strategy, regroup_rows

CLASSIC_END = 1 << 32  # bytes: offsets in a TIFF have 32 bits, in a BigTIFF 64
HEADER_BYTES = 16  # of a BigTIFF; a TIFF has 8, and leaves the rest unused
RGB, CONTIGUOUS, HORIZONTAL_DIFFERENCES, UNASSOCIATED_ALPHA = 2, 1, 2, 2
PREDICTED = (LZW, DEFLATE)  # which gain by differences; runs of equal bytes would become fewer
PILLOW_NAMES = {LZW: "tiff_lzw", PACKBITS: "packbits"}


def write_tiff(
    file: BinaryIO,
    strips: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    bits: int,
    metadata: Metadata,
) -> None:
    """Write a TIFF in strips; a BigTIFF where the original is one, or if it has more than 4 GB.

    It is compressed as the original, if that is a TIFF of a lossless compression that is written;
    else it is deflated. LZW and deflate compress horizontal differences.

    Args:
        file: where it goes; its first bytes are written last.
        strips: (h, W, channels) uint8 or uint16, from top to bottom, of H rows together.
        shape: (H, W, channels); 3 channels, or 4 with alpha.
        bits: 8 or 16.
        metadata: its EXIF, resolution, profile, XMP and storage are taken; the byte order is that
            of its EXIF.
    """
    height, width, channels = shape
    directory = parse_exif(metadata.exif)
    storage = metadata.tiff or TiffStorage()
    rows_per_strip = min(height, max(1, STRIP_BYTES // (width * channels * bits // 8)))
    file.write(bytes(HEADER_BYTES))
    dtype = np.dtype(f"{directory.order}u{bits // 8}")
    regrouped = regroup_rows(strips, rows_per_strip)
    offsets, sizes = _write_strips(file, regrouped, dtype, storage.written)
    end = file.tell()
    # A margin for the directory itself, whose size depends on the answer.
    tags = sum(
        map(len, (metadata.exif, metadata.icc_profile, metadata.xmp, metadata.photoshop))
    ) + 32 * len(offsets)
    big = storage.is_big or end + tags + 4096 >= CLASSIC_END
    place = LONG8 if big else LONG
    directory.put(256, LONG, width)
    directory.put(257, LONG, height)
    directory.put(258, SHORT, *[bits] * channels)
    directory.put(259, SHORT, storage.written)
    directory.put(262, SHORT, RGB)
    directory.put(273, place, *offsets)
    directory.put(ORIENTATION, SHORT, 1)
    directory.put(277, SHORT, channels)
    directory.put(278, LONG, rows_per_strip)
    directory.put(279, place, *sizes)
    directory.put(284, SHORT, CONTIGUOUS)
    if storage.written in PREDICTED:
        directory.put(317, SHORT, HORIZONTAL_DIFFERENCES)
    if channels == 4:
        directory.put(338, SHORT, UNASSOCIATED_ALPHA)
    if metadata.dpi:
        directory.add_resolution(metadata.dpi, metadata.per_cm)
    described = [(ICC_PROFILE, metadata.icc_profile, 7), (XMP, metadata.xmp, 1)]
    if not metadata.tiff:  # whose own tags are among those of its EXIF
        described += [(IPTC, find_iptc(metadata.photoshop), 7), (PHOTOSHOP, metadata.photoshop, 1)]
    for tag, content, kind in described:
        if content:
            directory.tags[tag] = (kind, len(content), content)
    file.write(directory.pack(end, big))
    file.seek(0)
    file.write(tiff_header(directory.order, end, big))


def _write_strips(
    file: BinaryIO, strips: Iterable[np.ndarray], dtype: np.dtype, compression: int
) -> tuple[list[int], list[int]]:
    """Write strips, each compressed on its own; return their offsets and sizes, in bytes."""
    offsets, sizes = [], []
    offset = file.tell()
    for strip in strips:
        values = strip
        if compression in PREDICTED:
            values = strip.copy()
            values[:, 1:] -= strip[:, :-1]
        packed = _compress(np.ascontiguousarray(values.astype(dtype)), compression)
        file.write(packed + b"\0" * (len(packed) % 2))
        offsets.append(offset)
        sizes.append(len(packed))
        offset += len(packed) + len(packed) % 2
    return offsets, sizes


def _compress(values: np.ndarray, compression: int) -> bytes:
    """Compress the rows of a strip, (h, W, channels), whatever their type."""
    if compression == NONE:
        return values.tobytes()
    if compression == DEFLATE:
        packer = zlib.compressobj(ZLIB_LEVEL, strategy=deflate_strategy(8 * values.itemsize))
        return packer.compress(values.data) + packer.flush()
    # libtiff compresses bytes, and so grey pixels of the same bytes in its own TIFF of one strip.
    rows = values.reshape(len(values), -1).view(np.uint8)
    single = io.BytesIO()
    name = PILLOW_NAMES[compression]
    Image.fromarray(rows).save(single, "TIFF", compression=name, tiffinfo={278: len(rows)})
    order, big, offset = read_header(single)
    directory, _ = read_directory(single, offset, order, big)
    (start,), (size,) = directory.numbers(273), directory.numbers(279)
    return single.getvalue()[start : start + size]
