"""A photograph's file -> a prepared photograph; that and predicted chroma -> the coloured file."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ImageFile
from torch import Tensor

from colourizer.inference.lightness import to_grey
from colourizer.inference.preprocess import PreparedPhoto
from colourizer.inference.recombine import rgb_strips, ycbcr_planes
from colourizer.photos.files import written_format
from colourizer.photos.photo import Photo
from colourizer.photos.pixels import to_8_bits
from colourizer.photos.read import read_photo
from colourizer.photos.write import write_jpeg, write_photo


def read_prepared(
    source: Path | BinaryIO,
    target: str | None = None,
    keep_luma: bool = False,
    opened: ImageFile.ImageFile | None = None,
) -> PreparedPhoto:
    """Read a photograph and prepare it for the network, while its pixels are in the cache.

    Args:
        source: a path, or an open file that can be read from any place.
        target: one of photos.files.TARGETS; None is the photograph's own format.
        keep_luma: read a grey JPEG's scans, too, so that they are kept bit for bit.
        opened: the source as returned by `open_image`, if it is open already; it is closed.

    Raises:
        PhotoError: it cannot be read.
    """
    photo = read_photo(source, keep_luma and target in (None, "jpeg"), opened)
    prepared = PreparedPhoto(greys_for_jpeg(photo, target))
    _ = prepared.lightness
    return prepared


def greys_for_jpeg(photo: Photo, target: str | None = None) -> Photo:
    """Return a photograph that is written as JPEG reduced to 8-bit greys; others as they are."""
    if written_format(photo.format, target) != "JPEG":
        return photo
    bits = ("16 bits -> 8",) if photo.pixels.dtype == np.uint16 else ()
    pixels = to_grey(to_8_bits(photo.pixels))
    return replace(photo, pixels=pixels, converted=photo.converted + bits)


def write_coloured(
    file: BinaryIO,
    prepared: PreparedPhoto,
    ab: Tensor,
    target: str | None = None,
    provenance: str | None = None,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Recombine a photograph with chroma and write it, with the alpha and metadata of its file.

    Args:
        file: seekable.
        prepared: the photograph; if it is written as JPEG, reduced by `greys_for_jpeg`.
        ab: (1, 2, h, w) in Lab units.
        target: one of photos.files.TARGETS; None is the photograph's own format.
        provenance: the program that coloured it, for the metadata; None leaves it out.
        check: called between strips; may raise an exception to end the writing.
    """
    photo = prepared.photo
    if written_format(photo.format, target) == "JPEG":
        keep_luma = photo.scans is not None
        luma, chroma = ycbcr_planes(photo.pixels, ab, keep_luma, prepared.means)
        check()
        write_jpeg(file, photo.scans or luma, chroma, photo, provenance=provenance)
        return

    def strips() -> Iterator[np.ndarray]:
        for strip in rgb_strips(photo.pixels, ab):
            check()
            yield strip

    write_photo(file, strips(), photo, target=target, provenance=provenance)
