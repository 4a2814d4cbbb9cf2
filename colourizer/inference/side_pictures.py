"""Pictures beside a coloured photograph: variants, confidence, comparison, contact sheet."""

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from colourizer.inference.lightness import STRIP_PIXELS
from colourizer.inference.recombine import rgb_strips
from colourizer.inference.upsample import enlarge
from colourizer.photos.encode import save_image
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import evenly_spaced
from colourizer.photos.photo import Photo
from colourizer.photos.pixels import to_8_bits
from colourizer.runtime.atomic_file import write_whole


def reduce_to(photo: Photo, side: int) -> np.ndarray:
    """Reduce a photograph's pixels to a longest side; (h, w) or (h, w, 3), uint8."""
    factor = max(1, max(photo.pixels.shape[:2]) // (2 * side))
    pixels = photo.pixels[::factor, ::factor]
    image = Image.fromarray(np.ascontiguousarray(to_8_bits(pixels)))
    image.thumbnail((side, side))
    return np.asarray(image)


def colour(pixels: np.ndarray, ab: torch.Tensor) -> Image.Image:
    """Put colour into a small picture."""
    return Image.fromarray(np.concatenate(list(rgb_strips(pixels, ab))))


def draw_confidence(sure: torch.Tensor, height: int, width: int) -> Image.Image:
    """Draw the network's confidence, (1, 1, h, w) in (0, 1], at a photograph's size."""
    grey = np.empty((height, width), dtype=np.uint8)
    rows = max(1, STRIP_PIXELS // width)
    for n, strip in enumerate(enlarge(sure, height, width, rows)):
        grey[n * rows : (n + 1) * rows] = (strip[0].clamp(0, 1) * 255).round().byte().numpy()
    return Image.fromarray(grey)


SHEET_PHOTOS, SHEET_TILE = 48, 240  # of the contact sheet; pixels
QUALITY = 90  # of JPEGs beside the photographs
OUR_SHEET = b"Image Colourizer's contact sheet"  # its comment, by which it is known again


def put_side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Put pictures of one size into rows, about as many rows as columns."""
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(pictures) / columns)))
    for n, picture in enumerate(pictures):
        sheet.paste(picture, (n % columns * width, n // columns * height))
    return sheet


def write_contact_sheet(path: Path, compared: list[Path]) -> None:
    """Show small versions of some of the pictures of --compare; replace only a sheet of ours."""
    if path.exists():
        with Image.open(path) as sheet:
            if sheet.info.get("comment") != OUR_SHEET:
                raise PhotoError("is not ours and was left alone; move it, or name another -o")
    tiles = []
    for pair in evenly_spaced([pair for pair in compared if pair.exists()], SHEET_PHOTOS):
        tile = Image.new("RGB", (2 * SHEET_TILE, SHEET_TILE))
        with Image.open(pair) as picture:
            picture.thumbnail(tile.size)
            tile.paste(picture, ((tile.width - picture.width) // 2, 0))
        tiles.append(tile)
    if tiles:
        whole, options = put_side_by_side(tiles), {"comment": OUR_SHEET, "quality": QUALITY}
        write_whole(path, lambda file: save_image(whole, file, "JPEG", **options))
