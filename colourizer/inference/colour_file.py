"""A photograph and its predicted chroma -> the coloured file."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from colourizer.inference.fast.block_means import Averages
from colourizer.inference.lightness import to_grey
from colourizer.inference.recombine import rgb_strips, ycbcr_planes
from colourizer.network.checkpoint import fingerprint
from colourizer.photos.files import written_format
from colourizer.photos.photo import Photo
from colourizer.photos.pixels import to_8_bits
from colourizer.photos.write import write_jpeg, write_photo


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
