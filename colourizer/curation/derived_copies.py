"""Copies that data_transformer.py makes: their names, and which photograph each is one of."""

import re
from collections.abc import Iterable
from pathlib import Path

# They end the name of the folder that the copies lie in, resized_rotated/QUERY beside
# resized/QUERY, and stand with a number at the end of each copy's own: NAME_rotated_31.
ROTATED, SCALED = "_rotated", "_scaled"
_COPY = re.compile(rf"((?:{ROTATED}|{SCALED})_[0-9]+)+$")


def is_copy(path: Path) -> bool:
    """Say whether a file's name is one of a rotated or scaled copy."""
    return bool(_COPY.search(path.stem))


def original_of(path: Path) -> tuple[str, str]:
    """Name a photograph by folder and stem, and its copies alike."""
    return path.parent.name.removesuffix(ROTATED).removesuffix(SCALED), _COPY.sub("", path.stem)


def find_originals(paths: Iterable[Path]) -> list[Path]:
    """List the photographs less the copies that were made of others of them, in the same order.

    Only a name tells a copy. One whose original is not there stands for it: it may be somebody's
    own photograph, of such a name, or be all that is left.
    """
    paths = list(paths)
    there = {original_of(path) for path in paths if not is_copy(path)}
    originals = []
    for path in paths:
        if not is_copy(path) or original_of(path) not in there:
            there.add(original_of(path))
            originals.append(path)
    return originals
