"""Which photographs and films are coloured, and which files the results go to."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, NamedTuple, TypeVar, cast

from colourizer.photos.errors import PhotoError
from colourizer.photos.files import (
    find_format,
    find_photos,
    fit_name,
    is_photo_name,
    why_left_out,
    written_name,
)
from colourizer.runtime.atomic_file import write_bytes
from colourizer.runtime.errors import reason_of
from colourizer.storage.address import Address, Location
from colourizer.storage.files import exists, write_whole

Place = TypeVar("Place", bound=Location)
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
    update: whether to replace what is older than its source, or was made with other settings.
    hashed: whether hashes of what is read and written are computed, for a report.
    """

    output: Location = Path(DEFAULT_OUTPUT)
    target: str | None = None
    variants: int = 1
    confidence: bool = False
    compare: bool = False
    overwrite: bool = False
    update: bool = False
    hashed: bool = False


@dataclass(frozen=True, slots=True)  # there may be a million
class Job(Generic[Place]):
    """A photograph or film, and the files that are made of it.

    coloured: one, or one for each variant.
    named: whether the command line names the photograph itself, not its folder.
    is_film: it has neither variants nor confidence.
    sidecars: of a photograph in a storage; None if they have to be looked for.
    """

    source: Place
    coloured: list[Place]
    confidence: Place | None = None
    sheet: Place | None = None
    compared: Place | None = None
    named: bool = False
    is_film: bool = False
    sidecars: tuple[Address, ...] | None = None

    def targets(self) -> list[Place]:
        """Return all of the files."""
        beside = [path for path in (self.confidence, self.sheet, self.compared) if path]
        return [*self.coloured, *beside]


class FoundPhoto(NamedTuple):
    """A photograph or film, its result's path below the output, whether it was named itself.

    size: in bytes, of what has to be read over a network; else 0.
    sidecars: as of a job.
    """

    source: Location
    below: PurePath
    named: bool
    is_film: bool = False
    size: int = 0
    sidecars: tuple[Address, ...] | None = None


@dataclass(frozen=True)
class FoundFiles:
    """The files that a command line names.

    photos: what is to be coloured, the films of a folder after its photographs.
    wrong: a message for each path that does not exist or may not be read.
    left_out: how many files seem to be photographs but are not, by what is said of them.
    """

    photos: list[FoundPhoto]
    wrong: list[str]
    left_out: Counter[str]


def find_all(
    paths: list[Path], output: Path, is_film: Callable[[PurePath], bool] = lambda _: False
) -> FoundFiles:
    """Find the photographs and films that a command line names.

    Args:
        paths: photographs, films and folders.
        output: never searched for photographs.
        is_film: whether a name is a film's; by default none is.
    """
    found: list[FoundPhoto] = []
    unreadable: list[OSError] = []
    left_out: Counter[str] = Counter()
    missing = [path for path in paths if not path.exists()]
    wrong = [f"{path}: no such file or folder" for path in missing]
    names_kept = keeps_names(output, sum(path.is_dir() for path in paths), missing, is_film)
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name if names_kept else "")
            others: list[Path] = []
            for photo in find_photos(path, output, unreadable, others):
                found.append(FoundPhoto(photo, root / photo.relative_to(path), named=False))
            for other in others:
                if is_film(other):
                    below = root / other.relative_to(path)
                    found.append(FoundPhoto(other, below, named=False, is_film=True))
                else:
                    left_out[why_left_out(other)] += 1
        elif path.exists():
            found.append(FoundPhoto(path, Path(path.name), named=True, is_film=is_film(path)))
    wrong += [f"{error.filename}: {reason_of(error)}" for error in unreadable]
    del left_out[""]
    return FoundFiles(found, wrong, left_out)


def keeps_names(
    output: Location,
    folders: int,
    missing: Iterable[PurePath],
    is_film: Callable[[PurePath], bool],
) -> bool:
    """Return whether results in the output folder go to folders that are named as their sources.

    Args:
        output: the folder for all of them.
        folders: how many the command line names that are there.
        missing: what it names that is not there; folders of it count as well, as the names of the
            others' results must not depend on it.
        is_film: whether a name is a film's.
    """
    folders += sum(not (is_photo_name(path) or is_film(path)) for path in missing)
    return output == Path(DEFAULT_OUTPUT) or folders > 1


def unused_name(path: Path, is_taken: Callable[[Path], bool]) -> Path:
    """Return a path, or the first of NAME_2, NAME_3 and so on that is not taken."""
    n, numbered = 2, path
    while is_taken(numbered):
        numbered = path.with_name(fit_name(path.stem, f"_{n}{path.suffix}"))
        n += 1
    return numbered


