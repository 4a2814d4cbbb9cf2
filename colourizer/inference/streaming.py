"""Photographs of any storage as a stream: found, named and coloured without a list of them all."""

import itertools
import os
import re
import zlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePath, PurePosixPath

from colourizer.inference.batch import colourize_group, study_unfinished
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import (
    CONTACT_SHEET,
    FoundPhoto,
    Job,
    OutputOptions,
    keeps_names,
)
from colourizer.inference.run import ColourOptions, Run, group_size, recorded_in, start_run
from colourizer.inference.sidecars import pair_sidecars
from colourizer.photos.files import (
    FORMAT_OF,
    START_BYTES,
    SUFFIXES,
    WRITTEN_AS,
    find_format,
    fit_name,
    format_of_start,
    is_photo_name,
    walk_files,
    why_left_out,
    why_name_left_out,
    written_name,
)
from colourizer.record.row_index import RowIndex
from colourizer.runtime.array_file import ArrayFile
from colourizer.runtime.atomic_file import remove_leftovers
from colourizer.runtime.cli import UsageError, list_hints
from colourizer.runtime.errors import HintedError, reason_of
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.storage.address import WEB, Address, Location
from colourizer.storage.connection import S3, StorageError
from colourizer.storage.files import find_kind, read_bytes
from colourizer.storage.listing import is_hidden, iterate_files

GROUP_BYTES = 64_000_000  # of files from a storage that a thread has in memory, at most, or one
READING_THREADS = 3  # for each core: while one computes, others wait for a storage
ALBUM_PHOTOS = 5000  # of an album: 1.5 GB of temporary files
AHEAD = 4  # groups for each thread that are listed before they are needed
FilmColourizer = Callable[[FoundPhoto, Run], Outcome]  # film.stored_films.colourize_found_film
# Parts of keys that no folder may be named, and the names that they get.
ODD_PART, ODD_NAME = re.compile(r"\.{0,2}"), re.compile(r"%(?:25)*(?:2E(?:%2E)?)?")
# Names that another photograph's results may have: NAME.gif.png, NAME_variant2.jpg,
# NAME.jpg_compared.jpg and so on. A number at the end is one that `distinct_name` has added.
KINDS = "|".join(suffix[1:] for suffix in sorted(SUFFIXES))
CONVERTED = "|".join(suffix[1:] for suffix, kind in FORMAT_OF.items() if kind in WRITTEN_AS)
BESIDE = rf"\.(?:{KINDS})_(?:confidence|compared|\d+_variants)|_variant\d+"
NUMBER = r"(?:_(?P<number>[2-9]|[1-9]\d+))?"
RESULT = re.compile(rf"(?P<stem>.*(?:\.(?:{CONVERTED})|{BESIDE})){NUMBER}", re.I | re.S)
RESULT_OF_FORMAT = re.compile(rf"(?P<stem>.*(?:\.(?:{KINDS})|{BESIDE})){NUMBER}", re.I | re.S)


@dataclass
class Listing:
    """What was found while photographs were listed.

    wrong: an error for each path that does not exist or cannot be listed.
    left_out: how many files seem photographs but are not coloured, by the reason.
    """

    wrong: list[HintedError] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def is_folder(path: Location) -> bool | None:
    """Return whether a path is a folder; None if there is nothing.

    In S3 an address may be a folder's and a file's, often an empty one by which a program marks
    the folder. It is the file's only if it has a photograph's name.

    Raises:
        StorageError: its storage does not say.
    """
    if isinstance(path, Address):
        kind = find_kind(path)
        if kind == "file" and path.scheme == S3 and not is_photo_name(PurePath(path.name)):
            return next(iterate_files(path), None) is not None
        return kind == "directory" if kind else None
    return path.is_dir() if path.exists() else None


