"""Coloured pixels, alpha and metadata -> a file of any format that is written."""

import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin
from simplejpeg import encode_jpeg_yuv_planes

from colourizer.photos.exif import exif_directory, new_exif
from colourizer.photos.jpeg_segments import (
    MOST_EXIF,
    MOST_XMP,
    PROGRESSIVE,
    START,
    GreyScans,
    grey_scans,
    join_scans,
    say,
    what_is_not_said,
)
from colourizer.photos.pixels import to_8_bits, to_16_bits
from colourizer.photos.png import write_png
from colourizer.photos.tiff import write_tiff
from colourizer.photos.xmp import new_xmp

SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    # Chroma comes from a quarter of the resolution at most, so 4:2:0 loses none of it. Below 96
    # simplejpeg has a coarser transform (libjpeg-turbo's fast one), which is no faster here.
    "JPEG": {"quality": 96, "subsampling": "4:2:0"},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
}
DEEP = ("PNG", "TIFF")  # formats that hold 16 bits
BLOCK = 1 << 16  # bytes; of no file system more


def encode(
    file: BinaryIO,
    strips: Iterable[np.ndarray],
    file_format: str,
    size: tuple[int, int],
    alpha: np.ndarray | None,
    metadata: dict[str, Any],
    tag: str | None = None,
) -> None:
    """Write a photograph into an open file; what the format has no room for is left out.

    JPEG and BMP have no alpha, BMP no EXIF, XMP and profile; more EXIF or XMP than 64 kB does not
    fit into JPEG.

    Args:
        file: any place of it can be written to.
        strips: (h, W, 3) uint8 or uint16 from top to bottom, of all rows together.
        file_format: JPEG, PNG, WEBP, TIFF, BMP or AVIF.
        size: (H, W).
        alpha: (H, W) uint8 or uint16, or None.
        metadata: as in photo.Photo.
        tag: what made it; without, XMP and EXIF do not say.
    """
    bits = 8
    if file_format in DEEP:
        strips = iter(strips)
        first = next(strips)
        bits = 8 * first.dtype.itemsize
        strips = _chain(first, strips)
    strips = _checked(strips, size, bits)
    if file_format == "JPEG":
        compressed = io.BytesIO()
        _rgb_image(strips, size).save(compressed, "JPEG", **SAVE_OPTIONS["JPEG"])
        _write_jpeg(file, compressed.getvalue(), metadata, tag)
        return
    if file_format == "BMP":
        alpha = None
    dpi, icc_profile = metadata.get("dpi"), metadata.get("icc_profile", b"")
    xmp = new_xmp(metadata.get("xmp", b""), tag)
    exif = new_exif(
        metadata.get("exif", b""),
        tag,
        dpi if file_format in ("WEBP", "AVIF") else None,  # they have no other place for it
        # Of an orientation in EXIF, Pillow would make AVIF's own, and write the EXIF anew.
        keep_orientation=file_format != "AVIF",
    )
    channels = 3 if alpha is None else 4
    shape = (*size, channels)
    if file_format == "TIFF":
        tags, per_cm = exif_directory(exif), metadata.get("per_cm", False)
        strips = _with_alpha(strips, alpha, bits)
        write_tiff(file, strips, shape, bits, tags, dpi, per_cm, icc_profile, xmp)
        return
    if file_format == "PNG":
        texts = dict(metadata.get("texts", {}))
        with suppress(UnicodeDecodeError):  # PNG holds XMP in UTF-8 only
            texts |= {"XML:com.adobe.xmp": xmp.decode()} if xmp else {}
        strips = _with_alpha(strips, alpha, bits)
        write_png(file, strips, shape, bits, dpi, icc_profile, exif, texts)
        return
    options = dict(SAVE_OPTIONS.get(file_format, {}))
    if file_format == "WEBP" and metadata.get("lossless"):
        options = {"lossless": True, "exact": True}  # also the colours that nobody sees
    options |= _what_to_say(exif, xmp, metadata)
    if file_format == "AVIF" and alpha is not None:
        options["advanced"] = {"alpha:lossless": "1"}
    image = _rgb_image(strips, size)
    if alpha is not None:
        image.putalpha(Image.fromarray(to_8_bits(alpha)))
    save_image(image, file, file_format, **options)


def save_image(image: Image.Image, file: BinaryIO, file_format: str, **options: Any) -> None:
    """Let Pillow write an image into an open file, and notice if the disk is full.

    Raises:
        OSError: it cannot be written.
    """
    image.save(file, file_format, **options)
    # Some formats Pillow writes without Python, and does not notice if a full disk cuts the last of
    # its writes short; one more of a whole block is refused.
    end = file.seek(0, os.SEEK_END)
    file.write(bytes(BLOCK))
    file.flush()
    file.truncate(end)
    file.seek(end)


