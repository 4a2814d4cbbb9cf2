"""A coloured photograph -> a file with the alpha and metadata of the original."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from colourizer.photos.encode import encode, encode_ycbcr
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import written_format
from colourizer.photos.jpeg_segments import GreyScans
from colourizer.photos.photo import Photo
from colourizer.runtime.atomic_file import write_atomically
from colourizer.runtime.errors import reason_of


def write_photo(
    to: Path | BinaryIO,
    strips: Iterable[np.ndarray] | np.ndarray,
    like: Photo,
    *,
    target: str | None = None,
    provenance: str | None = None,
) -> None:
    """Write a coloured photograph with the alpha and metadata of another.

    Args:
        to: the path of a file, written whole or not at all, an existing one being replaced; or an
            open file in which any place can be written to.
        strips: (h, W, 3) uint8 or uint16, all of one type, from top to bottom; or all in one array.
            uint16 becomes uint8 in formats that do not hold it.
        like: the photograph that it was made from.
        target: one of TARGETS; without, the format of `like`, if it has room for colour.
        provenance: the program that made it, for XMP and EXIF; None leaves it out.

    Raises:
        PhotoError: it cannot be written; into an open file, the encoder's own errors.
    """
    file_format = written_format(like.format, target)
    strips = [strips] if isinstance(strips, np.ndarray) else strips

    def write(file: BinaryIO) -> None:
        encode(file, strips, file_format, like, provenance)

    _write(to, write)


def write_jpeg(
    to: Path | BinaryIO,
    luma: np.ndarray | GreyScans,
    chroma: np.ndarray,
    like: Photo,
    *,
    provenance: str | None = None,
) -> None:
    """Write a coloured photograph as JPEG, with the metadata of another.

    Args:
        to: as for `write_photo`.
        luma: (H, W) uint8; or scans of a grey JPEG, which become a part of the file as they are.
        chroma: (2, H/2, W/2) uint8, rounded up; with luma, YCbCr as JPEG stores it.
        like: the photograph that it was made from.
        provenance: the program that made it, for XMP and EXIF; None leaves it out.

    Raises:
        PhotoError: it cannot be written; into an open file, the encoder's own errors.
    """

    def write(file: BinaryIO) -> None:
        encode_ycbcr(file, luma, chroma, like.metadata, provenance)

    _write(to, write)


def _write(to: Path | BinaryIO, write: Callable[[BinaryIO], object]) -> None:
    if not isinstance(to, Path):
        write(to)
        return
    with wrap_write_errors():
        write_atomically(to, write)


@contextmanager
def wrap_write_errors() -> Iterator[None]:
    """Raise what goes wrong within it as a PhotoError with the same notes."""
    try:
        yield
    except Exception as error:
        unwritten = PhotoError(f"cannot be written ({reason_of(error)})")
        unwritten.__notes__ = getattr(error, "__notes__", [])  # hints
        raise unwritten from error