def plan_outputs(found: list[FoundPhoto], options: OutputOptions) -> list[Job]:
    """Assign every photograph its output files, before anything is written.

    No two photographs share a file, and no file is another photograph, or a folder of others: the
    later one is numbered.

    Args:
        found: the photographs.
        options: which files are made of each.
    """
    output = cast(Path, options.output)

    def key_of(path: Path) -> str:
        """Return a key by which paths are compared: on some file systems A.jpg is a.jpg."""
        return os.path.abspath(path).casefold()  # noqa: PTH100 - ten times faster

    unique: dict[str, FoundPhoto] = {}
    for photo in found:  # one that is named may lie in a named folder, too
        key = os.path.abspath(cast(Path, photo.source))  # noqa: PTH100
        named = photo.named or (key in unique and unique[key].named)
        unique[key] = photo._replace(named=named)
    sources = {key.casefold() for key in unique}
    places = {photo.below.parent for photo in found}
    taken = {key_of(output / above) for place in places for above in (place, *place.parents)}
    taken.add(key_of(contact_sheet_path({output / place for place in places})))

    def claim(path: Path, source: Path | None = None) -> Path:
        """Return an unused name, and mark it as taken; the source's own is refused later."""

        def is_taken(candidate: Path) -> bool:
            key = key_of(candidate)
            return key in taken or (key in sources and not (source and key == key_of(source)))

        name = unused_name(path, is_taken)
        taken.add(key_of(name))
        return name

    # First the coloured photographs, whose names do not depend on what else is wanted.
    firsts = []
    for photo in unique.values():
        name, source = photo.below.name, cast(Path, photo.source)
        if not photo.is_film:
            name = written_name(photo.below, options.target, find_format(source))
        firsts.append(claim(output / photo.below.with_name(name), source))
    if options.variants == 1 and not (options.confidence or options.compare):
        pairs = zip(unique.values(), firsts, strict=True)
        return [
            Job(photo.source, [first], named=photo.named, is_film=photo.is_film)
            for photo, first in pairs
        ]
    stems = Counter(key_of(first.with_suffix("")) for first in firsts)
    jobs = []
    for photo, first in zip(unique.values(), firsts, strict=True):
        shared = stems[key_of(first.with_suffix(""))] > 1  # cat.jpg and cat.png
        name = first.name if shared else first.stem

        def beside(wanted: object, what: str, first: Path = first, name: str = name) -> Path | None:
            return claim(first.with_name(fit_name(name, f"_{what}"))) if wanted else None

        source = cast(Path, photo.source)
        if photo.is_film:
            compared = beside(options.compare, "compared.mp4")
            film = Job(source, [first], compared=compared, named=photo.named, is_film=True)
            jobs.append(film)
            continue
        variants = (f"_variant{n}{first.suffix}" for n in range(2, options.variants + 1))
        others = [claim(first.with_name(fit_name(first.stem, ending))) for ending in variants]
        sheet = beside(others, f"{options.variants}_variants.png")
        sure = beside(options.confidence, "confidence.png")
        compared = beside(options.compare, "compared.jpg")
        jobs.append(
            Job(
                source,
                [first, *others],
                confidence=sure,
                sheet=sheet,
                compared=compared,
                named=photo.named,
            )
        )
    return jobs


def contact_sheet_path(folders: set[Path]) -> Path:
    """Return the contact sheet's path: in the folder that holds all folders of the results."""
    return Path(os.path.commonpath(folders)) / CONTACT_SHEET


def list_unfinished(job: Job[Place], overwrite: bool) -> list[Place]:
    """Return a job's files that are still to be written.

    Raises:
        PhotoError: one of them is the photograph itself, or has no possible name.
        StorageError: a storage does not say what is there.
    """
    try:
        there = [path for path in job.targets() if is_there(path)]
        if any(is_same(job.source, path) for path in there):
            raise PhotoError("would be written over itself; name another folder with -o")
    except OSError as error:
        raise PhotoError(f"cannot be written ({reason_of(error)})") from error
    return [path for path in job.targets() if overwrite or path not in there]


def find_jobs_named(jobs: list[Job], name: str) -> list[Job]:
    """Return the jobs whose photograph has a path that is, or ends with, a name."""
    parts = Path(name).parts
    named = [job for job in jobs if job.source.parts[-len(parts) :] == parts]
    return [job for job in named if job.source == Path(name)] or named


def is_there(place: Location) -> bool:
    """Return whether a file exists.

    Raises:
        StorageError: its storage does not say.
    """
    return exists(place) if isinstance(place, Address) else place.is_file()


def write_content(place: Location, content: bytes, modified: int | None = None) -> None:
    """Write a file whole or not at all; a local one is modified at a time, its folder is made.

    Raises:
        OSError: it cannot be written.
        StorageError: its storage does not take it.
    """
    if isinstance(place, Address):
        write_whole(place, content)
    else:
        write_bytes(place, content, modified)


def is_same(one: Location, other: Location) -> bool:
    """Return whether two files that exist are the same."""
    if isinstance(one, Path) and isinstance(other, Path):
        return one.samefile(other)
    return str(one) == str(other)  # with whatever login
