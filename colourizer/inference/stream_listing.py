"""Photographs and films that a command line names, listed one after another in any storage."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from colourizer.inference.output_plan import FoundPhoto, keeps_names
from colourizer.inference.sidecars import pair_sidecars
from colourizer.inference.stream_names import name_part
from colourizer.photos.files import (
    SUFFIXES,
    is_photo_name,
    walk_files,
    why_left_out,
    why_name_left_out,
)
from colourizer.runtime.atomic_file import remove_leftovers
from colourizer.runtime.cli import UsageError, list_hints
from colourizer.runtime.errors import HintedError, reason_of
from colourizer.storage.address import WEB, Address, Location
from colourizer.storage.connection import S3, StorageError
from colourizer.storage.files import find_kind
from colourizer.storage.listing import is_hidden, iterate_files


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
