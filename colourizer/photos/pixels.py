"""A decoded image of any mode -> pixels and alpha as arrays, in 8 or 16 bits."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from colourizer.photos.icc import cmyk_to_srgb, grey_to_srgb

ROWS_AT_ONCE = 256  # copied from images to arrays at a time


def to_8_bits(values: np.ndarray) -> np.ndarray:
    """Round values of 16 bits, if they are, to 8."""
    if values.dtype == np.uint8:
        return values
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def to_16_bits(values: np.ndarray) -> np.ndarray:
    """Stretch values of 8 bits, if they are, to 16."""
    return values if values.dtype == np.uint16 else values.astype(np.uint16) * 257


def repeat_pixels(values: np.ndarray, across: int, down: int = 1) -> np.ndarray:
    """Repeat each value of (h, w) uint8: (h * down, w * across); across is 1, 2, 4 or 8."""
    one_each = np.frombuffer(b"\1" * across, dtype=f"u{across}")
    wide = np.multiply(values, one_each, dtype=one_each.dtype).view(np.uint8)  # all of one at once
    return wide if down == 1 else np.repeat(wide, down, axis=0)


def cut_strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Cut an image into strips of ROWS_AT_ONCE; give the first row's number with each."""
    for y in range(0, image.height, ROWS_AT_ONCE):
        yield y, image.crop((0, y, image.width, min(y + ROWS_AT_ONCE, image.height)))


def rgb_pixels(image: Image.Image) -> np.ndarray:
    """Copy the pixels (H, W, 3) uint8 of an image of 8 bits, with little memory besides."""
    return _pixels(image, "RGB", (image.height, image.width, 3))


def grey_pixels(image: Image.Image) -> np.ndarray:
    """Copy the pixels (H, W) uint8 of a grey image of 8 bits, with little memory besides."""
    return _pixels(image, "L", (image.height, image.width))


def _pixels(image: Image.Image, mode: str, shape: tuple[int, ...]) -> np.ndarray:
    pixels = np.empty(shape, dtype=np.uint8)
    for y, strip in cut_strips(image):
        pixels[y : y + ROWS_AT_ONCE] = np.asarray(strip.convert(mode))
    return pixels


def _deep_grey(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Take the pixels and the alpha of a decoded image of more than 8 bits per grey value."""
    values = np.asarray(image)
    if image.mode in ("I", "F"):  # convert("L") would clip at 255
        values = np.nan_to_num(values.astype(np.float64)).clip(min=0)
        largest = values.max(initial=0)
        full = next(top for top in (1, 255, 65535, max(largest, 65536)) if largest <= top)
        if image.mode == "I":  # integers; 32-bit files mostly hold 16-bit values
            full = max(full, 65535)
        values = (values * (65535 / full)).round()
    values = values.astype(np.uint16)
    alpha = None
    if isinstance(image.info.get("transparency"), int):  # the one value that is not seen, of PNG
        alpha = (values != image.info["transparency"]).astype(np.uint16) * 65535
    tags = getattr(image, "tag_v2", {})
    if tags.get(258) == (12,):  # bits
        values = (values.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
    if tags.get(262) == 0:  # white is zero, which Pillow forgets above 8 bits
        values = 65535 - values
    return values, alpha


def pixels_and_alpha(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Take a decoded image's pixels and alpha apart; shapes and ranges as in photo.Photo."""
    profile = image.info.get("icc_profile") or b""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        pixels, alpha = _deep_grey(image)
        return grey_to_srgb(pixels, profile), alpha
    if image.mode == "CMYK":
        image = cmyk_to_srgb(image, profile)
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA" if image.mode not in ("LA", "La") else "LA")
        alpha = np.asarray(image.getchannel("A"))
    if image.mode in ("1", "L", "LA"):
        return grey_to_srgb(grey_pixels(image), profile), alpha
    return rgb_pixels(image), alpha


def without_colour(pixels: np.ndarray, slack: int = 0) -> np.ndarray:
    """Reduce (H, W, 3) to (H, W) if red, green and blue differ by no more than slack anywhere."""
    for y in range(0, len(pixels), 256):
        red, green, blue = np.moveaxis(pixels[y : y + 256], -1, 0)
        for other in (red, blue):
            if np.array_equal(green, other):
                continue
            if not slack or np.abs(other.astype(np.int32) - green).max() > slack:
                return pixels
    return np.ascontiguousarray(pixels[..., 1])
