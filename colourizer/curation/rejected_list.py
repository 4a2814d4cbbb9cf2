"""rejected.txt, the list of a folder's photographs that were rejected by hand: read, written."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from colourizer.photos.files import is_photo_name
from colourizer.runtime.atomic_file import write_bytes

REJECTED_LIST = "rejected.txt"
HEADER = "# Photographs that are left out, a path below this folder in each line.\n"
# A list that is saved from a page names all rejected photographs, as rejected.txt does, and in
# comments what was changed on the page, so that lists of several or outdated pages can be merged.
SAVED = "# Saved from a page; there, those after #+ were marked and those after #- unmarked.\n"
MARKED, UNMARKED = "#+ ", "#- "
LONGEST_SHOWN = 80  # characters of an invalid line in an error message


@dataclass(frozen=True)
class SavedList:
    """The paths in a list, each with the folder in front.

    listed: the photographs that it names.
    marked: those that were marked on the page it was saved from; of any other list, all.
    unmarked: those that were unmarked there.
    """

    listed: set[Path]
    marked: set[Path]
    unmarked: set[Path]


def read_rejected(folder: Path) -> set[Path]:
    """Return the photographs that a folder's rejected.txt lists; none if there is no such file.

    Each line is a path below the folder, with slashes; empty lines and those that begin with # are
    skipped.

    Args:
        folder: where rejected.txt lies.

    Returns:
        The paths, with the folder in front; they need not exist.
    """
    try:
        lines = _read_lines(folder / REJECTED_LIST)
    except FileNotFoundError:
        return set()
    return {folder / line for line in lines if line and not line.startswith("#")}


def read_list(path: Path, folder: Path) -> SavedList:
    """Read a list of a folder's photographs; unlike `read_rejected`, refuse invalid lines.

    Args:
        path: rejected.txt, or a list that was saved from a page or written by hand.
        folder: where the photographs lie.

    Raises:
        ValueError: a line is not the path of a photograph below the folder.
        OSError: it cannot be read.
    """
    lines = _read_lines(path)
    kinds = (MARKED, UNMARKED) if SAVED.strip() in lines else ()
    found: dict[str, set[Path]] = {"": set(), MARKED: set(), UNMARKED: set()}
    for number, line in enumerate(lines, start=1):
        kind = next((kind for kind in kinds if line.startswith(kind)), "")
        name = Path(line[len(kind) :])
        if not kind and (not line or line.startswith("#")):
            continue
        if name.is_absolute() or name.drive or ".." in name.parts or not is_photo_name(name):
            what = "is not the path of a photograph below"
            error = ValueError(f"line {number}: {line[:LONGEST_SHOWN]!r} {what} {folder}")
            error.add_note("hint: mend or remove that line")
            raise error
        found[kind].add(folder / name)
    return SavedList(found[""], found[MARKED if kinds else ""], found[UNMARKED])


def _read_lines(path: Path) -> list[str]:
    # File names may hold undecodable bytes; Windows' editor writes a byte order mark.
    text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    return [line.strip() for line in text.split("\n")]


def to_line(path: Path, folder: Path) -> str:
    """Return the line of a list that names a photograph.

    Raises:
        ValueError: the name cannot be listed, or the photograph does not lie below the folder.
    """
    name = path.relative_to(folder).as_posix()
    if "\n" in name:
        raise ValueError(f"{name!r}: a name with a line break cannot be listed")
    # ./ keeps it from being read as a comment, or without the leading blank.
    return f"./{name}" if name.startswith("#") or name[0].isspace() else name


def write_rejected(folder: Path, paths: Iterable[Path]) -> None:
    """Write a folder's rejected.txt, atomically.

    Args:
        folder: gets rejected.txt; an existing one is replaced.
        paths: of the rejected photographs, with the folder in front.

    Raises:
        ValueError: a path cannot be listed, see `to_line`.
    """
    lines = sorted(to_line(path, folder) for path in paths)
    text = HEADER + "".join(f"{line}\n" for line in lines)
    write_bytes(folder / REJECTED_LIST, text.encode("utf-8", "surrogateescape"))
