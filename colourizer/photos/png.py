"""PNG of 8 and 16 bits, written strip by strip."""

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from colourizer.photos.strips import STRIP_BYTES, ZLIB_LEVEL, deflate_strategy, regroup_rows


def _chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png_text(key: str, value: str) -> bytes:
    """Make a PNG chunk of international text, not compressed."""
    return _chunk(b"iTXt", key.encode("latin-1", "replace") + b"\0" * 5 + value.encode())


def _size_of(differences: np.ndarray) -> np.ndarray:
    """Sum the sizes of a filter's differences, bytes that stand for [-128, 127], by rows."""
    sizes = np.minimum(differences, -differences)  # of unsigned bytes, modulo 256
    return sizes.reshape(len(sizes), -1).sum(axis=1, dtype=np.int64)


def write_png(
    file: BinaryIO,
    strips: Iterable[np.ndarray],
    shape: tuple[int, int, int],
    bits: int,
    dpi: tuple[float, float] | None = None,
    icc_profile: bytes = b"",
    exif: bytes = b"",
    texts: dict[str, str] | None = None,
) -> None:
    """Write a PNG; of 8 bits, as large as Pillow would, in 0.6 of its time.

    Args:
        file: where it goes.
        strips: (h, W, channels) uint8 or uint16, from top to bottom, of H rows together.
        shape: (H, W, channels); 3 channels, or 4 with alpha.
        bits: 8 or 16.
        dpi: pixels per inch across and down.
        icc_profile: a colour profile.
        exif: as a TIFF.
        texts: further texts by their keys.
    """
    height, width, channels = shape
    kind = {3: 2, 4: 6}[channels]
    pixel_bytes = channels * bits // 8
    header = struct.pack(">2I5B", width, height, bits, kind, 0, 0, 0)
    file.write(b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header))
    if icc_profile:
        file.write(_chunk(b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile)))
    if dpi:
        per_metre = [round(value / 0.0254) for value in dpi]
        file.write(_chunk(b"pHYs", struct.pack(">2IB", *per_metre, 1)))
    if exif:
        file.write(_chunk(b"eXIf", exif))
    for key, text in (texts or {}).items():
        file.write(png_text(key, text))
    packer = zlib.compressobj(ZLIB_LEVEL, strategy=deflate_strategy(bits))
    above = np.zeros((1, width, pixel_bytes), dtype=np.uint8)
    for strip in regroup_rows(strips, max(1, STRIP_BYTES // (width * pixel_bytes))):
        numbers = strip.astype(f">u{bits // 8}")
        rows = numbers.view(np.uint8).reshape(len(strip), width, pixel_bytes)
        up = rows - np.concatenate((above, rows[:-1]))
        left = rows.copy()
        left[:, 1:] -= rows[:, :-1]
        above = rows[-1:]
        # The usual guess at what compresses better: the smaller sum of differences.
        use_up = _size_of(up) < _size_of(left)
        filtered = np.empty((len(rows), 1 + width * pixel_bytes), dtype=np.uint8)
        filtered[:, 0] = np.where(use_up, 2, 1)
        filtered[:, 1:] = np.where(use_up[:, None, None], up, left).reshape(len(rows), -1)
        if packed := packer.compress(filtered.data):
            file.write(_chunk(b"IDAT", packed))
    file.write(_chunk(b"IDAT", packer.flush()) + _chunk(b"IEND", b""))
