"""A photograph's own lightness, and its greys."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from colourizer.colour.space import grey_to_lightness, linear_to_srgb, luminance, rgb_to_lab

STRIP_PIXELS = 1 << 18  # converted at a time: many, since threads wait for each other between calls


@cache
def _lightness_of_greys(full: int) -> np.ndarray:
    """List the lightness, (full + 1,) in [0, 100], of all grey levels."""
    return grey_to_lightness(torch.linspace(0, 1, full + 1)).numpy()


@cache
def _luminance_tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List shares of luminance by values, and greys by luminance, in 65535ths.

    Returns:
        (65536,) int32, red's and green's share by their two bytes, as the number that those are;
        (256,) int32, blue's share; (65539,) uint8, greys.
    """
    of_channels = luminance(torch.linspace(0, 1, 256).expand(3, 1, 256))  # (3, 1, 256)
    red, green, blue = (of_channels[:, 0] * 65535).round().int().numpy()
    bytes_of = np.arange(65536, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    greys = linear_to_srgb(torch.arange(65536 + 3) / 65535).clamp(0, 1) * 255
    return red[bytes_of[:, 0]] + green[bytes_of[:, 1]], blue, greys.round().byte().numpy()


def photo_lightness(pixels: np.ndarray) -> Tensor:
    """Measure the lightness of every pixel.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].

    Returns:
        lightness (1, H, W) in [0, 100].
    """
    full = int(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:  # one value per grey level, looked up
        return torch.from_numpy(_lightness_of_greys(full).take(pixels))[None]
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = []
    for y in range(0, len(pixels), rows):
        rgb = torch.from_numpy(pixels[y : y + rows].astype(np.float32) / full).movedim(-1, 0)
        strips.append(rgb_to_lab(rgb)[:1])
    return torch.cat(strips, dim=1)


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Turn colours into the greys of the same lightness, to within half a grey level.

    Args:
        pixels: (H, W, 3) sRGB, uint8; or (H, W), which stays as it is.

    Returns:
        grey (H, W) uint8.
    """
    if pixels.ndim == 2:
        return pixels
    of_red_and_green, of_blue, greys = _luminance_tables()
    grey = np.empty(pixels.shape[:2], dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    for y in range(0, len(pixels), rows):
        strip = np.ascontiguousarray(pixels[y : y + rows])
        red_and_green = np.ndarray(strip.shape[:2], np.uint16, strip, strides=strip.strides[:2])
        # take is faster if it need not look for indices too large.
        of_pixels = of_red_and_green.take(red_and_green, mode="wrap")
        of_pixels += of_blue.take(strip[..., 2], mode="wrap")
        grey[y : y + rows] = greys.take(of_pixels, mode="wrap")
    return grey