def stream_photos(
    paths: Sequence[Location],
    output: Location,
    listing: Listing,
    is_film: Callable[[PurePath], bool] = lambda _: False,
    no_films: str = "",
) -> Iterator[FoundPhoto]:
    """Return an iterator of the photographs that a command line names; the first is found by now.

    Args:
        paths: photographs, or folders.
        output: where results go; never searched for photographs.
        listing: is added to while the photographs are listed.
        is_film: whether a name is a film's.
        no_films: why films are left out; "" if they are not.

    Raises:
        UsageError: names of results would not be distinct, or there is no photograph.
    """
    folders: list[Location] = []
    photos: list[Location] = []
    missing: list[PurePath] = []
    for path in paths:
        try:
            kind = is_folder(path)
            if _absolute(path) == _absolute(output) or (kind and is_below(path, output)):
                what = f"{output}: is where the photographs are"
                raise UsageError(what, "name another folder with -o")
        except StorageError as error:
            listing.wrong.append(_name_in(error, path))
            missing.append(PurePath(path.name))
        else:
            if kind is None:
                listing.wrong.append(HintedError(f"{path}: no such file or folder"))
                missing.append(PurePath(path.name))
            else:
                (folders if kind else photos).append(path)
    if folders and photos:
        raise UsageError(f"{photos[0]}: name photographs or folders here, not both")
    names_kept = keeps_names(output, len(folders), missing, is_film)
    names = [_name_of(path) for path in photos or (folders if names_kept else ())]
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise UsageError(f"{twice}: is the name of two paths; colour one after the other")
    found: Iterator[FoundPhoto]
    if photos:
        found = (_name_photo(path, is_film) for path in photos)
    else:
        roots = names if names_kept else [""] * len(folders)
        each = (
            _list_folder(folder, PurePosixPath(root), output, listing, is_film)
            for folder, root in zip(folders, roots, strict=True)
        )
        found = itertools.chain.from_iterable(each)
    if no_films:
        found = _leave_out_films(found, no_films, listing)
    first = next(found, None)
    if first is None:
        hint = "looked for " + " ".join(sorted(SUFFIXES))
        raise UsageError("" if listing.wrong else f"{paths[0]}: no photographs there", hint)
    return itertools.chain([first], found)


def _name_photo(path: Location, is_film: Callable[[PurePath], bool]) -> FoundPhoto:
    name = PurePath(path.name)
    is_web = isinstance(path, Address) and path.scheme in WEB  # which may refuse what is not there
    sidecars = () if is_web else None
    return FoundPhoto(path, name, named=True, is_film=is_film(name), sidecars=sidecars)


def _absolute(path: Location) -> Location:
    return path.resolve() if isinstance(path, Path) else path.without_credentials()


def is_below(path: Location, folder: Location) -> bool:
    """Return whether a path or an address lies below a folder."""
    if isinstance(path, Path) or isinstance(folder, Path):
        return _absolute(folder) in getattr(_absolute(path), "parents", ())
    with suppress(ValueError):
        return bool(path.without_credentials().relative_to(folder.without_credentials()))
    return False


def spell_as_listed(
    path: Location, named: Location, output: Location, is_film: Callable[[PurePath], bool]
) -> Location | None:
    """Return a path as the listing of a named one spells it; None if it is not in there.

    A listing follows no links to folders; links to files keep their names.

    Args:
        path: of a photograph or film that exists.
        named: the same one, or a folder.
        output: as of `stream_photos`.
        is_film: as of `stream_photos`.
    """
    if _absolute(path) == _absolute(named):
        return named
    name, below = PurePath(path.name), ""
    with suppress(ValueError):
        if isinstance(path, Path) and isinstance(named, Path):
            whole = path.parent.resolve() / path.name
            below = whole.relative_to(named.resolve()).as_posix()
        elif isinstance(path, Address) and isinstance(named, Address):
            below = path.without_credentials().relative_to(named.without_credentials())
    wanted = is_photo_name(name) or is_film(name)
    is_there = below and wanted and not (is_hidden(below) or is_below(path, output))
    return named / below if is_there else None


def _name_in(error: StorageError, path: Location) -> HintedError:
    return HintedError(f"{path}: {error}", *list_hints(error))


def _name_of(path: Location) -> str:
    if isinstance(path, Path):
        return path.resolve().name
    return path.name or PurePosixPath(path.archive).stem


def _leave_out_films(
    found: Iterator[FoundPhoto], why: str, listing: Listing
) -> Iterator[FoundPhoto]:
    for photo in found:
        if photo.is_film:
            listing.left_out[why] += 1
        else:
            yield photo


