"""A photograph's own lightness and predicted chroma -> coloured pixels, strip by strip."""

from collections.abc import Iterator
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from colour_space import (
    fit_to_gamut,
    grey_to_lightness,
    linear_to_srgb,
    luminance,
    rgb_to_lab,
    rgb_to_pixels,
    rgb_to_ycbcr,
)

STRIP_PIXELS = 1 << 17  # converted at a time: what is computed with stays in the processor's cache
# JPEG stores one chroma value for CELL x CELL pixels: the conversion to YCbCr is done once for them
# too, and what luma differs there from the grey value is added to each pixel's own.
CELL = 2


@cache
def _lightness_of_greys(full: int) -> np.ndarray:
    """List the lightness, (full + 1,) in [0, 100], of all grey levels."""
    return grey_to_lightness(torch.linspace(0, 1, full + 1)).numpy()


@cache
def _luminance_tables() -> tuple[np.ndarray, np.ndarray]:
    """List each channel's share of luminance by its value, and greys by luminance, in 65535ths."""
    of_channels = luminance(torch.linspace(0, 1, 256).expand(3, 1, 256))  # (3, 1, 256)
    shares = (of_channels[:, 0] * 65535).round().int().numpy()
    greys = linear_to_srgb(torch.arange(65536 + 3) / 65535).clamp(0, 1) * 255
    return shares, greys.round().byte().numpy()


def photo_lightness(pixels: np.ndarray) -> Tensor:
    """Measure the lightness of every pixel.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB; uint8 in [0, 255] or uint16 in [0, 65535].

    Returns:
        lightness (1, H, W) in [0, 100].
    """
    full = int(np.iinfo(pixels.dtype).max)
    if pixels.ndim == 2:  # one value per grey level, looked up
        return torch.from_numpy(_lightness_of_greys(full)[pixels])[None]
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    strips = []
    for y in range(0, len(pixels), rows):
        rgb = torch.from_numpy(pixels[y : y + rows].astype(np.float32) / full).movedim(-1, 0)
        strips.append(rgb_to_lab(rgb)[:1])
    return torch.cat(strips, dim=1)


def enlarge(planes: Tensor, height: int, width: int, rows: int) -> Iterator[Tensor]:
    """Enlarge what the network said to a photograph's size, without ever holding all of it.

    Args:
        planes: (1, C, h, w).
        height: the photograph's.
        width: the photograph's.
        rows: how many to give at a time.

    Yields:
        strips (C, rows, width), from top to bottom; the last may have fewer rows.
    """
    planes = planes.float().cpu()
    low = planes.shape[2]
    wide = F.interpolate(planes, (low, width), mode="bicubic", align_corners=False)[0]
    # How much of each low row goes into each high one: what bicubic makes of the unit matrix.
    unit = torch.eye(low)[None, None]
    weights = F.interpolate(unit, (height, low), mode="bicubic", align_corners=False)[0, 0]
    for y in range(0, height, rows):
        yield torch.einsum("yl,clx->cyx", weights[y : y + rows], wide)


def to_grey(pixels: np.ndarray) -> np.ndarray:
    """Turn colours into the greys of the same lightness, to within half a grey level.

    Args:
        pixels: (H, W, 3) sRGB, uint8; or (H, W), which stays as it is.

    Returns:
        grey (H, W) uint8.
    """
    if pixels.ndim == 2:
        return pixels
    shares, greys = _luminance_tables()
    grey = np.empty(pixels.shape[:2], dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // pixels.shape[1])
    for y in range(0, len(pixels), rows):
        strip = pixels[y : y + rows]
        luminance = sum(shares[channel][strip[..., channel]] for channel in range(3))
        grey[y : y + rows] = greys[luminance]
    return grey


def rgb_strips(pixels: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph; every pixel keeps its lightness.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma.

    Yields:
        rgb (rows, W, 3) of the type of pixels, from top to bottom.
    """
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // width)
    for n, strip in enumerate(enlarge(ab, height, width, rows)):
        lightness = photo_lightness(pixels[n * rows : (n + 1) * rows])
        yield rgb_to_pixels(fit_to_gamut(lightness, strip), pixels.dtype)


def ycbcr_strips(grey: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph for JPEG, without a trip of every pixel through RGB.

    Args:
        grey: (H, W) uint8.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma.

    Yields:
        ycbcr (rows, W, 3) uint8 as JPEG stores it, from top to bottom.
    """
    width = grey.shape[1]
    cells = np.asarray(Image.fromarray(grey).reduce(CELL))  # (H/2, W/2), their mean grey
    cells_high, cells_wide = cells.shape
    rows = max(1, STRIP_PIXELS // cells_wide)
    for n, strip in enumerate(enlarge(ab, cells_high, cells_wide, rows)):
        mean = cells[n * rows : (n + 1) * rows]
        ycbcr = rgb_to_ycbcr(fit_to_gamut(photo_lightness(mean), strip)) * 255
        ycbcr[0] -= torch.from_numpy(mean.astype(np.float32))
        added = ycbcr.round().to(torch.int16).numpy()  # luma: what to add; chroma: as it is
        own = grey[n * rows * CELL : (n + 1) * rows * CELL]
        out = np.empty((*own.shape, 3), dtype=np.uint8)
        luma = np.repeat(np.repeat(added[0], CELL, axis=0), CELL, axis=1)
        out[..., 0] = (luma[: len(own), :width] + own).clip(0, 255)
        for channel in (1, 2):
            plane = added[channel].clip(0, 255).astype(np.uint8)
            plane = np.repeat(np.repeat(plane, CELL, axis=0), CELL, axis=1)
            out[..., channel] = plane[: len(own), :width]
        yield out
