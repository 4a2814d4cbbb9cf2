"""Pictures beside a coloured photograph: variants, confidence, comparison, contact sheet."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from colourizer.inference.lightness import STRIP_PIXELS, to_grey
from colourizer.inference.output_plan import is_there, write_content
from colourizer.inference.provenance import SHEET_COMMENT
from colourizer.inference.recombine import rgb_strips
from colourizer.inference.upsample import upsample_strips
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import evenly_spaced
from colourizer.photos.photo import Photo
from colourizer.photos.pictures import tile_images, to_jpeg
from colourizer.photos.pixels import to_8_bits
from colourizer.storage.address import Location
from colourizer.storage.connection import StorageError
from colourizer.storage.files import open_file

# Longest sides in pixels: of each picture on the sheet of variants, of either one of --compare.
VARIANT_SIDE, COMPARED_SIDE = 512, 1024
SIDE_JPEG_QUALITY = 90  # of pictures beside the photographs
SHEET_PHOTOS, SHEET_TILE = 48, 240  # of the contact sheet; its tiles' height in pixels


def thumbnail_pixels(photo: Photo, side: int) -> np.ndarray:
    """Return pixels reduced to a longest side, (h, w) or (h, w, 3) uint8."""
    factor = max(1, max(photo.pixels.shape[:2]) // (2 * side))
    pixels = photo.pixels[::factor, ::factor]
    image = Image.fromarray(np.ascontiguousarray(to_8_bits(pixels)))
    image.thumbnail((side, side))
    return np.asarray(image)


def colour_picture(pixels: np.ndarray, ab: Tensor) -> Image.Image:
    """Return a small picture, (h, w) or (h, w, 3), recombined with ab (1, 2, ...)."""
    return Image.fromarray(np.concatenate(list(rgb_strips(pixels, ab))))


def draw_variants(photo: Photo, colourings: list[Tensor], side: int) -> Image.Image:
    """Return all colourings of a photograph, ab (1, 2, h, w), side by side."""
    pixels = thumbnail_pixels(photo, side)
    return tile_images([colour_picture(pixels, ab) for ab in colourings])


def draw_comparison(photo: Photo, ab: Tensor, side: int) -> Image.Image:
    """Return a photograph in grey and coloured, side by side."""
    pixels = thumbnail_pixels(photo, side)
    grey = Image.fromarray(to_grey(pixels)).convert("RGB")
    return tile_images([grey, colour_picture(pixels, ab)])


def draw_confidence(confidence: Tensor, height: int, width: int) -> Image.Image:
    """Return the network's confidence, (1, 1, h, w) in (0, 1], as grey at a photograph's size."""
    grey = np.empty((height, width), dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for n, strip in enumerate(upsample_strips(confidence, height, width, rows)):
        grey[n * rows : (n + 1) * rows] = (strip[0].clamp(0, 1) * 255).round().byte().numpy()
    return Image.fromarray(grey)


class SpacedSample:
    """Items at equal distances of any number that are added: between `most` and twice as many."""

    def __init__(self, most: int) -> None:
        self.items: list[Any] = []
        self._most, self._step, self._added = most, 1, 0

    def add(self, item: object) -> None:
        """Add an item, which may be left out."""
        if self._added % self._step == 0:
            self.items.append(item)
        self._added += 1
        if len(self.items) > 2 * self._most:
            del self.items[1::2]
            self._step *= 2


def write_contact_sheet(path: Location, compared: Sequence[Location]) -> None:
    """Write a sheet of some of the pictures of --compare; only a sheet of ours is replaced.

    Raises:
        PhotoError: another file has that name.
        OSError: it cannot be written.
        StorageError: its storage does not take it.
    """
    if is_there(path):
        with open_file(path) as file, Image.open(file) as sheet:
            if sheet.info.get("comment") != SHEET_COMMENT:
                raise PhotoError("is not ours and was left alone; move it, or name another -o")
    tiles = []
    for pair in evenly_spaced(compared, SHEET_PHOTOS):
        tile = Image.new("RGB", (2 * SHEET_TILE, SHEET_TILE))
        with suppress(OSError, StorageError), open_file(pair) as file, Image.open(file) as picture:
            picture.thumbnail(tile.size)
            tile.paste(picture, ((tile.width - picture.width) // 2, 0))
            tiles.append(tile)
    if tiles:
        write_content(path, to_jpeg(tile_images(tiles), SIDE_JPEG_QUALITY, SHEET_COMMENT))
