"""Coloured pixels, alpha and metadata -> a file of any format that is written."""

import errno
import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, JpegImagePlugin
from simplejpeg import encode_jpeg_yuv_planes

from colourizer.photos.app_segments import EXIF
from colourizer.photos.exif import update_exif
from colourizer.photos.jpeg_segments import (
    MAX_EXIF,
    MAX_XMP,
    PROGRESSIVE,
    START,
    GreyScans,
    after_app_segments,
    join_scans,
    parse_grey_scans,
    write_app_segments,
)
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.pixels import to_8_bits, to_16_bits
from colourizer.photos.png import write_png
from colourizer.photos.tiff import write_tiff
from colourizer.photos.xmp import update_xmp

# Below 96 simplejpeg has a coarser transform (libjpeg-turbo's fast one), which is no faster here.
JPEG_QUALITY = 96
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    # Chroma comes from a quarter of the resolution at most, so 4:2:0 loses none of it.
    "JPEG": {"quality": JPEG_QUALITY, "subsampling": "4:2:0"},
    "WEBP": {"quality": 95},
    "AVIF": {"quality": 90},
}
BLOCK = 1 << 16  # bytes; of no file system more


def encode(
    file: BinaryIO,
    strips: Iterable[np.ndarray],
    file_format: str,
    like: Photo,
    provenance: str | None = None,
) -> None:
    """Write a photograph into an open file; what the format has no room for is left out.

    JPEG and BMP have no alpha, BMP no EXIF, XMP and profile; more EXIF or XMP than 64 kB does not
    fit into JPEG.

    Args:
        file: any place of it can be written to.
        strips: (h, W, 3) uint8 or uint16 from top to bottom, of all rows together.
        file_format: JPEG, PNG, WEBP, TIFF, BMP or AVIF.
        like: the photograph whose size, alpha and metadata it has.
        provenance: the program that made it, for XMP and EXIF; None leaves it out.

    Raises:
        ValueError: strips are not of the photograph's size.
        OSError: the file cannot be written.
    """
    size = like.pixels.shape[0], like.pixels.shape[1]
    if file_format in ("PNG", "TIFF"):  # which hold 16 bits
        strips = iter(strips)
        first = next(strips)
        bits = 8 * first.dtype.itemsize
        strips = _convert_strips(chain((first,), strips), size, bits)
        strips = _append_alpha(strips, like.alpha, bits)
        shape = (*size, 3 if like.alpha is None else 4)
        write = write_png if file_format == "PNG" else write_tiff
        write(file, strips, shape, bits, _update_metadata(like.metadata, provenance, file_format))
        return
    image = _paste_strips(_convert_strips(strips, size, 8), size)
    if file_format == "JPEG":
        compressed = io.BytesIO()
        image.save(compressed, "JPEG", **SAVE_OPTIONS["JPEG"])
        _write_jpeg(file, compressed.getvalue(), like.metadata, provenance)
        return
    if like.alpha is not None and file_format != "BMP":
        image.putalpha(Image.fromarray(to_8_bits(like.alpha)))
    save_image(image, file, file_format, **_save_options(like, file_format, provenance))


def _update_metadata(metadata: Metadata, provenance: str | None, file_format: str) -> Metadata:
    """Return the metadata of an upright photograph that `provenance` made."""
    exif = update_exif(metadata.exif, provenance)
    xmp = update_xmp(metadata.xmp, provenance, _media_type(file_format))
    return replace(metadata, exif=exif, xmp=xmp)


def _media_type(file_format: str) -> str:
    return f"image/{file_format.lower()}"  # of all that are written; Pillow knows some too late


def _save_options(like: Photo, file_format: str, provenance: str | None) -> dict[str, Any]:
    """Return what Pillow is told about a WebP, AVIF or BMP: quality and metadata."""
    metadata = like.metadata
    options = dict(SAVE_OPTIONS.get(file_format, {}))
    if file_format == "WEBP" and metadata.lossless:
        options = {"lossless": True, "exact": True}  # also the colours that nobody sees
    if file_format == "AVIF" and like.alpha is not None:
        options["advanced"] = {"alpha:lossless": "1"}
    exif = update_exif(
        metadata.exif,
        provenance,
        metadata.dpi if file_format != "BMP" else None,  # the others have no other place for it
        # Of an orientation in EXIF, Pillow would make AVIF's own, and write the EXIF anew.
        keep_orientation=file_format != "AVIF",
    )
    described = {
        "dpi": metadata.dpi,
        "icc_profile": metadata.icc_profile,
        "exif": exif and EXIF + exif,
        "xmp": update_xmp(metadata.xmp, provenance, _media_type(file_format)),
    }
    return options | {name: value for name, value in described.items() if value}


