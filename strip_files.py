"""PNG and TIFF files of 8 or 16 bits, written strip by strip, and their 16 bits read by Pillow."""

import struct
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile

from metadata import (
    ICC_PROFILE,
    LONG,
    ORIENTATION,
    SHORT,
    XMP,
    Directory,
)
from pixel_formats import ROWS_AT_ONCE, cut_strips

# Pillow decodes 16-bit colours, but keeps the high byte of each value only. Asked for the opposite
# byte order it keeps the low one: two decodings give all 16 bits, of every compression that Pillow
# knows. Here each of its names for how a file's values lie, with the names that give high and low.
_NATIVE, _OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
GREY_AND_ALPHA = "grey and alpha"  # of both the high and the low bytes, as four channels
HALVES = {"LA;16B": ("RGBA", "RGBA")}
for _kind in ("RGB", "RGBA", "RGBX"):
    HALVES[f"{_kind};16B"] = (f"{_kind};16B", f"{_kind};16L")
    HALVES[f"{_kind};16L"] = (f"{_kind};16L", f"{_kind};16B")
    HALVES[f"{_kind};16N"] = (f"{_kind};16{_NATIVE}", f"{_kind};16{_OTHER}")
for _order in "BLN":  # colours multiplied by alpha; Pillow would divide each half on its own
    HALVES[f"RGBa;16{_order}"] = HALVES[f"RGBA;16{_order}"]
STRIP_BYTES = 1 << 18  # compressed at a time; each is a strip of a TIFF: readers like small ones
ZLIB_LEVEL = 1  # higher ones gain some percent on noise and take four times as long
TIFF_END = 1 << 32  # bytes: the places in a TIFF are numbers of 32 bits


def _halves(image: ImageFile.ImageFile) -> list[tuple[str, str]] | None:
    """Say how each tile of an opened image gives its high and its low bytes; None: not 16 bits."""
    tags = getattr(image, "tag_v2", {})
    order = {b"II": ("L", "B"), b"MM": ("B", "L")}.get(getattr(tags, "prefix", b""), ("", ""))
    deep_planes = tags.get(284) == 2 and set(tags.get(258, ())) == {16}
    found = []
    for tile in image.tile:
        kind = tile.args[0] if isinstance(tile.args, tuple) else str(tile.args)
        if deep_planes:  # each channel for itself
            if tile.codec_name == "libtiff":  # which keeps the high bytes whatever it is asked
                return None
            found.append((f"{kind};16{order[0]}", f"{kind};16{order[1]}"))
        elif kind in HALVES:
            found.append(HALVES[kind])
        else:
            return None
    return found or None


def is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Say whether an opened image, not yet loaded, has 16-bit colours that Pillow would halve."""
    return isinstance(image.tile, list) and _halves(image) is not None


def take_half(image: ImageFile.ImageFile, low: bool) -> None:
    """Make an opened image of 16-bit colours load the high or the low byte of each value."""
    halves = _halves(image) or []
    image.info[GREY_AND_ALPHA] = HALVES["LA;16B"] in halves
    for n, (tile, names) in enumerate(zip(image.tile, halves, strict=True)):
        args = (names[low], *tile.args[1:]) if isinstance(tile.args, tuple) else names[low]
        image.tile[n] = tile._replace(args=args)


def read_deep_colours(high: Image.Image, load_low: Callable[[], Image.Image]) -> np.ndarray:
    """Read 16-bit colours.

    Args:
        high: the high half of all values, see `take_half`; closed as soon as it is read, before as
            much memory is taken again.
        load_low: loads the low half.

    Returns:
        (H, W, 2) grey and alpha, (H, W, 3) or (H, W, 4), uint16.
    """
    grey = high.info.get(GREY_AND_ALPHA, False)
    channels = 2 if grey else len(high.getbands())
    values = np.empty((high.height, high.width, channels), dtype=np.uint16)
    for y, image in cut_strips(high):
        strip = np.asarray(image)
        values[y : y + len(strip)] = strip.astype(np.uint16)[..., :: 2 if grey else 1] << 8
        if grey:
            values[y : y + len(strip)] |= strip[..., 1::2]
    high.close()
    if not grey:
        for y, image in cut_strips(load_low()):
            values[y : y + image.height] |= np.asarray(image)
    return values


def undo_premultiplication(values: np.ndarray) -> None:
    """Divide colours (H, W, 4) uint16 by their alpha, which they were multiplied by, in place."""
    for y in range(0, len(values), ROWS_AT_ONCE):
        strip = values[y : y + ROWS_AT_ONCE].astype(np.float64)
        alpha = np.maximum(strip[..., 3:], 1)
        strip[..., :3] = (strip[..., :3] * 65535 / alpha).round().clip(0, 65535)
        values[y : y + ROWS_AT_ONCE] = strip


def _strategy(bits: int) -> int:
    """Choose how zlib looks for repetitions in values of so many bits."""
    # Of 16 bits the lower are noise, which hardly ever repeats: looking for repetitions of more
    # than one byte would gain 4% and take twice as long.
    return zlib.Z_RLE if bits == 16 else zlib.Z_DEFAULT_STRATEGY


def _chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def png_text(key: str, value: str) -> bytes:
    """Make a PNG chunk of international text, not compressed."""
    return _chunk(b"iTXt", key.encode("latin-1", "replace") + b"\0" * 5 + value.encode())


def _of_rows(strips: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """Cut strips of any heights into strips of so many rows; the last may have fewer."""
    waiting: list[np.ndarray] = []
    count = 0
    for strip in strips:
        while len(strip):
            waiting.append(strip[: rows - count])
            strip = strip[rows - count :]
            count += len(waiting[-1])
            if count == rows:
                yield waiting[0] if len(waiting) == 1 else np.concatenate(waiting)
                waiting, count = [], 0
    if waiting:
        yield np.concatenate(waiting)


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
    packer = zlib.compressobj(ZLIB_LEVEL, strategy=_strategy(bits))
    above = np.zeros((1, width, pixel_bytes), dtype=np.uint8)
    for strip in _of_rows(strips, max(1, STRIP_BYTES // (width * pixel_bytes))):
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


def _size_of(differences: np.ndarray) -> np.ndarray:
    """Sum the sizes of a filter's differences, bytes that stand for [-128, 127], by rows."""
    sizes = np.minimum(differences, -differences)  # of unsigned bytes, modulo 256
    return sizes.reshape(len(sizes), -1).sum(axis=1, dtype=np.int64)


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
    for strip in _of_rows(strips, rows):
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]
        packer = zlib.compressobj(ZLIB_LEVEL, strategy=_strategy(bits))
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
