"""A photograph and its predicted chroma -> the file that is given back, and pictures beside it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from PIL import Image

from averages import Averages
from checkpoint import fingerprint
from photo import Photo, write_jpeg, write_photo, written_format
from pixel_formats import to_8_bits
from recombine import STRIP_PIXELS, enlarge, rgb_strips, to_grey, ycbcr_planes


def provenance_tag(checkpoint: Path) -> str:
    """Say what coloured a photograph, for its metadata."""
    name = f"{checkpoint.name}, sha256 {fingerprint(checkpoint)[:12]}"
    return f"colourized with Image Colourizer ({name})"


def only_what_counts(photo: Photo, target: str | None) -> Photo:
    """Take colours, and more than 8 bits, from a photograph that will be a JPEG: greys suffice."""
    if written_format(photo.format, target) != "JPEG":
        return photo
    return replace(photo, pixels=to_grey(to_8_bits(photo.pixels)))


def write_coloured(
    file: BinaryIO,
    photo: Photo,
    ab: torch.Tensor,
    target: str | None,
    tag: str | None,
    check: Callable[[], None],
    averages: Averages | None = None,
) -> None:
    """Put colour into a photograph, as its format stores it, and write it.

    Args:
        file: any place of it can be written to.
        photo: the photograph, as of `only_what_counts`.
        ab: (1, 2, h, w) in Lab units.
        target: one of photo.TARGETS, or None.
        tag: what the file's metadata says.
        check: is called now and then; what it raises stops the writing.
        averages: of the photograph's pixels, if they are at hand.
    """
    if written_format(photo.format, target) == "JPEG":
        keep_luma = photo.scans is not None
        luma, chroma = ycbcr_planes(photo.pixels, ab, keep_luma, averages)
        check()
        write_jpeg(file, photo.scans or luma, chroma, photo, tag=tag)
        return

    def strips() -> Iterator[np.ndarray]:
        for strip in rgb_strips(photo.pixels, ab):
            check()
            yield strip

    write_photo(file, strips(), photo, target=target, tag=tag)


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