def save_image(image: Image.Image, file: BinaryIO, file_format: str, **options: Any) -> None:
    """Write an image into an open file by Pillow, and notice if the disk is full.

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
    metadata: Metadata,
    provenance: str | None = None,
) -> None:
    """Write a photograph into an open file as JPEG, 4:2:0; what it has no room for is left out.

    Args:
        file: any place of it can be written to.
        luma: (H, W) uint8, or a grey JPEG's scans, which become a part of the file as they are.
        chroma: (2, H/2, W/2) uint8, rounded up.
        metadata: of the photograph.
        provenance: the program that made it, for XMP and EXIF; None leaves it out.
    """
    if not isinstance(luma, GreyScans):
        # Pillow has no room for chroma of half the size: it would be enlarged and reduced again.
        quality = SAVE_OPTIONS["JPEG"]["quality"]
        compressed = encode_jpeg_yuv_planes(_pad_to_even_sides(luma), *chroma, quality=quality)
        _write_jpeg(file, compressed, metadata, provenance)
        return
    one_pixel = io.BytesIO()
    Image.new("YCbCr", (1, 1)).save(one_pixel, "JPEG", **SAVE_OPTIONS["JPEG"])
    one_pixel.seek(0)
    with JpegImagePlugin.JpegImageFile(one_pixel) as image:
        table = image.quantization[1]  # of chroma
    cb, cr = (_compress_plane(file, c, table, luma.frame == PROGRESSIVE) for c in chroma)
    content = join_scans(_app_segments(metadata, provenance), (luma, cb, cr))
    file.seek(0)
    file.truncate()
    file.write(content)


def _pad_to_even_sides(luma: np.ndarray) -> np.ndarray:
    """Return luma (H, W) with, beyond its end in memory, the row and column that make sides even.

    libjpeg-turbo reads them where chroma has half the luma's resolution.
    """
    height, width = luma.shape
    if height % 2 == 0 and width % 2 == 0:
        return luma
    return np.pad(luma, ((0, height % 2), (0, width % 2)), mode="edge")[:height, :width]


def _compress_plane(
    file: BinaryIO, values: np.ndarray, table: list[int], progressive: bool
) -> GreyScans:
    """Compress (H, W) uint8 with a quantization table, in place of what a file holds."""
    # In memory it would need no file, but then Pillow lets no other thread work meanwhile.
    file.seek(0)
    Image.fromarray(values).save(file, "JPEG", qtables=[table], progressive=progressive)
    file.seek(0, io.SEEK_END)  # forgets what was read before
    file.seek(0)
    scans = parse_grey_scans(file.read())
    if not scans:  # Pillow does not notice when its last write is cut short
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return scans


def _write_jpeg(
    file: BinaryIO, compressed: bytes, metadata: Metadata, provenance: str | None
) -> None:
    """Write a JPEG with app segments of its metadata in place of its own."""
    file.write(START + _app_segments(metadata, provenance))
    file.write(after_app_segments(compressed))


@lru_cache(maxsize=2)  # most scans of a folder have the same
def _app_segments(metadata: Metadata, provenance: str | None) -> bytes:
    """Return the app segments of an upright photograph, less EXIF and XMP that do not fit."""
    updated = _update_metadata(metadata, provenance, "JPEG")
    exif, xmp = updated.exif, updated.xmp
    if len(exif) > MAX_EXIF:
        exif = update_exif(metadata.exif, None)  # the provenance may be what is too much
    exif = exif if len(exif) <= MAX_EXIF else update_exif(b"", provenance)
    xmp = xmp if len(xmp) <= MAX_XMP else update_xmp(b"", provenance)
    return write_app_segments(replace(metadata, exif=exif, xmp=xmp))


def _convert_strips(
    strips: Iterable[np.ndarray], size: tuple[int, int], bits: int
) -> Iterator[np.ndarray]:
    """Convert strips to 8 or 16 bits; refuse those that are not of a photograph's size (H, W)."""
    rows = 0
    for strip in strips:
        rows += len(strip)
        if strip.shape[1:] != (size[1], 3) or rows > size[0]:
            raise ValueError("strips are not of the photograph's size")
        yield to_16_bits(strip) if bits == 16 else to_8_bits(strip)
    if rows != size[0]:
        raise ValueError("strips are not of the photograph's size")


def _append_alpha(
    strips: Iterable[np.ndarray], alpha: np.ndarray | None, bits: int
) -> Iterator[np.ndarray]:
    """Append alpha (H, W), if any, to strips (h, W, 3) as a fourth channel."""
    if alpha is None:
        yield from strips
        return
    y = 0
    for strip in strips:
        rows = alpha[y : y + len(strip), :, None]
        rows = to_16_bits(rows) if bits == 16 else to_8_bits(rows)
        yield np.concatenate((strip, rows), axis=2)
        y += len(strip)


def _paste_strips(strips: Iterable[np.ndarray], size: tuple[int, int]) -> Image.Image:
    """Return strips of 8 bits, of all rows together, as one image."""
    image = Image.new("RGB", (size[1], size[0]), None)  # not cleared, since all of it is filled
    y = 0
    for strip in strips:
        image.paste(Image.fromarray(strip), (0, y))
        y += len(strip)
    return image
