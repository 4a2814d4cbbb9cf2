"""A photograph's own lightness and predicted chroma -> coloured pixels, strip by strip."""

from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from averages import Averages
from colour_space import (
    fit_to_gamut,
    grey_to_lightness,
    linear_to_srgb,
    luminance,
    rgb_to_lab,
    rgb_to_pixels,
)
from colour_table import colour_table
from pixel_formats import repeat_pixels

STRIP_PIXELS = 1 << 18  # converted at a time: many, since threads wait for each other between calls
TABLE_PIXELS = 1_000_000  # from so many on colours are looked up
# All pixels of a cell have one chroma, as JPEG stores one for 2x2. Cells are as large as leaves
# LEAST_CELLS of them. In JPEG what luma differs there from grey is added to each pixel's own value.
CELLS, LEAST_CELLS = (8, 4, 2), 30_000
STRIP_CELLS = 1 << 16  # converted at a time: few, since what is made of them stays in the cache


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


@lru_cache(maxsize=8)
@torch.inference_mode(False)  # whoever comes next may want gradients
def _bicubic(low: int, high: int) -> Tensor:
    """Say how much of each of a number of places goes into each of another: (high, low)."""
    unit = torch.eye(low)[None, None]
    return F.interpolate(unit, (high, low), mode="bicubic", align_corners=False)[0, 0]


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
    wide = planes[0] @ _bicubic(planes.shape[3], width).T
    weights = _bicubic(planes.shape[2], height)
    if rows >= height:
        yield weights @ wide
        return
    for y in range(0, height, rows):
        mixed = weights[y : y + rows]
        used = mixed.any(dim=0).nonzero()  # the others would only take time
        here = slice(int(used[0]), int(used[-1]) + 1)
        yield mixed[:, here] @ wide[:, here]


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


def rgb_strips(pixels: np.ndarray, ab: Tensor) -> Iterator[np.ndarray]:
    """Colour a photograph; every pixel keeps its lightness.

    Args:
        pixels: (H, W) grey or (H, W, 3) sRGB, uint8 or uint16; colours in it are ignored.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma. Photographs of
            TABLE_PIXELS and more get it rounded, and one for each of CELLS.

    Yields:
        rgb (rows, W, 3) of the type of pixels, from top to bottom.
    """
    height, width = pixels.shape[:2]
    rows = max(1, STRIP_PIXELS // width)
    if height * width >= TABLE_PIXELS and (pixels.ndim == 2 or pixels.dtype == np.uint8):
        yield from _looked_up(pixels, ab, rows)
        return
    for n, strip in enumerate(enlarge(ab, height, width, rows)):
        lightness = photo_lightness(pixels[n * rows : (n + 1) * rows])
        yield rgb_to_pixels(fit_to_gamut(lightness, strip), pixels.dtype)


def _looked_up(pixels: np.ndarray, ab: Tensor, rows: int) -> Iterator[np.ndarray]:
    """Colour a large photograph in about so many rows at a time; see `rgb_strips`.

    Of colours in 8 bits the lightness is that of the nearest grey level. Chroma is rounded as
    colour_table.py says, and is the same for all pixels of a cell.
    """
    height, width = pixels.shape[:2]
    table, cell = colour_table(pixels.dtype), _cell_of(height, width)
    rows = max(1, rows // cell)
    for n, strip in enumerate(enlarge(ab, -(-height // cell), -(-width // cell), rows)):
        grey = to_grey(pixels[n * rows * cell : (n + 1) * rows * cell])
        places = table.places(strip).repeat(cell, axis=1).repeat(cell, axis=0)
        yield table.colours(grey, places[: len(grey), :width])


def ycbcr_planes(
    grey: np.ndarray, ab: Tensor, keep_luma: bool = False, averages: Averages | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Colour a photograph as JPEG stores it, without a trip of every pixel through RGB.

    Args:
        grey: (H, W) uint8.
        ab: (1, 2, h, w) in Lab units, of any size; what sRGB has not loses chroma.
        keep_luma: let grey be the luma as it is. Strong colours become lighter by that, photographs
            by 0.7 Lab units on average (docs/experiments.md); without, the lightness stays.
        averages: of grey, if they are at hand.

    Returns:
        luma (H, W) uint8; chroma (2, H/2, W/2) uint8, rounded up.
    """
    cell = _cell_of(*grey.shape)
    cells = (averages or Averages(grey)).over(cell)
    levels = np.empty((3, *cells.shape), dtype=np.uint8)  # what luma differs from grey, and chroma
    table = colour_table(np.uint8, as_ycbcr=True)
    rows = max(1, STRIP_CELLS // cells.shape[1])
    for n, strip in enumerate(enlarge(ab, cells.shape[0], cells.shape[1], rows)):
        here = slice(n * rows, (n + 1) * rows)
        levels[:, here] = table.luma_and_chroma(cells[here], table.places(strip))
    added, *planes = levels
    luma = grey if keep_luma else _add_to_cells(grey, added.view(np.int8), cell)
    half = (grey.shape[0] + 1) // 2, (grey.shape[1] + 1) // 2
    chroma = np.empty((2, *half), dtype=np.uint8)
    for n, plane in enumerate(planes):
        chroma[n] = repeat_pixels(plane, cell // 2, cell // 2)[: half[0], : half[1]]
    return luma, chroma


def _cell_of(height: int, width: int) -> int:
    """Say how large cells are: few enough pixels that cells are many, also across both sides."""
    for cell in CELLS:
        if height * width >= LEAST_CELLS * cell**2 and min(height, width) >= 32 * cell:
            return cell
    return CELLS[-1]


def _add_to_cells(grey: np.ndarray, added: np.ndarray, cell: int) -> np.ndarray:
    """Add to all pixels of each cell the same; what leaves [0, 255] stops there.

    Args:
        grey: (H, W) uint8.
        added: (H/cell, W/cell) int8, rounded up; -127 at least.
        cell: pixels across a cell and down.

    Returns:
        (H, W) uint8.
    """
    # In 8 bits a sum wraps around: what would, is brought to the edge before.
    change = torch.from_numpy(added)
    least, most = (-change).clamp_min_(0), ~change.clamp_min(0)  # ~ is what is left to 255
    width = grey.shape[1]
    of_rows = [
        torch.from_numpy(repeat_pixels(plane.numpy().view(np.uint8), cell)[:, None, :width])
        for plane in (least, most, change)
    ]
    # What may not be written to PyTorch warns of, what lies otherwise in memory it cannot divide.
    pixels = torch.from_numpy(np.require(grey, requirements=("C", "W")))
    out = torch.empty_like(pixels)
    whole = len(grey) // cell  # rows of cells; the last one may be cut off
    for first, last, tall in ((0, whole, cell), (whole, len(added), len(grey) - whole * cell)):
        if first == last:
            continue
        here = slice(first * cell, first * cell + (last - first) * tall)
        shape = last - first, tall, width
        low, high, more = (plane[first:last] for plane in of_rows)
        sums = torch.clamp(pixels[here].view(shape), low, high, out=out[here].view(shape))
        sums += more
    return out.numpy()