def encode_ycbcr(
    file: BinaryIO,
    luma: np.ndarray | GreyScans,
    chroma: np.ndarray,
    metadata: dict[str, Any],
    tag: str | None = None,
) -> None:
    """Write a photograph into an open file as JPEG; what it has no room for is left out.

    Args:
        file: any place of it can be written to.
        luma: (H, W) uint8, or a grey JPEG's scans, which become a part of the file as they are.
        chroma: (2, H/2, W/2) uint8, rounded up.
        metadata: as in photo.Photo.
        tag: what made it; without, XMP and EXIF do not say.
    """
    if not isinstance(luma, GreyScans):
        # Pillow has no room for chroma of half the size: it would be enlarged and reduced again.
        quality = SAVE_OPTIONS["JPEG"]["quality"]
        compressed = encode_jpeg_yuv_planes(_with_even_sides(luma), *chroma, quality=quality)
        _write_jpeg(file, compressed, metadata, tag)
        return
    one_pixel = io.BytesIO()
    Image.new("YCbCr", (1, 1)).save(one_pixel, "JPEG", **SAVE_OPTIONS["JPEG"])
    one_pixel.seek(0)
    with JpegImagePlugin.JpegImageFile(one_pixel) as image:
        table = image.quantization[1]  # of chroma
    first, second = (_grey_jpeg(file, c, table, luma.frame == PROGRESSIVE) for c in chroma)
    content = join_scans(_say(metadata, tag), (luma, first, second))
    file.seek(0)
    file.truncate()
    file.write(content)


def _with_even_sides(luma: np.ndarray) -> np.ndarray:
    """Return luma (H, W) with, beyond its end in memory, the row and column that make sides even.

    libjpeg-turbo reads them where chroma has half the luma's resolution.
    """
    height, width = luma.shape
    if height % 2 == 0 and width % 2 == 0:
        return luma
    return np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")[:height, :width]


def _grey_jpeg(
    file: BinaryIO, values: np.ndarray, table: list[int], progressive: bool
) -> GreyScans:
    """Compress (H, W) uint8 with a quantization table, in place of what a file holds."""
    # In memory it would need no file, but then Pillow lets no other thread work meanwhile.
    file.seek(0)
    Image.fromarray(values).save(file, "JPEG", qtables=[table], progressive=progressive)
    file.seek(0, io.SEEK_END)  # forgets what was read before
    file.seek(0)
    scans = grey_scans(file.read())
    if not scans:  # Pillow does not notice when its last write is cut short
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return scans


def _write_jpeg(
    file: BinaryIO, compressed: bytes, metadata: dict[str, Any], tag: str | None
) -> None:
    """Write a JPEG that says nothing, and of what is to be said what there is room for."""
    file.write(START + _say(metadata, tag))
    file.write(what_is_not_said(compressed))


def _say(metadata: dict[str, Any], tag: str | None) -> bytes:
    """Write the segments of a JPEG that say what is to be said, and has room."""
    unit, per_unit = (2, 2.54) if metadata.get("per_cm") else (1, 1)
    across, down = (round(value / per_unit) for value in metadata.get("dpi") or (0, 0))
    return _segments(
        metadata.get("exif", b""),
        metadata.get("xmp", b""),
        tag,
        (unit, across, down) if across and down else (0, 1, 1),
        tuple(metadata.get("photoshop", ())),
        metadata.get("icc_profile", b""),
        metadata.get("comment") or b"",
    )


@lru_cache(maxsize=2)  # most scans of a folder say the same
def _segments(
    exif: bytes,
    xmp: bytes,
    tag: str | None,
    density: tuple[int, int, int],
    photoshop: tuple[bytes, ...],
    icc_profile: bytes,
    comment: bytes,
) -> bytes:
    """Write the segments of a JPEG; arguments as of jpeg_scans.say, and `encode_ycbcr`."""
    said, packet = new_exif(exif, tag), new_xmp(xmp, tag)
    if len(said) > MOST_EXIF:
        said = new_exif(exif, None)  # the tag may be what is too much
    said = said if len(said) <= MOST_EXIF else new_exif(b"", tag)
    packet = packet if len(packet) <= MOST_XMP else new_xmp(b"", tag)
    return say(density, said, photoshop, packet, icc_profile, comment)


def _what_to_say(exif: bytes, xmp: bytes, metadata: dict[str, Any]) -> dict[str, Any]:
    """List what Pillow is to write beside the pixels of any format."""
    said = {name: metadata.get(name) for name in ("dpi", "icc_profile")}
    said |= {"exif": b"Exif\0\0" + exif if exif else b"", "xmp": xmp}
    return {name: content for name, content in said.items() if content}


def _chain(first: np.ndarray, strips: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    yield first
    yield from strips


def _checked(
    strips: Iterable[np.ndarray], size: tuple[int, int], bits: int
) -> Iterator[np.ndarray]:
    """Let strips of a photograph's size through, in so many bits; refuse others."""
    rows = 0
    for strip in strips:
        rows += len(strip)
        if strip.shape[1:] != (size[1], 3) or rows > size[0]:
            raise ValueError("strips are not of the photograph's size")
        yield to_16_bits(strip) if bits == 16 else to_8_bits(strip)
    if rows != size[0]:
        raise ValueError("strips are not of the photograph's size")


def _with_alpha(
    strips: Iterable[np.ndarray], alpha: np.ndarray | None, bits: int
) -> Iterator[np.ndarray]:
    """Put a photograph's alpha, if any, beside its colours."""
    y = 0
    for strip in strips:
        if alpha is None:
            yield strip
        else:
            rows = alpha[y : y + len(strip), :, None]
            rows = to_16_bits(rows) if bits == 16 else to_8_bits(rows)
            yield np.concatenate((strip, rows), axis=2)
        y += len(strip)


def _rgb_image(strips: Iterable[np.ndarray], size: tuple[int, int]) -> Image.Image:
    """Put strips of 8 bits, of all rows together, below each other."""
    image = Image.new("RGB", (size[1], size[0]), None)  # not cleared, since all of it is filled
    y = 0
    for strip in strips:
        image.paste(Image.fromarray(strip), (0, y))
        y += len(strip)
    return image
