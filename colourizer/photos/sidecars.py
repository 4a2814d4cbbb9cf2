"""Sidecar files: XMP beside a photograph, as NAME.xmp or NAME.jpg.xmp, copied beside its result."""

import os
from functools import partial
from pathlib import Path
from typing import BinaryIO

from colourizer.photos.decode import open_image
from colourizer.photos.orientation import read_orientation, upright_size
from colourizer.photos.upright_xmp import upright_xmp
from colourizer.photos.xmp import update_xmp
from colourizer.runtime.atomic_file import PartFile

SUFFIX = ".xmp"


def sidecar_paths(photo: Path) -> tuple[Path, Path]:
    """Return where a photograph's sidecars lie if it has any: NAME.xmp, and NAME.jpg.xmp."""
    return photo.with_suffix(SUFFIX), photo.with_name(photo.name + SUFFIX)


def copy_sidecars(source: Path, result: Path) -> list[Path]:
    """Copy a photograph's sidecars, with their times, beside its result, under the result's name.

    They are copied as they are; of a photograph that was turned upright, with its orientation,
    sizes and regions changed as in its own XMP. What exists is never overwritten.

    Args:
        source: the photograph.
        result: the coloured one, which need not exist yet.

    Returns:
        the files that were written.

    Raises:
        OSError: one cannot be read or written.
        PhotoError: the photograph cannot be opened.
    """
    copied = []
    for theirs, ours in zip(sidecar_paths(source), sidecar_paths(result), strict=True):
        # os.path, for which a name that is too long does not exist; for Path it is an error.
        if not os.path.isfile(theirs) or os.path.exists(ours):  # noqa: PTH110, PTH113
            continue
        part = PartFile(ours)
        part.write(partial(_write, content=_turn_upright(theirs.read_bytes(), source)))
        part.finish(theirs.stat().st_mtime_ns)
        copied.append(ours)
    return copied


def _write(file: BinaryIO, content: bytes) -> None:
    file.write(content)


def _turn_upright(xmp: bytes, source: Path) -> bytes:
    with open_image(source) as image:
        orientation = read_orientation(image)
        if orientation == 1:
            return xmp
        return update_xmp(upright_xmp(xmp, orientation, upright_size(image, orientation)), None)
