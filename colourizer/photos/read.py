"""A photograph's file -> a Photo, or an RGB image; upright."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

from colourizer.photos.conversions import describe_reading
from colourizer.photos.decode import (
    apply_orientation,
    complete_jpeg,
    decode,
    decode_16_bit,
    decode_jpeg_without_pillow,
    lacks_end_marker,
    open_image,
    read_grey_scans,
    refuse_several_pictures,
    turn_upright,
)
from colourizer.photos.errors import PhotoError, SeveralPicturesError
from colourizer.photos.files import JPEG_FORMATS
from colourizer.photos.icc import profile_colour_space
from colourizer.photos.jpeg_segments import lacks_scans
from colourizer.photos.metadata import read_metadata
from colourizer.photos.orientation import read_orientation, upright_size
from colourizer.photos.photo import Photo
from colourizer.photos.pillow_limits import pillow_limits
from colourizer.photos.pixels import reduce_neutral, split_alpha, to_8_bits
from colourizer.photos.sixteen_bit import has_16_bit_colours, select_byte
from colourizer.photos.source import read_content
from colourizer.photos.tiff_image import TiffImage
from colourizer.photos.tone import Tone, read_tone
from colourizer.runtime.parallel import map_ordered

NO_END_MARKER = "lacks its end marker; all its pixels are there"
LUMA_CHANGED = "its luma is not kept bit for bit"
FEWER_SCANS = "lacks scans of its finer details"


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
    """Read as `read_rgb` does, but without the last resizing: the image may be larger.

    Args:
        source: a file's path, or an open file that can be read from any place.
        shortest_side: pixels that suffice; of a JPEG that has twice as many, only as many are
            decoded. None is all of them.

    Raises:
        PhotoError: it cannot be read.
    """
    opened = _open_reduced(source, shortest_side)
    try:
        decoded = apply_orientation(decode(opened))
    except PhotoError:
        completed = complete_jpeg(source) if opened.format in JPEG_FORMATS else None
        if completed is None:
            raise
        decoded = apply_orientation(decode(_open_reduced(completed, shortest_side)))
    tone = read_tone(source, decoded) or Tone()
    if decoded.mode == "RGB" and not decoded.has_transparency_data and not tone.is_far_from_srgb:
        image = decoded.copy()
        image.info = {}  # Pillow would write some of it into any file
        return image
    pixels, alpha = split_alpha(decoded)
    image = Image.fromarray(to_8_bits(tone.to_srgb(pixels))).convert("RGB")
    if alpha is None:
        return image
    white = Image.new("RGB", image.size, "white")
    return Image.composite(image, white, Image.fromarray(to_8_bits(alpha)))


def _open_reduced(source: Path | BinaryIO, shortest_side: int | None) -> ImageFile.ImageFile:
    """Open a photograph; a JPEG decodes to no more than it takes for a shortest side."""
    opened = open_image(source)
    if shortest_side:
        opened.draft(None, (shortest_side, shortest_side))
    return opened


@pillow_limits()
def read_photo(
    source: Path | BinaryIO,
    with_scans: bool = False,
    opened: ImageFile.ImageFile | None = None,
) -> Photo:
    """Read a photograph with its alpha and metadata, upright.

    Args:
        source: a file's path, or an open file that can be read from any place.
        with_scans: keep a grey JPEG's entropy-coded scans too.
        opened: the source as returned by `open_image`, if it is open already; it is closed.

    Raises:
        PhotoError: it cannot be read.
        SeveralPicturesError: it has several pages or frames.
    """
    image = opened or open_image(source)
    try:
        return _read(source, image, with_scans)
    except SeveralPicturesError:
        raise
    except Exception as error:  # Pillow's answers to damage, wherever it lies
        if image.format in JPEG_FORMATS and (completed := complete_jpeg(source)):
            photo = _read(completed, open_image(completed), with_scans)
            return replace(photo, note="; ".join(filter(None, (NO_END_MARKER, photo.note))))
        if isinstance(error, PhotoError):
            raise
        raise PhotoError(f"cannot be decoded ({error})") from error


def _read(source: Path | BinaryIO, image: ImageFile.ImageFile, with_scans: bool) -> Photo:
    refuse_several_pictures(image)
    file_format, mode = str(image.format), image.mode
    is_jpeg = file_format in JPEG_FORMATS
    tone = read_tone(source, image)
    stored, alpha = decode_jpeg_without_pillow(image) if is_jpeg else None, None
    if isinstance(image, TiffImage) and image.layout:
        stored, alpha = image.read_pixels()
    if stored is None:
        photo, turned = _read_by_pillow(source, image)
    else:
        orientation = read_orientation(image)
        pixels, turned = turn_upright(stored, orientation), orientation != 1
        alpha = None if alpha is None else turn_upright(alpha, orientation)
        metadata = read_metadata(source, image, orientation, upright_size(image, orientation))
        photo = Photo(pixels, file_format, alpha, metadata)
    photo = _simplify(photo)
    if tone:
        chunks = b"" if tone.is_far_from_srgb else tone.chunks
        metadata = replace(photo.metadata, icc_profile=tone.profile(), tone=chunks)
        photo = replace(photo, pixels=tone.to_srgb(photo.pixels), metadata=metadata)
    profile = profile_colour_space(image.info.get("icc_profile") or b"")
    converted = describe_reading(mode, profile, turned, bool(tone and tone.is_far_from_srgb))
    photo = replace(photo, converted=converted)
    notes = []
    if with_scans and is_jpeg and image.mode == "L":
        photo = replace(photo, scans=None if converted else read_grey_scans(source))
        notes += [] if photo.scans else [LUMA_CHANGED]
    if is_jpeg and lacks_end_marker(source):
        notes.append(NO_END_MARKER)
    if image.info.get("progressive") and lacks_scans(read_content(source)):
        notes.append(FEWER_SCANS)
    if file_format == "HEIF" and (pictures := getattr(image, "n_frames", 1)) > 1:
        notes.append(f"has {pictures} pictures, of which the primary one was taken")
    image.close()
    return replace(photo, note="; ".join(notes))


def _read_by_pillow(source: Path | BinaryIO, image: ImageFile.ImageFile) -> tuple[Photo, bool]:
    """Read a photograph; return it, and whether it had to be turned upright."""
    if deep := has_16_bit_colours(image):
        select_byte(image, low=False)
    if image.format != "TIFF":
        decode(image)  # Pillow decodes a PNG to look for EXIF, and forgets that it is damaged
    orientation = read_orientation(image)
    size = upright_size(image, orientation)
    decode(image)  # which turns a TIFF
    # Before turning, which writes EXIF and XMP anew.
    metadata = read_metadata(source, image, orientation, size)
    apply_orientation(image)
    if deep:
        pixels, alpha = decode_16_bit(source, image)
    else:
        pixels, alpha = split_alpha(image)
    return Photo(pixels, str(image.format), alpha, metadata), orientation != 1


def _simplify(photo: Photo) -> Photo:
    """Return a photograph without colours that are all neutral, and alpha that is all opaque."""
    pixels, alpha = photo.pixels, photo.alpha
    if pixels.ndim == 3 and photo.format not in JPEG_FORMATS:  # whose colours are known
        # Lossy WebP rounds neutral colours to neighbours of grey.
        pixels = reduce_neutral(pixels, tolerance=photo.format == "WEBP")
    if alpha is not None and alpha.min() == np.iinfo(alpha.dtype).max:
        alpha = None
    return replace(photo, pixels=pixels, alpha=alpha)


def map_photos(
    paths: Iterable[Path],
    function: Callable[[Path], Any],
    initializer: Callable[[], object] | None = None,
) -> Iterator[tuple[Path, Any]]:
    """Call a function for each of many photographs, in as many threads as there are cores.

    Args:
        paths: the photographs.
        function: an exception that it raises is yielded, as a PhotoError, in place of the result.
        initializer: called once in each thread, before anything else.

    Yields:
        (path, result), in the order of the paths.
    """
    threads = os.cpu_count() or 1
    for path, result in map_ordered(paths, function, threads, 2 * threads, initializer):
        if isinstance(result, Exception) and not isinstance(result, PhotoError):
            yield path, PhotoError(str(result) or type(result).__name__)
        else:
            yield path, result
