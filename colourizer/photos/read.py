"""A photograph's file -> upright pixels, alpha and metadata."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile, ImageOps

from colourizer.photos.decode import (
    decode,
    deep_pixels,
    jpeg_pixels,
    open_image,
    read_scans,
    refuse_several,
    turn,
    turn_pixels,
)
from colourizer.photos.errors import PhotoError
from colourizer.photos.icc import profile_kind
from colourizer.photos.metadata import collect_metadata
from colourizer.photos.photo import Photo
from colourizer.photos.pillow_limits import pillow_limits
from colourizer.photos.pixels import pixels_and_alpha, to_8_bits, without_colour
from colourizer.photos.sixteen_bit import is_deep_colour, take_half
from colourizer.runtime.parallel import map_ordered


def read_rgb(source: Path | BinaryIO, shortest_side: int | None = None) -> Image.Image:
    """Read a photograph as an upright 8-bit RGB image; what is transparent becomes white.

    Args:
        source: a file's path, or an open file that can be read from any place.
        shortest_side: pixels that suffice; a larger photograph is reduced to them, a smaller one
            stays as it is.

    Raises:
        PhotoError: it cannot be read.
    """
    image = read_large_enough(source, shortest_side)
    if shortest_side and min(image.size) > shortest_side:
        scale = shortest_side / min(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


@pillow_limits()
def read_large_enough(source: Path | BinaryIO, shortest_side: int | None) -> Image.Image:
    """Read as `read_rgb` does, but leave a photograph larger than suffices where that is quicker.

    Args:
        source: a file's path, or an open file that can be read from any place.
        shortest_side: pixels that suffice; of a JPEG that has twice as many, only as many are
            decoded. None is all of them.

    Raises:
        PhotoError: it cannot be read.
    """
    opened = open_image(source)
    if shortest_side:
        opened.draft(None, (shortest_side, shortest_side))
    decoded = turn(decode(opened))
    if decoded.mode == "RGB" and not decoded.has_transparency_data:
        image = decoded.copy()
        image.info = {}  # Pillow would write some of it into any file
        return image
    pixels, alpha = pixels_and_alpha(decoded)
    image = Image.fromarray(to_8_bits(pixels)).convert("RGB")
    if alpha is None:
        return image
    white = Image.new("RGB", image.size, "white")
    return Image.composite(image, white, Image.fromarray(to_8_bits(alpha)))


@pillow_limits()
def read_photo(
    source: Path | BinaryIO,
    with_scans: bool = False,
    opened: ImageFile.ImageFile | None = None,
) -> Photo:
    """Read a photograph with its alpha and metadata, upright.

    Args:
        source: a file's path, or an open file that can be read from any place.
        with_scans: read a grey JPEG's scans too.
        opened: it, as of decoder.open_image, if it is open already; it is closed.

    Raises:
        PhotoError: it cannot be read.
        SeveralPicturesError: it has several pages or frames.
    """
    image = opened or open_image(source)
    try:
        return _read(source, image, with_scans)
    except PhotoError:
        raise
    except Exception as error:  # Pillow's answers to damage, wherever it lies
        raise PhotoError(f"cannot be decoded ({error})") from error


def _read(source: Path | BinaryIO, image: ImageFile.ImageFile, with_scans: bool) -> Photo:
    refuse_several(source, image)
    file_format = str(image.format)
    is_jpeg = file_format in ("JPEG", "MPO")
    stored = jpeg_pixels(image) if is_jpeg else None
    if stored is None:
        photo, turned = _read_by_pillow(source, image)
    else:
        pixels = turn_pixels(stored, image)
        turned = pixels is not stored
        photo = Photo(pixels, file_format, None, collect_metadata(source, image))
    converted = profile_kind(image.info.get("icc_profile") or b"") == "GRAY"
    if with_scans and is_jpeg and image.mode == "L" and not (turned or converted):
        photo = replace(photo, scans=read_scans(source))
    image.close()
    return photo


def _read_by_pillow(source: Path | BinaryIO, image: ImageFile.ImageFile) -> tuple[Photo, bool]:
    """Read a photograph; say whether it had to be turned upright."""
    file_format = str(image.format)
    multiplied = "RGBa" in str(image.tile)
    if deep := is_deep_colour(image):
        take_half(image, low=False)
    decode(image)
    kept = collect_metadata(source, image)  # before turning, which writes EXIF and XMP anew
    as_stored = image.im
    turn(image)
    turned = image.im is not as_stored
    del as_stored  # as large as the photograph
    if deep:
        pixels, alpha = deep_pixels(source, image, multiplied)
    else:
        pixels, alpha = pixels_and_alpha(image)
    if pixels.ndim == 3:
        # Lossy WebP rounds neutral colours to neighbours of grey.
        pixels = without_colour(pixels, slack=file_format == "WEBP")
    if alpha is not None and alpha.min() == np.iinfo(alpha.dtype).max:
        alpha = None
    return Photo(pixels, file_format, alpha, kept), turned


def count_pixels(source: Path | BinaryIO) -> int:
    """Say how many pixels a photograph has, without decoding it.

    Args:
        source: a file's path, or an open file that can be read from any place.

    Raises:
        PhotoError: it cannot be read.
    """
    with open_image(source) as image:
        return image.width * image.height


def square(image: Image.Image, side: int) -> Image.Image:
    """Cut the largest centred square out of an image and resize it to side x side."""
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)


def each_photo(paths: Iterable[Path], read: Callable[[Path], Any]) -> Iterator[tuple[Path, Any]]:
    """Do something with many photographs in threads; give the results in order.

    Args:
        paths: the photographs.
        read: is called with each; what it raises is given as a PhotoError in the result's place.
    """
    threads = os.cpu_count() or 1
    for path, result in map_ordered(paths, read, threads, ahead=2 * threads):
        if isinstance(result, Exception) and not isinstance(result, PhotoError):
            yield path, PhotoError(str(result) or type(result).__name__)
        else:
            yield path, result
