"""rejected.txt: the photographs of a folder that somebody has looked at and does not want."""

from collections.abc import Iterable
from pathlib import Path

from photo import find_photos, write_bytes

REJECTED_LIST = "rejected.txt"
HEADER = "# Photographs that are left out, a path below this folder in each line.\n"


def read_rejected(folder: Path) -> set[Path]:
    """Read which photographs of a folder are not wanted.

    Args:
        folder: where rejected.txt lies, if there is one: a path below the folder in each line,
            with slashes; empty lines and those that begin with # are passed over.

    Returns:
        The paths, with the folder in front; whether they are there is not looked at.
    """
    try:
        content = (folder / REJECTED_LIST).read_bytes()
    except FileNotFoundError:
        return set()
    # A file name may be bytes that are no text; Windows' editor puts a mark in front.
    text = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    lines = (line.strip() for line in text.split("\n"))
    return {folder / line for line in lines if line and not line.startswith("#")}


def write_rejected(folder: Path, paths: Iterable[Path]) -> None:
    """Write which photographs of a folder are not wanted, whole or not at all.

    Args:
        folder: where rejected.txt is written to; an existing one is replaced.
        paths: with the folder in front.
    """
    names = sorted(path.relative_to(folder).as_posix() for path in paths)
    text = HEADER + "".join(f"{name}\n" for name in names)
    write_bytes(folder / REJECTED_LIST, text.encode("utf-8", "surrogateescape"))


def find_wanted(folder: Path, without: Path | None = None) -> list[Path]:
    """List the photographs below a folder as `find_photos` does, less those in rejected.txt."""
    rejected = read_rejected(folder)
    return [path for path in find_photos(folder, without) if path not in rejected]