def _list_folder(
    folder: Location,
    root: PurePath,
    output: Location,
    listing: Listing,
    is_film: Callable[[PurePath], bool],
) -> Iterator[FoundPhoto]:
    """Yield photographs and films in a folder; root: what precedes their paths below the output."""
    if isinstance(folder, Path):
        unreadable: list[OSError] = []
        without = output if isinstance(output, Path) else None
        place = None
        for path in walk_files(folder, without, unreadable):
            film = is_film(path)
            if not (film or is_photo_name(path)):
                listing.left_out.update([why_left_out(path)])
                continue
            below = root / path.relative_to(folder)
            if without and place != without / below.parent:
                place = without / below.parent
                remove_leftovers([place])
            yield FoundPhoto(path, below, named=False, is_film=film)
        listing.wrong += [
            HintedError(f"{error.filename}: {reason_of(error)}") for error in unreadable
        ]
        return
    inside = None
    if isinstance(output, Address) and is_below(output, folder):
        inside = output.without_credentials().relative_to(folder.without_credentials()) + "/"
    try:
        for (address, below_name, size), sidecars in pair_sidecars(iterate_files(folder)):
            if inside and below_name.startswith(inside):
                continue
            name = PurePosixPath(address.name)
            film = is_film(name)
            if not (film or is_photo_name(name)):
                listing.left_out.update([why_name_left_out(name)])
                continue
            below = root.joinpath(*map(name_part, below_name.split("/")))
            yield FoundPhoto(
                address, below, named=False, is_film=film, size=size, sidecars=sidecars
            )
    except StorageError as error:
        listing.wrong.append(_name_in(error, folder))


def name_part(part: str) -> str:
    """Return a folder's or file's name for a part of a key; that of ".." is %2E%2E."""
    if ODD_NAME.fullmatch(part):  # which another part gets
        return f"%25{part[1:]}"
    return (part.replace(".", "%2E") or "%") if ODD_PART.fullmatch(part) else part


def place_below(output: Location, below: PurePath) -> Location:
    """Return where a result goes; what is too long for names of local files is cut."""
    if isinstance(output, Path):
        parts = map(PurePath, below.parts)
        return output.joinpath(*(fit_distinct(part.stem, part.suffix) for part in parts))
    return output / below


def plan_alone(photo: FoundPhoto, options: OutputOptions) -> Job:
    """Assign a photograph its output files by its name alone, whatever other ones there are.

    Names are those of `plan_outputs`, but of pictures beside a photograph, NAME.jpg_compared.jpg
    instead of NAME_compared.jpg, and of photographs named as the result of another one.

    Raises:
        StorageError: the first bytes decide, and cannot be read.
    """
    below = photo.below.with_name(distinct_name(photo.below.name, options.target))
    name = written_name(below, options.target, _find_format(photo.source))
    if not name.startswith(below.stem):  # it was too long
        name = fit_distinct(below.stem, below.suffix + PurePath(name).suffix)
    first = place_below(options.output, below.with_name(name))

    def beside(wanted: object, ending: str) -> Location | None:
        return first.with_name(fit_distinct(name, f"_{ending}")) if wanted else None

    numbers = range(2, options.variants + 1)
    endings = [f"_variant{number}{first.suffix}" for number in numbers]
    variants = [first.with_name(fit_distinct(first.stem, ending)) for ending in endings]
    return Job(
        photo.source,
        [first, *variants],
        confidence=beside(options.confidence, "confidence.png"),
        sheet=beside(variants, f"{options.variants}_variants.png"),
        compared=beside(options.compare, "compared.jpg"),
        named=photo.named,
        sidecars=photo.sidecars,
    )


def fit_distinct(stem: str, ending: str) -> str:
    """Return a file's name; one that is too long is cut and gets a hash of the whole."""
    name = fit_name(stem, ending)
    if name == stem + ending:
        return name
    return fit_name(stem, f"_{zlib.crc32(os.fsencode(stem + ending)):08x}{ending}")


def distinct_name(name: str, target: str | None = None) -> str:
    """Return a name that no other photograph's result has: its own, or NAME_2, NAME_3 and so on.

    Only what has the name of another's result gets a number: NAME.gif.png becomes NAME.gif_2.png,
    and NAME.gif_2.png becomes NAME.gif_3.png, whether or not NAME.gif exists.

    Args:
        name: of a photograph.
        target: one of photos.files.TARGETS, which other photographs are written as.
    """
    path = PurePath(name)
    found = (RESULT_OF_FORMAT if target else RESULT).fullmatch(path.stem)
    if found:
        return next_name(found, path.suffix)
    return f"{path.stem}_2{path.suffix}" if name.lower() == CONTACT_SHEET else name


def next_name(result: re.Match[str], suffix: str) -> str:
    """Return the name that follows one which another file's result may have: with a number."""
    return f"{result['stem']}_{int(result['number'] or 1) + 1}{suffix}"


def _find_format(source: Location) -> str:
    """Return a photograph's format by its suffix or, where it says too little, its first bytes."""
    if isinstance(source, Path):
        return find_format(source)
    named = FORMAT_OF.get(source.suffix.lower(), "")
    if named not in WRITTEN_AS:
        return named
    return format_of_start(read_bytes(source, START_BYTES)) or named


