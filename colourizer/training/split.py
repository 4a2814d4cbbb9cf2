"""Which photographs are trained on and which are held out."""

import hashlib
import math
import os
from collections import Counter
from pathlib import Path

from colourizer.curation.derived_copies import (
    ROTATED,
    SCALED,
    find_originals,
    is_copy,
    original_of,
)
from colourizer.curation.rejected_list import REJECTED_LIST, read_rejected
from colourizer.photos.files import evenly_spaced, find_photos
from colourizer.runtime.cli import print_note
from colourizer.runtime.errors import reason_of
from colourizer.training.run_folder import PICTURE, holds_run

# One in twenty is held out; of fewer than 400 photographs more, to have MIN_VALIDATION of them to
# measure with, but never more than one in five.
VALIDATION_SHARE, MIN_VALIDATION, MAX_VALIDATION = 0.05, 20, 200
MAX_SHARE = 0.2
# What decides whether a photograph is held out: its path, or, in runs that were begun before, the
# file's name alone.
BY_PATH, BY_NAME = "path", "name"


def relative_name(path: Path, folder: Path) -> str:
    """Return a photograph's path within a folder, without suffix; copies have their original's."""
    _, stem = original_of(path)
    parents = path.parent.relative_to(folder).parts
    return "/".join((*(part.removesuffix(ROTATED).removesuffix(SCALED) for part in parents), stem))


def name_photos(folders: dict[Path, list[Path]]) -> dict[Path, str]:
    """Return a name for each photograph that stays the same when its folder is moved or renamed.

    It is the path within the folder. Where an earlier folder has a photograph of the same path, its
    number among these comes before it.

    Args:
        folders: each with photographs in it.
    """
    names: dict[Path, str] = {}
    earlier = Counter[str]()
    for folder, paths in folders.items():
        new = {path: relative_name(path, folder) for path in paths if path not in names}
        names |= {path: f"{earlier[name] or ''}/{name}" for path, name in new.items()}
        earlier.update({name for path, name in new.items() if not is_copy(path)})
    return names


def _hash_in_unit_range(name: str, count: int) -> float:
    """Return the first bytes of a name's hash, as a number in [0, 1)."""
    digest = hashlib.sha256(os.fsencode(name)).digest()[:count]
    return int.from_bytes(digest) / 256**count


def split(names: dict[Path, str], drawn_by: str = BY_PATH) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The name's hash decides, so a photograph falls on the same side in every run on a folder that
    has not grown much; of one so large that more than MAX_VALIDATION would be held out, those are
    spread over it.

    Args:
        names: the photographs, each with its name from `name_photos`.
        drawn_by: BY_PATH, or BY_NAME to go on with a run that was begun with it.
    """
    originals = find_originals(names)
    share = max(VALIDATION_SHARE, min(MAX_SHARE, MIN_VALIDATION / max(len(originals), 1)))
    if drawn_by == BY_NAME:
        stems = {path: original_of(path)[1] for path in originals}
        held_out = [p for p in originals if _hash_in_unit_range(stems[p], 1) < share]
        held_out = held_out or originals[-1:]
    else:
        chances = {path: _hash_in_unit_range(names[path], 8) for path in originals}
        least = math.ceil(share * len(originals) / 2)
        most = max(least, round(MAX_SHARE * len(originals)))
        count = min(max(sum(c < share for c in chances.values()), least), most)
        drawn = set(sorted(originals, key=chances.__getitem__)[:count])
        held_out = [path for path in originals if path in drawn]
    held_out = evenly_spaced(held_out, MAX_VALIDATION)
    taken, names_taken = {original_of(p) for p in held_out}, {names[p] for p in held_out}

    def is_taken(path: Path) -> bool:
        if drawn_by == BY_NAME or is_copy(path):
            return original_of(path) in taken
        return names[path] in names_taken

    return [path for path in names if not is_taken(path)], held_out


class _Resolver(dict[Path, Path]):
    """`Path.resolve` for many files of few folders, each of which is resolved once."""

    def __missing__(self, folder: Path) -> Path:
        self[folder] = folder.resolve()
        return self[folder]

    def resolve(self, path: Path) -> Path:
        """Return what `path.resolve()` does."""
        return path.resolve() if path.is_symlink() else self[path.parent] / path.name


def choose_photos(
    folders: list[Path], validation: Path | None, drawn_by: str = BY_PATH
) -> tuple[list[Path], list[Path], Counter[str]]:
    """Return the photographs of a run, by their names and folders.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.
        drawn_by: as for `split`.

    Returns:
        Those to train on, those to validate on, and how many are in a rejected.txt.
    """
    given = [*folders, *([validation] if validation else [])]
    unwanted = {path.resolve() for folder in given for path in read_rejected(folder)}
    unwanted_originals = {original_of(path) for path in unwanted if not is_copy(path)}
    resolver, left_out = _Resolver(), set[Path]()

    def find_wanted(folder: Path, without: set[Path]) -> list[Path]:
        wanted = []
        unreadable: list[OSError] = []
        photos = find_photos(folder, unreadable=unreadable)
        print_note(*(f"note: {error.filename}: {reason_of(error)}" for error in unreadable))
        for path in photos:
            if path.name == PICTURE and holds_run(path.parent):  # a run's own, among photographs
                continue
            resolved = resolver.resolve(path)
            if resolved in unwanted or (is_copy(path) and original_of(path) in unwanted_originals):
                left_out.add(resolved)
            elif resolved not in without:
                wanted.append(path)
        return wanted

    if validation is None:
        names = name_photos({folder: find_wanted(folder, set()) for folder in folders})
        train, held_out = split(names, drawn_by)
    else:
        held_out = find_wanted(validation, set())
        held_out_names = {original_of(path) for path in held_out}
        taken = {resolver.resolve(path) for path in find_photos(validation)}
        train = [path for folder in folders for path in find_wanted(folder, taken)]
        train = [p for p in train if not (is_copy(p) and original_of(p) in held_out_names)]
    return train, held_out, Counter({f"in {REJECTED_LIST}": len(left_out)})
