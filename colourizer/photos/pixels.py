"""A decoded image of any mode -> arrays of pixels and alpha, of 8 or 16 bits."""

from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

from colourizer.photos.errors import PhotoError
from colourizer.photos.icc import cmyk_to_srgb, grey_to_srgb

STRIP_ROWS = 256  # copied from images to arrays at a time


def avoid_mapping(image: Image.Image) -> None:
    """Let Pillow read, not map, an opened TIFF that lies on its side.

    Pillow 13 maps an uncompressed TIFF of one strip into memory with its upright size, where rows
    have the stored one, if it was opened by its path: stripes, and no error.
    """
    if image.format == "TIFF" and image.getexif().get(ExifTags.Base.Orientation, 1) > 4:
        image.filename = ""  # type: ignore[attr-defined]  # nothing to map


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Return values of 16 bits rounded to 8; uint8 stays as it is."""
    if values.dtype == np.uint8:
        return values
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_16_bits(values: np.ndarray) -> np.ndarray:
    """Return values of 8 bits stretched to 16; uint16 stays as it is."""
    return values if values.dtype == np.uint16 else values.astype(np.uint16) * 257


def repeat_pixels(values: np.ndarray, across: int, down: int = 1) -> np.ndarray:
    """Enlarge (h, w) uint8 to (h * down, w * across) by nearest neighbour; across: 1, 2, 4 or 8."""
    one_each = np.frombuffer(b"\1" * across, dtype=f"u{across}")
    # One multiplication makes all copies of a value.
    wide = np.multiply(values, one_each, dtype=one_each.dtype).view(np.uint8)
    return wide if down == 1 else np.repeat(wide, down, axis=0)


def iterate_strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Yield strips of an image, STRIP_ROWS high, with the number of their first row."""
    for y in range(0, image.height, STRIP_ROWS):
        yield y, image.crop((0, y, image.width, min(y + STRIP_ROWS, image.height)))


def copy_rgb(image: Image.Image) -> np.ndarray:
    """Return the pixels (H, W, 3) uint8 of an image of 8 bits, using little memory besides."""
    return _copy(image, "RGB", (image.height, image.width, 3))


def copy_grey(image: Image.Image) -> np.ndarray:
    """Return the pixels (H, W) uint8 of a grey image of 8 bits, using little memory besides."""
    return _copy(image, "L", (image.height, image.width))


def _copy(image: Image.Image, mode: str, shape: tuple[int, ...]) -> np.ndarray:
    pixels = np.empty(shape, dtype=np.uint8)
    for y, strip in iterate_strips(image):
        pixels[y : y + STRIP_ROWS] = np.asarray(strip.convert(mode))
    return pixels


def find_white(values: np.ndarray) -> float:
    """Return which value is white, of samples of 32 bits or floating point.

    Whole numbers mostly are 16-bit values, or of all their range; floating-point ones are in
    [0, 1], [0, 255] or [0, 65535].

    Raises:
        PhotoError: it cannot be known.
    """
    largest, smallest = values.max(), values.min()
    floating = values.dtype.kind == "f"
    if not floating and smallest < 0:
        raise PhotoError("has negative values, of which none is said to be black")
    if floating and np.isnan(largest):
        largest = np.nanmax(values) if not np.isnan(values).all() else 0
    if floating and largest <= 2:  # a little above white is sharpening
        return 1
    if not floating and largest <= 65535:
        return 65535
    if not floating and values.dtype.kind == "u" and largest >= 2**31:
        return 2**32 - 1
    mean = np.nanmean(values, dtype=np.float64)
    for white in (255, 65535):
        if floating and largest <= white and mean >= white / 64:
            return white
    raise PhotoError(f"has values up to {largest:g}, of which none is said to be white")


def _split_deep_grey(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return pixels and alpha, uint16, of a decoded grey image of more than 8 bits."""
    values = np.asarray(image)
    if image.mode in ("I", "F"):  # convert("L") would clip at 255
        white = find_white(values)
        values = np.nan_to_num(values.astype(np.float64)) * (65535 / white)
        values = values.round().clip(0, 65535)
    values = values.astype(np.uint16)
    alpha = None
    if isinstance(image.info.get("transparency"), int):  # PNG: the one value that is transparent
        alpha = (values != image.info["transparency"]).astype(np.uint16) * 65535
    tags = getattr(image, "tag_v2", {})
    if tags.get(258) == (12,):  # bits
        values = (values.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
    if tags.get(262) == 0:  # white is zero, which Pillow forgets above 8 bits
        values = 65535 - values
    return values, alpha


def split_alpha(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a decoded image's pixels and alpha; shapes and ranges as in photo.Photo."""
    profile = image.info.get("icc_profile") or b""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels, alpha = _split_deep_grey(image)
        return grey_to_srgb(pixels, profile), alpha
    if image.mode == "CMYK":
        image = cmyk_to_srgb(image, profile)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA" if image.mode not in ("LA", "La") else "LA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode in ("1", "L", "LA"):
        return grey_to_srgb(copy_grey(image), profile), alpha
    return copy_rgb(image), alpha


def reduce_neutral(pixels: np.ndarray, tolerance: int = 0) -> np.ndarray:
    """Return (H, W, 3) as grey (H, W) if red and blue equal green everywhere, within tolerance."""
    for y in range(0, len(pixels), STRIP_ROWS):
        red, green, blue = np.moveaxis(pixels[y : y + STRIP_ROWS], -1, 0)
        for other in (red, blue):
            if np.array_equal(green, other):
                continue
            if not tolerance or np.abs(other.astype(np.int32) - green).max() > tolerance:
                return pixels
    return np.ascontiguousarray(pixels[..., 1])