def cut_stream(
    found: Iterable[FoundPhoto], size: int, workers: Callable[[], int]
) -> Iterator[list[FoundPhoto]]:
    """Yield photographs in groups, smaller ones towards the end, so that all workers end together.

    Args:
        found: the photographs; a few groups are read ahead.
        size: photographs in a group, at most.
        workers: returns how many groups are worked on at a time.
    """
    ahead: deque[FoundPhoto] = deque()
    found = iter(found)
    while True:
        ahead.extend(itertools.islice(found, max(0, AHEAD * size * workers() - len(ahead))))
        if not ahead:
            return
        group = [ahead.popleft()]
        most, total = max(1, min(size, (len(ahead) + 1) // (2 * workers()))), group[0].size
        while len(group) < most and ahead and (total := total + ahead[0].size) <= GROUP_BYTES:
            group.append(ahead.popleft())
        yield group


def set_films_aside(found: Iterable[FoundPhoto], films: list[FoundPhoto]) -> Iterator[FoundPhoto]:
    """Yield photographs; append films, which are coloured after all of them, to a list."""
    for photo in found:
        if photo.is_film:
            films.append(photo)
        else:
            yield photo


def colourize_found(group: Sequence[FoundPhoto], run: Run) -> list[Outcome]:
    """Colour a group of photographs; return the outcome of each, once its files are written."""
    jobs: list[Job] = []
    outcomes: list[Outcome] = []
    for photo in group:
        outcome = Outcome(photo.source, "failed")
        with recorded_in(outcome, run):
            jobs.append(plan_alone(photo, run.outputs))
            continue
        outcomes.append(outcome)
    coloured, flushes = colourize_group(jobs, run)
    for flush in flushes:
        flush.result()
    return [*coloured, *outcomes]


def colourize_groups(found: Iterable[FoundPhoto], run: Run, threads: int) -> Iterator[Outcome]:
    """Colour photographs in groups, several at a time; yield the outcome of each."""
    groups = cut_stream(found, group_size(run.colourizer), lambda: run.cores)
    wanted = itertools.takewhile(lambda _: not run.ends, groups)
    results = map_ordered(wanted, partial(colourize_found, run=run), threads, 2 * threads)
    for _, outcomes in results:
        if isinstance(outcomes, Exception):
            raise outcomes
        yield from outcomes


def cut_albums(found: Iterable[FoundPhoto]) -> Iterator[list[FoundPhoto]]:
    """Yield photographs in albums, of ALBUM_PHOTOS that were listed one after the other."""
    found = iter(found)
    while album := list(itertools.islice(found, ALBUM_PHOTOS)):
        yield album


def colourize_album(found: Sequence[FoundPhoto], run: Run, threads: int) -> Iterator[Outcome]:
    """Colour photographs as one album; yield the outcome of each. The run has one at a time.

    Raises:
        AlbumError: it cannot be studied.
    """
    jobs: list[Job] = []
    for photo in found:
        with suppress(StorageError):  # reported when it is coloured
            jobs.append(plan_alone(photo, run.outputs))
    with ArrayFile() as file:
        run.album = study_unfinished(jobs, run, file, threads)
        yield from colourize_groups(found, run, threads)
        run.album = None


def colourize_streamed(
    found: Iterable[FoundPhoto],
    colourizer: Colourizer,
    outputs: OutputOptions,
    colours: ColourOptions,
    stop: Interrupt,
    colourize_film: FilmColourizer,
    recorded: RowIndex | None = None,
) -> Iterator[Outcome]:
    """Colour photographs and films of any storage in this process.

    Args:
        found: from `stream_photos`.
        colourizer: the network.
        outputs: which files are made.
        colours: how.
        stop: once it has an exit code no further photograph is begun.
        colourize_film: is called for each film, after the photographs.
        recorded: what a report says of earlier runs; or None.

    Yields:
        The outcome of each, once its files are written; in their order, but what cannot be planned
        behind the others of its group, and films last.

    Raises:
        AlbumError: an album cannot be studied.
    """
    films: list[FoundPhoto] = []
    threads = READING_THREADS * count_cores()
    with start_run(colourizer, outputs, colours, stop, threads, recorded) as run:
        photos = set_films_aside(found, films)
        if colours.album:
            for album in itertools.takewhile(lambda _: not run.ends, cut_albums(photos)):
                yield from colourize_album(album, run, threads)
        else:
            yield from colourize_groups(photos, run, threads)
        for film in itertools.takewhile(lambda _: not run.ends, films):
            yield colourize_film(film, run)
