"""Photographs' files: names and formats, listing a folder, naming results."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePath
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
# Suffixes of pictures that are not read: raw photographs, layers, formats that few programs know;
# and of such films.
OTHER_SUFFIXES = frozenset(
    (
        *(".jp2", ".j2k", ".jpf", ".jpx", ".jxl", ".jxr", ".tga", ".pgm", ".ppm", ".pbm", ".pnm"),
        *(".pam", ".pcx", ".psd", ".psb", ".xcf", ".exr", ".hdr", ".fits", ".dng", ".cr2", ".cr3"),
        *(".crw", ".nef", ".nrw", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".3fr", ".iiq"),
        *(".rwl", ".x3f", ".djvu"),
        *(".wmv", ".asf", ".ogv", ".ogm", ".rm", ".rmvb", ".divx", ".f4v", ".dv", ".mxf"),
    )
)
JPEG_FORMATS = ("JPEG", "MPO")  # Pillow's names
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
# What files of the formats that are read begin with.
FORMAT_OF_START = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n": "PNG",
    b"GIF8": "GIF",
    b"BM": "BMP",
    **dict.fromkeys(TIFF_STARTS, "TIFF"),
}
STARTS = tuple(start for start in FORMAT_OF_START if len(start) > 2)  # BM may begin a text
START_BYTES = 64  # that tell a format
APPLE_DOUBLE = "._"  # begins the name of a file that macOS keeps beside a photograph
MAX_NAME = 255  # bytes of a file's name, on nearly all file systems
# What a coloured photograph is written as, by the format it was read from: 256 palette entries are
# too few for colour; of an MPO only the first picture, a JPEG, is taken; HEIF needs a package.
WRITTEN_AS = {"GIF": "PNG", "MPO": "JPEG", "HEIF": "JPEG"}
# The formats that a user can ask for, and the suffix that a name gets where the format changes.
TARGETS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
SUFFIX_OF = {name.upper(): suffix for name, suffix in TARGETS.items()} | {"BMP": ".bmp"}


def is_photo_name(path: PurePath) -> bool:
    """Return whether a file's name is a photograph's; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def why_name_left_out(path: PurePath) -> str:
    """Return why a file is not coloured though its name seems a photograph's; else nothing."""
    if path.name.startswith(APPLE_DOUBLE) and path.suffix.lower() in SUFFIXES:
        return f"named {APPLE_DOUBLE}*, which macOS keeps beside photographs"
    if path.suffix.lower() in OTHER_SUFFIXES and not path.name.startswith("."):
        return f"of a format that is not read ({path.suffix.lower()})"
    return ""


def why_left_out(path: Path) -> str:
    """Return why a file in a folder is not coloured though it seems a photograph; else nothing."""
    if reason := why_name_left_out(path):
        return reason
    if not path.name.startswith("."):
        start = read_start(path)
        if start.startswith(STARTS) or start[8:12] == b"WEBP":
            kind = "with an unknown suffix" if path.suffix else "without a suffix"
            return f"{kind}; name them on the command line"
    return ""


def read_start(path: Path) -> bytes:
    """Return a file's first START_BYTES; nothing of what cannot be read."""
    with suppress(OSError):
        if path.is_file():  # a pipe would be waited for
            with path.open("rb") as file:
                return file.read(START_BYTES)
    return b""


def find_photos(
    folder: Path,
    without: Path | None = None,
    unreadable: list[OSError] | None = None,
    left_out: list[Path] | None = None,
) -> list[Path]:
    """List the photographs in a folder and all folders below it, by name, in a fixed order.

    Args:
        folder: where to look; symbolic links to folders are not followed.
        without: a folder to leave out (the one that results are written to).
        unreadable: list that errors of folders that cannot be read are appended to.
        left_out: list that all other files are appended to.
    """
    found = []
    for path in walk_files(folder, without, unreadable):
        if is_photo_name(path):
            found.append(path)
        elif left_out is not None:
            left_out.append(path)
    return found


def walk_files(
    folder: Path, without: Path | None = None, unreadable: list[OSError] | None = None
) -> Iterator[Path]:
    """Yield the files in a folder and all folders below it, by name, in a fixed order.

    Hidden folders (.thumbnails and the like) are left out. Arguments as for `find_photos`.
    """
    note = None if unreadable is None else unreadable.append
    skipped = without.resolve() if without else None
    for top, folders, names in os.walk(folder, onerror=note):
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(name for name in visible if (Path(top) / name).resolve() != skipped)
        yield from (Path(top) / name for name in sorted(names))


def evenly_spaced(items: Sequence[T], most: int) -> list[T]:
    """Return at most `most` of the items, at equal distances from the first on."""
    n = min(most, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def fit_name(stem: str, ending: str) -> str:
    """Return a file's name; of a stem that is too long as much as there is room for."""
    room = MAX_NAME - len(os.fsencode(ending))
    while stem and len(os.fsencode(stem)) > room:
        stem = stem[:-1]
    return stem + ending


def written_format(file_format: str, target: str | None = None) -> str:
    """Return the format, by Pillow's name, that a photograph is written in.

    Args:
        file_format: the photograph's, by Pillow's name.
        target: one of TARGETS; without, the photograph's own if it has room for colour.
    """
    return target.upper() if target else WRITTEN_AS.get(file_format, file_format)


def find_format(path: Path) -> str:
    """Return a photograph's format by its suffix; if a suffix will be added, by its first bytes.

    The suffix that is added has to say what the result is, even if the photograph's own does not.
    """
    named = FORMAT_OF.get(path.suffix.lower(), "")
    if named not in WRITTEN_AS:
        return named
    return format_of_start(read_start(path)) or named


def format_of_start(start: bytes) -> str:
    """Return the format, by Pillow's name, of a file's first START_BYTES; nothing if unknown."""
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "WEBP"
    if is_avif(start):
        return "AVIF"
    return next((true for first, true in FORMAT_OF_START.items() if start.startswith(first)), "")


def is_avif(start: bytes) -> bool:
    """Return whether a file's first START_BYTES are an AVIF's, though it may not name that first.

    The brands that it fulfils follow each other, 4 bytes each (ISO/IEC 14496-12, 4.3).
    """
    brands = start[8 : int.from_bytes(start[:4], "big")]
    named = {brands[n : n + 4] for n in range(0, len(brands), 4)}
    return start[4:8] == b"ftyp" and not named.isdisjoint((b"avif", b"avis"))


def written_name(path: PurePath, target: str | None = None, file_format: str = "") -> str:
    """Return the name of a photograph's result: its own, plus a suffix where the format changes.

    One that becomes too long is shortened.

    Args:
        path: the photograph.
        target: one of TARGETS; without, the photograph's own format.
        file_format: what the photograph is, by Pillow's name; without, what its suffix says.
    """
    own = FORMAT_OF.get(path.suffix.lower(), "")
    if written_format(own, target) == own:
        return path.name
    written = written_format(file_format or own, target)
    return fit_name(path.stem, path.suffix + SUFFIX_OF[written])
