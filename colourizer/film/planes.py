"""A decoded frame -> its luma; that and chroma -> the frame that is encoded.

Luma is kept as it was decoded. Chroma is that of the colour with the frame's own lightness.
"""

import re
from typing import Any

import numpy as np
import torch
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from PIL import Image
from torch import Tensor

from colourizer.colour.space import (
    YcbcrCoding,
    fit_to_gamut,
    grey_to_lightness,
    rgb_to_ycbcr,
)
from colourizer.film.probe import FilmInfo
from colourizer.inference.fast.colour_table import colour_table
from colourizer.inference.upsample import upsample, upsample_strips

STRIP_CELLS = 1 << 16  # looked up at a time: their tables and results stay in the cache
MAX_BITS = 10  # of a value that is encoded; deeper films are rounded
# Pixel formats whose first plane is luma, with values in the low bits.
_LUMA_FIRST = re.compile(r"(yuvj?4\d\dp|yuva4\d\dp|gray|nv\d\d)(\d+le)?")


def view_plane(plane: VideoPlane, bits: int) -> np.ndarray:
    """Return a view of a plane's values (h, w): uint8 of 8 bits, uint16 of more."""
    kind: Any = np.uint8 if bits == 8 else np.uint16
    values = np.frombuffer(memoryview(plane), kind)
    rows = values.reshape(-1, plane.line_size // values.itemsize)
    return rows[: plane.height, : plane.width]


def luma_of(frame: VideoFrame, info: FilmInfo) -> np.ndarray:
    """Return a frame's luma (H, W), uint8 of 8 bits or uint16 of 10; others are converted."""
    if not _LUMA_FIRST.fullmatch(frame.format.name):
        deep = "10le" if info.bits > 8 else ""
        matrix = 1 if info.coding.red < 0.25 else 5  # FFmpeg's numbers of BT.709 and BT.601
        frame = frame.reformat(
            format=f"yuv444p{deep}",
            dst_colorspace=matrix if frame.format.is_rgb or frame.format.has_palette else None,
            dst_color_range=2 if info.coding.full_range else 1,
        )
    if (frame.width, frame.height) != (info.width, info.height):  # it changes within the film
        frame = frame.reformat(info.width, info.height)
    bits = frame.format.components[0].bits
    luma = view_plane(frame.planes[0], bits)
    if bits > MAX_BITS:
        shift = bits - MAX_BITS
        rounded = (luma.astype(np.int32) + (1 << (shift - 1))) >> shift
        return rounded.clip(max=1023).astype(np.uint16)
    return luma << (MAX_BITS - bits) if 8 < bits < MAX_BITS else luma


def fit_bits(luma: np.ndarray, bits: int) -> np.ndarray:
    """Return luma of 8 or 10 bits, as `luma_of` returns it, in 8 or 10 bits."""
    if luma.dtype == np.uint16 and bits == 8:
        return ((luma.clip(0, 1021) + 2) >> 2).astype(np.uint8)
    return luma.astype(np.uint16) << 2 if luma.dtype == np.uint8 and bits > 8 else luma


def cell_greys(
    luma: np.ndarray, cell: tuple[int, int], coding: YcbcrCoding, interlaced: bool
) -> np.ndarray:
    """Return the sRGB grey levels of the pixels that share one chroma.

    Args:
        luma: (H, W) uint8 of 8 bits, or uint16 of 10.
        cell: (height, width) of those pixels.
        coding: of the film.
        interlaced: each field has its own cells.

    Returns:
        (H/cell, W/cell) uint8, rounded up.
    """
    eight = luma if luma.dtype == np.uint8 else (luma >> 2).astype(np.uint8)
    height, width = cell

    def means(field: np.ndarray) -> np.ndarray:
        return np.asarray(Image.fromarray(np.ascontiguousarray(field)).reduce((width, height)))

    if interlaced and height > 1:
        fields = [means(eight[n::2]) for n in (0, 1)]
        cells = np.empty((len(fields[0]) + len(fields[1]), fields[0].shape[1]), np.uint8)
        cells[0::2], cells[1::2] = fields
        cells = cells[: -(-len(eight) // height)]  # two fields of odd height have a row too many
    else:
        cells = means(eight)
    if coding.full_range:
        return cells
    levels = (np.arange(256) - 16) * (255 / 219)
    return levels.round().clip(0, 255).astype(np.uint8)[cells]


def chroma_planes(greys: np.ndarray, ab: Tensor, coding: YcbcrCoding, bits: int) -> np.ndarray:
    """Return the chroma of every cell.

    Args:
        greys: (h, w) uint8, of `cell_greys`.
        ab: (1, 2, ...) in Lab units, of any size.
        coding: of the film.
        bits: of a value, 8 or 10.

    Returns:
        (2, h, w) uint8, or uint16 if bits is 10.
    """
    height, width = greys.shape
    neutral = 128 << (bits - 8)
    kind = np.uint8 if bits == 8 else np.uint16
    if not ab.any():
        return np.full((2, height, width), neutral, kind)
    if bits == 8:
        return look_up_chroma(greys, ab, coding)
    lightness = grey_to_lightness(torch.from_numpy(greys.copy()).float() / 255)[None]
    rgb = fit_to_gamut(lightness, upsample(ab, height, width))
    values = rgb_to_ycbcr(rgb, coding)[1:] * (255 << (bits - 8))
    return values.round().clamp(0, (1 << bits) - 1).numpy().astype(kind)


def look_up_chroma(greys: np.ndarray, ab: Tensor, coding: YcbcrCoding) -> np.ndarray:
    """Return the chroma of every cell in 8 bits, as `chroma_planes` does, by table."""
    table = colour_table(np.uint8, coding)
    planes = np.empty((2, *greys.shape), np.uint8)
    rows = max(1, STRIP_CELLS // greys.shape[1])
    for n, strip in enumerate(upsample_strips(ab, greys.shape[0], greys.shape[1], rows)):
        here = slice(n * rows, (n + 1) * rows)
        planes[:, here] = table.look_up_ycbcr(greys[here], table.row_index(strip))[1:]
    return planes


def make_frame(luma: np.ndarray, chroma: np.ndarray, pixel_format: str) -> VideoFrame:
    """Return a frame of planes.

    Args:
        luma: (H, W).
        chroma: (2, h, w), of the size and the type that the format has.
        pixel_format: FFmpeg's name.
    """
    frame = VideoFrame(luma.shape[1], luma.shape[0], pixel_format)
    bits = 8 * luma.itemsize
    for plane, values in zip(frame.planes, (luma, *chroma), strict=True):
        view_plane(plane, bits)[:] = values
    return frame
