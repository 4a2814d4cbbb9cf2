"""Which photographs are trained on and which are held out."""

import hashlib
import os
from collections import Counter
from pathlib import Path

from colourizer.curation.derived_copies import find_originals, is_copy, original_of
from colourizer.curation.rejected_list import REJECTED_LIST, read_rejected
from colourizer.photos.files import evenly_spaced, find_photos

# One in twenty is held out; of fewer than 400 photographs more, to have MIN_VALIDATION of them to
# measure with, but never more than one in five.
VALIDATION_SHARE, MIN_VALIDATION, MAX_VALIDATION = 0.05, 20, 200


def _hash_in_unit_range(path: Path) -> float:
    """Return a hash of a photograph's name in [0, 1); derived copies have their original's."""
    _, name = original_of(path)
    return hashlib.sha256(os.fsencode(name)).digest()[0] / 256


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The name decides, so a file falls on the same side in every run on a folder that has not grown
    much; except that of one too small to hold out any that way the last photograph is held out, and
    of one so large that they would be more than MAX_VALIDATION those are spread over it.
    """
    originals = find_originals(paths)
    share = max(VALIDATION_SHARE, min(0.2, MIN_VALIDATION / max(len(originals), 1)))
    held_out = [path for path in originals if _hash_in_unit_range(path) < share] or originals[-1:]
    held_out = evenly_spaced(held_out, MAX_VALIDATION)
    taken = {original_of(path) for path in held_out}
    return [path for path in paths if original_of(path) not in taken], held_out


class _Resolver(dict[Path, Path]):
    """`Path.resolve` for many files of few folders, each of which is resolved once."""

    def __missing__(self, folder: Path) -> Path:
        self[folder] = folder.resolve()
        return self[folder]

    def resolve(self, path: Path) -> Path:
        """Return what `path.resolve()` does."""
        return path.resolve() if path.is_symlink() else self[path.parent] / path.name


def choose_photos(
    folders: list[Path], validation: Path | None
) -> tuple[list[Path], list[Path], Counter[str]]:
    """Return the photographs of a run, by their names and folders.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.

    Returns:
        Those to train on, those to validate on, and how many are in a rejected.txt.
    """
    given = [*folders, *([validation] if validation else [])]
    unwanted = {path.resolve() for folder in given for path in read_rejected(folder)}
    names = {original_of(path) for path in unwanted if not is_copy(path)}
    resolver, left_out = _Resolver(), set[Path]()

    def find_wanted(folder: Path, without: set[Path]) -> list[Path]:
        wanted = []
        for path in find_photos(folder):
            resolved = resolver.resolve(path)
            if resolved in unwanted or (is_copy(path) and original_of(path) in names):
                left_out.add(resolved)
            elif resolved not in without:
                wanted.append(path)
        return wanted

    if validation is None:
        paths = [path for folder in folders for path in find_wanted(folder, set())]
        train, held_out = split(paths)
    else:
        held_out = find_wanted(validation, set())
        held_out_names = {original_of(path) for path in held_out}
        taken = {resolver.resolve(path) for path in find_photos(validation)}
        train = [path for folder in folders for path in find_wanted(folder, taken)]
        train = [p for p in train if not (is_copy(p) and original_of(p) in held_out_names)]
    return train, held_out, Counter({f"in {REJECTED_LIST}": len(left_out)})
