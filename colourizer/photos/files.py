"""Photographs' files: names and formats, listing a folder, naming results."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

FORMAT_OF = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".mpo": "MPO",
}
SUFFIXES = frozenset(FORMAT_OF)
# What a coloured photograph is written as, by the format it was read from: 256 palette entries are
# too few for colour; of an MPO only the first picture, a JPEG, is taken; HEIF needs a package.
WRITTEN_AS = {"GIF": "PNG", "MPO": "JPEG", "HEIF": "JPEG"}
# The formats that a user can ask for, and the suffix that a name gets where the format changes.
TARGETS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}


def is_photo_name(path: Path) -> bool:
    """Return whether a file's name is a photograph's; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find_photos(
    folder: Path, without: Path | None = None, unreadable: list[OSError] | None = None
) -> list[Path]:
    """List the photographs in a folder and all folders below it, by name, in a fixed order.

    Hidden files and folders (.thumbnails and the like) are left out.

    Args:
        folder: where to look; symbolic links to folders are not followed.
        without: a folder to leave out (the one that results are written to).
        unreadable: list that errors of folders that cannot be read are appended to.
    """
    note = None if unreadable is None else unreadable.append
    skipped = without.resolve() if without else None
    found = []
    for top, folders, names in os.walk(folder, onerror=note):
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(name for name in visible if (Path(top) / name).resolve() != skipped)
        found += [Path(top) / name for name in sorted(names) if is_photo_name(Path(name))]
    return found


def evenly_spaced(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the items, at equal distances from the first on."""
    n = min(most, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def written_format(file_format: str, target: str | None = None) -> str:
    """Return the format, by Pillow's name, that a photograph is written in.

    Args:
        file_format: the photograph's, by Pillow's name.
        target: one of TARGETS; without, the photograph's own if it has room for colour.
    """
    return target.upper() if target else WRITTEN_AS.get(file_format, file_format)


def written_name(path: Path, target: str | None = None) -> str:
    """Return the name of a photograph's result: its own, plus a suffix where the format changes.

    Args:
        path: the photograph.
        target: one of TARGETS; without, the photograph's own format.
    """
    own = FORMAT_OF.get(path.suffix.lower(), "")
    written = written_format(own, target)
    return path.name if written == own else path.name + TARGETS[written.lower()]
