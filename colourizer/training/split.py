"""Which photographs are trained on and which are held out."""

import hashlib
import os
from collections import Counter
from pathlib import Path

from colourizer.curation.derived_copies import find_originals, is_copy, original_of
from colourizer.curation.rejected_list import REJECTED_LIST, read_rejected
from colourizer.photos.files import evenly_spaced, find_photos

# One in twenty is held out; of fewer than 400 photographs more, to have LEAST_VALIDATION of them to
# measure with, but never more than one in five.
VALIDATION_SHARE, LEAST_VALIDATION, MOST_VALIDATION = 0.05, 20, 200


def _chance(path: Path) -> float:
    """Draw a number in [0, 1) from a photograph's name; copies made of it draw the same."""
    _, name = original_of(path)
    return hashlib.sha256(os.fsencode(name)).digest()[0] / 256


def split(paths: list[Path]) -> tuple[list[Path], list[Path]]:
    """Split photographs into those to train on and those to validate on.

    The name decides, so a file falls on the same side in every run on a folder that has not grown
    much; except that of one too small to hold out any that way the last photograph is held out, and
    of one so large that they would be more than MOST_VALIDATION those are spread over it.
    """
    originals = find_originals(paths)
    share = max(VALIDATION_SHARE, min(0.2, LEAST_VALIDATION / max(len(originals), 1)))
    held_out = [path for path in originals if _chance(path) < share] or originals[-1:]
    held_out = evenly_spaced(held_out, MOST_VALIDATION)
    taken = {original_of(path) for path in held_out}
    return [path for path in paths if original_of(path) not in taken], held_out


def choose(
    folders: list[Path], validation: Path | None
) -> tuple[list[Path], list[Path], Counter[str]]:
    """Choose photographs by what they are called and where they lie.

    Args:
        folders: where to look for photographs to train on.
        validation: where to look for photographs to validate on; None holds some out.

    Returns:
        Those to train on, those to validate on, and how many are in a rejected.txt.
    """
    given = [*folders, *([validation] if validation else [])]
    unwanted = {path.resolve() for folder in given for path in read_rejected(folder)}
    names = {original_of(path) for path in unwanted if not is_copy(path)}

    def find_wanted(folder: Path) -> list[Path]:
        found = find_photos(folder)
        wanted = [path for path in found if path.resolve() not in unwanted]
        wanted = [path for path in wanted if not (is_copy(path) and original_of(path) in names)]
        left_out.update(path.resolve() for path in {*found} - {*wanted})
        return wanted

    left_out: set[Path] = set()
    paths = [path for folder in folders for path in find_wanted(folder)]
    held_out = find_wanted(validation) if validation else []
    rejected = Counter({f"in {REJECTED_LIST}": len(left_out)})
    if validation is None:
        return *split(paths), rejected
    taken = {path.resolve() for path in find_photos(validation)}
    names_taken = {original_of(path) for path in held_out}
    train = [path for path in paths if path.resolve() not in taken]
    train = [path for path in train if not (is_copy(path) and original_of(path) in names_taken)]
    return train, held_out, rejected
