"""What decoding and writing a photograph takes, known before it is done: its weight in memory."""

from typing import BinaryIO

import numpy as np
from PIL import ImageFile, ImageMode

from colourizer.photos.decode import open_image
from colourizer.photos.files import JPEG_FORMATS
from colourizer.photos.sixteen_bit import has_16_bit_colours
from colourizer.photos.source import read_content

MAX_PIXELS = 150_000_000
MAX_WEIGHT = 450_000_000  # bytes: MAX_PIXELS in 8-bit colour; up to four times as many are in use
MAX_PIXELS_IN_SCANS = 3_000_000_000  # of a JPEG: each of its scans goes over all pixels
START_OF_SCAN = b"\xff\xda"
BITS_PER_SAMPLE, SAMPLES_PER_PIXEL = 258, 277  # tags of TIFF
# Bytes that encoding takes for each one decoded, compared with other formats: libaom 33 for three,
# libwebp 17.
FORMAT_FACTORS = {"AVIF": 3, "HEIF": 2, "WEBP": 2}


class PhotoTooLargeError(Exception):
    """A photograph that is too large for the page."""


def measure_weight(source: BinaryIO) -> int:
    """Return a photograph's weight in bytes, without decoding it.

    It is pixels x channels x bytes of a value, more for formats that are encoded with large
    buffers, plus the bytes of the file, which is read into memory.

    Raises:
        PhotoError: it cannot be read.
        PhotoTooLargeError: it would take too much memory or time.
    """
    with open_image(source) as image:
        pixels = image.width * image.height
        each = bytes_per_pixel(image)
        factor = FORMAT_FACTORS.get(str(image.format), 1)
        is_jpeg = image.format in JPEG_FORMATS
    content = read_content(source)
    decoded = pixels * each
    if pixels > MAX_PIXELS:
        raise _too_large(f"has {pixels // 10**6} million pixels; {MAX_PIXELS // 10**6} million")
    if decoded * factor > MAX_WEIGHT:
        kind = f" in a photograph of its format, {image.format}," if factor > 1 else ""
        raise _too_large(
            f"has {pixels // 10**6} million pixels of {each} bytes, so {decoded // 10**6} MB when "
            f"decoded; {MAX_WEIGHT // factor // 10**6} MB{kind}"
        )
    scans = content.count(START_OF_SCAN) if is_jpeg else 1
    if pixels * scans > MAX_PIXELS_IN_SCANS:
        most = MAX_PIXELS_IN_SCANS // pixels
        raise _too_large(f"has {pixels // 10**6} million pixels in {scans} scans; {most} scans")
    return decoded * factor + len(content)


def bytes_per_pixel(image: ImageFile.ImageFile) -> int:
    """Return how many bytes of each pixel an opened image has when it is decoded."""
    if image.mode in ("P", "PA"):
        return 4  # red, green, blue and transparency of the palette's colours
    value = np.dtype(ImageMode.getmode(image.mode).typestr).itemsize
    deep = 2 if has_16_bit_colours(image) else 1  # Pillow's modes say 8 bits
    tags = getattr(image, "tag_v2", {})  # of a TIFF, whose other channels are decoded, too
    bits, samples = tags.get(BITS_PER_SAMPLE, (0,)), tags.get(SAMPLES_PER_PIXEL, 1)
    stored = max(bits) * max(len(bits), samples) // 8
    return max(len(image.getbands()) * value * deep, stored)


def _too_large(what: str) -> PhotoTooLargeError:
    return PhotoTooLargeError(f"{what} are the most here; python colourize.py takes more")
