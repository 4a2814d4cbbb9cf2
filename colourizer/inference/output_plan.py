"""Which photographs are coloured, and which files the results go to."""

import argparse
import os
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos, is_photo_name, written_name

DEFAULT_OUTPUT = "colourized"
SHEET = "contact_sheet.jpg"  # of --compare


@dataclass(frozen=True, slots=True)  # there may be a million
class Job:
    """A photograph and the files that what is made of it goes to."""

    source: Path
    coloured: list[Path]  # one, or one for each variant
    confidence: Path | None = None
    sheet: Path | None = None
    compared: Path | None = None

    def targets(self) -> list[Path]:
        """List the files."""
        beside = [path for path in (self.confidence, self.sheet, self.compared) if path]
        return [*self.coloured, *beside]


def find_all(paths: list[Path], output: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Find the photographs that a command line names.

    Args:
        paths: photographs and folders.
        output: never searched for photographs.

    Returns:
        Each photograph and where below the output its result goes; and what is wrong with paths
        that are not there or may not be looked into.
    """
    found: list[tuple[Path, Path]] = []
    unreadable: list[OSError] = []
    wrong = [f"{path}: no such file or folder" for path in paths if not path.exists()]
    # A folder that is not there counts as well: names may not depend on that.
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


def plan(found: list[tuple[Path, Path]], output: Path, args: argparse.Namespace) -> list[Job]:
    """Pair every photograph with the files that it goes to, before anything is written.

    Two photographs never share a target, and none is another photograph: the later one gets a
    number.

    Args:
        found: photographs, and where below the output the results go.
        output: where the targets lie.
        args: the command line: in which format, and what is wanted beside each.
    """

    def key_of(path: Path) -> str:
        """Some file systems take A.jpg for a.jpg."""
        return os.path.abspath(path).casefold()  # noqa: PTH100 - ten times faster

    unique = {os.path.abspath(source): (source, below) for source, below in found}  # noqa: PTH100
    sources = {key.casefold() for key in unique}
    taken = {key_of(place_sheet({output / place for place in {b.parent for _, b in found}}))}

    def free(path: Path, source: Path | None = None) -> Path:
        """Number a name that is taken; that of the photograph itself is refused later."""
        n, numbered = 2, path
        while (key := key_of(numbered)) in taken or (
            key in sources and not (source and key == key_of(source))
        ):
            numbered = path.with_stem(f"{path.stem}_{n}")
            n += 1
        taken.add(key)
        return numbered

    # First the coloured photographs, whose names do not depend on what else is wanted.
    firsts = [
        (source, free(output / below.with_name(written_name(below, args.format)), source))
        for source, below in unique.values()
    ]
    if args.variants == 1 and not (args.confidence or args.compare):
        return [Job(source, [first]) for source, first in firsts]
    stems = Counter(key_of(first.with_suffix("")) for _, first in firsts)
    jobs = []
    for source, first in firsts:
        shared = stems[key_of(first.with_suffix(""))] > 1  # cat.jpg and cat.png
        name = first.name if shared else first.stem

        def beside(wanted: object, what: str, first: Path = first, name: str = name) -> Path | None:
            return free(first.with_name(f"{name}_{what}")) if wanted else None

        variants = range(2, args.variants + 1)
        others = [free(first.with_stem(f"{first.stem}_variant{n}")) for n in variants]
        sheet = beside(others, f"{args.variants}_variants.png")
        sure = beside(args.confidence, "confidence.png")
        compared = beside(args.compare, "compared.jpg")
        jobs.append(Job(source, [first, *others], sure, sheet, compared))
    return jobs


def place_sheet(folders: set[Path]) -> Path:
    """Say where the contact sheet of coloured photographs goes: where all their folders lie."""
    return Path(os.path.commonpath(folders)) / SHEET


def list_unfinished(job: Job, overwrite: bool) -> list[Path]:
    """List a job's files that are still to be written.

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


def take_share(jobs: list[Job], output: Path, rank: int, processes: int) -> list[Job]:
    """Pick a process's photographs; by their names, so that no other file changes who does what."""
    if processes == 1:
        return jobs

    def owner(job: Job) -> int:
        name = os.path.relpath(job.coloured[0], output)
        return zlib.crc32(os.fsencode(name)) % processes

    return [job for job in jobs if owner(job) == rank]
