"""Which photographs are coloured, and which files the results go to."""

import os
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos, is_photo_name, written_name

DEFAULT_OUTPUT = "colourized"
CONTACT_SHEET = "contact_sheet.jpg"  # of --compare


@dataclass(frozen=True)
class OutputOptions:
    """Which files are made of each photograph, and where.

    output: the folder for all of them.
    target: one of photos.files.TARGETS; None is each photograph's own format.
    variants: how many colourings.
    confidence, compare: whether to draw those pictures beside it.
    overwrite: whether to replace what exists.
    """

    output: Path = Path(DEFAULT_OUTPUT)
    target: str | None = None
    variants: int = 1
    confidence: bool = False
    compare: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)  # there may be a million
class Job:
    """A photograph and the files that are made of it."""

    source: Path
    coloured: list[Path]  # one, or one for each variant
    confidence: Path | None = None
    sheet: Path | None = None
    compared: Path | None = None

    def targets(self) -> list[Path]:
        """Return all of the files."""
        beside = [path for path in (self.confidence, self.sheet, self.compared) if path]
        return [*self.coloured, *beside]


def find_all(paths: list[Path], output: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Find the photographs that a command line names.

    Args:
        paths: photographs and folders.
        output: never searched for photographs.

    Returns:
        Each photograph and its result's path below the output; and a message for each path that
        does not exist or may not be read.
    """
    found: list[tuple[Path, Path]] = []
    unreadable: list[OSError] = []
    wrong = [f"{path}: no such file or folder" for path in paths if not path.exists()]
    # A missing folder counts as well: the others' names must not depend on it.
    folders = sum(p.is_dir() or not (p.exists() or is_photo_name(p)) for p in paths)
    keep_names = output == Path(DEFAULT_OUTPUT) or folders > 1
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name if keep_names else "")
            photos = find_photos(path, without=output, unreadable=unreadable)
            found += [(photo, root / photo.relative_to(path)) for photo in photos]
        elif path.exists():
            found.append((path, Path(path.name)))
    wrong += [f"{error.filename}: {error.strerror}" for error in unreadable]
    return found, wrong


def unused_name(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return a path, or the first of NAME_2, NAME_3 and so on that is not taken."""
    n, numbered = 2, path
    while is_taken(numbered):
        numbered = path.with_stem(f"{path.stem}_{n}")
        n += 1
    return numbered


def plan_outputs(found: list[tuple[Path, Path]], options: OutputOptions) -> list[Job]:
    """Assign every photograph its output files, before anything is written.

    No two photographs share a file, and no file is another photograph: the later one is numbered.

    Args:
        found: photographs, and their results' paths below the output.
        options: which files are made of each.
    """
    output = options.output

    def key_of(path: Path) -> str:
        """Return a key by which paths are compared: on some file systems A.jpg is a.jpg."""
        return os.path.abspath(path).casefold()  # noqa: PTH100 - ten times faster

    unique = {os.path.abspath(source): (source, below) for source, below in found}  # noqa: PTH100
    sources = {key.casefold() for key in unique}
    taken = {key_of(contact_sheet_path({output / place for place in {b.parent for _, b in found}}))}

    def claim(path: Path, source: Path | None = None) -> Path:
        """Return an unused name, and mark it as taken; the source's own is refused later."""

        def is_taken(candidate: Path) -> bool:
            key = key_of(candidate)
            return key in taken or (key in sources and not (source and key == key_of(source)))

        name = unused_name(path, is_taken)
        taken.add(key_of(name))
        return name

    # First the coloured photographs, whose names do not depend on what else is wanted.
    firsts = [
        (source, claim(output / below.with_name(written_name(below, options.target)), source))
        for source, below in unique.values()
    ]
    if options.variants == 1 and not (options.confidence or options.compare):
        return [Job(source, [first]) for source, first in firsts]
    stems = Counter(key_of(first.with_suffix("")) for _, first in firsts)
    jobs = []
    for source, first in firsts:
        shared = stems[key_of(first.with_suffix(""))] > 1  # cat.jpg and cat.png
        name = first.name if shared else first.stem

        def beside(wanted: object, what: str, first: Path = first, name: str = name) -> Path | None:
            return claim(first.with_name(f"{name}_{what}")) if wanted else None

        variants = range(2, options.variants + 1)
        others = [claim(first.with_stem(f"{first.stem}_variant{n}")) for n in variants]
        sheet = beside(others, f"{options.variants}_variants.png")
        sure = beside(options.confidence, "confidence.png")
        compared = beside(options.compare, "compared.jpg")
        jobs.append(Job(source, [first, *others], sure, sheet, compared))
    return jobs


def contact_sheet_path(folders: set[Path]) -> Path:
    """Return the contact sheet's path: in the folder that holds all folders of the results."""
    return Path(os.path.commonpath(folders)) / CONTACT_SHEET


def list_unfinished(job: Job, overwrite: bool) -> list[Path]:
    """Return a job's files that are still to be written.

    Raises:
        PhotoError: one of them is the photograph itself, or has no possible name.
    """
    try:
        there = [path for path in job.targets() if path.exists()]
        if any(job.source.samefile(path) for path in there):
            raise PhotoError("would be written over itself; name another folder with -o")
    except OSError as error:
        raise PhotoError(f"cannot be written ({(error.strerror or str(error)).lower()})") from error
    return [path for path in job.targets() if overwrite or path not in there]


def take_share(jobs: list[Job], output: Path, rank: int, world_size: int) -> list[Job]:
    """Return one process's jobs; a hash of the name decides, whatever other files there are."""
    if world_size == 1:
        return jobs

    def owner(job: Job) -> int:
        name = os.path.relpath(job.coloured[0], output)
        return zlib.crc32(os.fsencode(name)) % world_size

    return [job for job in jobs if owner(job) == rank]
