"""Rotated and scaled copies that data_transformer.py makes: their names, and their originals."""

import re
from collections.abc import Iterable
from pathlib import Path

# Suffixes of the folders that copies lie in, resized_rotated/QUERY beside resized/QUERY, and, with
# a number, of the copies' own names: NAME_rotated_31.
ROTATED, SCALED = "_rotated", "_scaled"
_COPY = re.compile(rf"((?:{ROTATED}|{SCALED})_[0-9]+)+$")


def is_copy(path: Path) -> bool:
    """Return whether a file is named as a rotated or scaled copy."""
    return bool(_COPY.search(path.stem))


def original_of(path: Path) -> tuple[str, str]:
    """Return (folder's name, stem) of a photograph, the same for it and its copies."""
    return path.parent.name.removesuffix(ROTATED).removesuffix(SCALED), _COPY.sub("", path.stem)


def find_originals(paths: Iterable[Path]) -> list[Path]:
    """Return the photographs less the copies of others among them, in the same order.

    Copies are told by their names. The first copy of an absent original is kept: it may be
    somebody's own photograph of such a name, or all that is left.
    """
    paths = list(paths)
    kept = {original_of(path) for path in paths if not is_copy(path)}
    originals = []
    for path in paths:
        if not is_copy(path) or original_of(path) not in kept:
            kept.add(original_of(path))
            originals.append(path)
    return originals
