"""Sidecar files: XMP beside a photograph, as NAME.xmp or NAME.jpg.xmp, copied beside its result."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path, PurePath
from typing import cast

from colourizer.inference.output_plan import Place, write_content
from colourizer.photos.decode import open_image
from colourizer.photos.files import FORMAT_OF, is_photo_name
from colourizer.photos.orientation import read_orientation, upright_size
from colourizer.photos.upright_xmp import upright_xmp
from colourizer.photos.xmp import convert_to_utf8, name_format, update_xmp
from colourizer.storage.address import Address, Location
from colourizer.storage.connection import AccessDeniedError
from colourizer.storage.files import exists, open_file, read_bytes
from colourizer.storage.listing import Listed

SUFFIXES = (".xmp", ".XMP")


def sidecar_paths(photo: Place) -> list[Place]:
    """Return where a photograph's sidecars lie if it has any: NAME.xmp, NAME.jpg.xmp, ...XMP."""
    names = (name + suffix for suffix in SUFFIXES for name in (photo.stem, photo.name))
    return [cast(Place, photo.with_name(name)) for name in names]


def pair_sidecars(listed: Iterable[Listed]) -> Iterator[tuple[Listed, tuple[Address, ...]]]:
    """Yield the files of a listing, each photograph with its sidecars.

    Args:
        listed: in the order of their names, in which what begins as a photograph's name without its
            suffix comes together: a photograph waits for no more than that.
    """
    waiting: list[tuple[Listed, list[Address]]] = []
    for file in listed:
        passed = [pair for pair in waiting if not file.below.startswith(_stem(pair[0].below))]
        if passed:
            waiting = [pair for pair in waiting if pair not in passed]
            yield from ((photo, tuple(sidecars)) for photo, sidecars in passed)
        if is_photo_name(Path(file.address.name)):
            waiting.append((file, []))
            continue
        for photo, sidecars in waiting:
            if file.address in sidecar_paths(photo.address):
                sidecars.append(file.address)
        yield file, ()
    yield from ((photo, tuple(sidecars)) for photo, sidecars in waiting)


def _stem(name: str) -> str:
    return name.rpartition(".")[0] + "."


def copy_sidecars(
    source: Location,
    result: Location,
    known: tuple[Address, ...] | None = None,
    is_upright: bool = False,
) -> list[Location]:
    """Copy a photograph's sidecars beside its result, under the result's name.

    They are copied with their times between local folders, and as they are but for what would not
    be true of the result, which is changed or left out as in a photograph's own XMP. What exists is
    never overwritten.

    Args:
        source: the photograph.
        result: the coloured one, which need not exist yet.
        known: the sidecars of a photograph in a storage, if it was listed with them; None looks.
        is_upright: whether it is known that the photograph was not turned.

    Returns:
        the files that were written.

    Raises:
        OSError: one cannot be read or written.
        PhotoError: the photograph cannot be opened.
        StorageError: one cannot be read or written.
    """
    copied: list[Location] = []
    for theirs, ours in zip(sidecar_paths(source), sidecar_paths(result), strict=True):
        # os.path, for which a name that is too long does not exist; for Path it is an error.
        if isinstance(theirs, Path):
            found = os.path.isfile(theirs)  # noqa: PTH113
        else:
            found = _exists(theirs) if known is None else theirs in known
        if not found or (exists(ours) if isinstance(ours, Address) else os.path.exists(ours)):  # noqa: PTH110
            continue
        content = read_bytes(theirs)
        content = _make_true(content, result, None if is_upright else source)
        modified = theirs.stat().st_mtime_ns if isinstance(theirs, Path) else None
        write_content(ours, content, modified)
        copied.append(ours)
    return copied


def _exists(sidecar: Address) -> bool:
    with suppress(AccessDeniedError):  # S3's answer about what is not there, in some buckets
        return exists(sidecar)
    return False


def _make_true(xmp: bytes, result: Location, turned: Location | None) -> bytes:
    """Return a sidecar of which all is true of the result.

    Args:
        xmp: the photograph's.
        result: the coloured photograph.
        turned: the photograph, if it may have been turned upright.
    """
    utf8, orientation = convert_to_utf8(xmp), 1
    if turned:
        with open_file(turned) as file, open_image(file) as image:
            orientation = read_orientation(image)
            size = upright_size(image, orientation)
    if orientation > 1:
        made = update_xmp(upright_xmp(utf8, orientation, size), None)
    else:  # of which the sidecar may say that it has yet to be turned
        made = upright_xmp(utf8, 1, None)
    if file_format := FORMAT_OF.get(PurePath(result.name).suffix.lower()):
        with suppress(UnicodeDecodeError):
            made = name_format(made.decode(), f"image/{file_format.lower()}").encode()
    return xmp if made == utf8 else made
