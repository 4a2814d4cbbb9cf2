"""Provenance in metadata: hints as text, and whether this program coloured a photograph."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from colourizer.inference.hints import Hint
from colourizer.photos.metadata import Metadata
from colourizer.record.row import DIGITS
from colourizer.record.tag import MADE_BY
from colourizer.storage.address import Location

SHEET_COMMENT = b"Image Colourizer's contact sheet"
MAX_HINTS_LENGTH = 200  # characters of hints that are written out


def describe_hints(hints: Sequence[Hint]) -> str:
    """Return hints as X,Y,#RRGGBB joined by |; of many, "sha256:" and the hash of that."""
    return join_hints(describe_hint(hint) for hint in hints)


def describe_hint(hint: Hint) -> str:
    """Return a hint as X,Y,#RRGGBB."""
    return f"{hint.x},{hint.y},#{bytes(hint.rgb).hex()}"


def join_hints(texts: Iterable[str]) -> str:
    """Return hints, each in words, joined by |; of many, "sha256:" and the hash of that."""
    text = "|".join(texts)
    if len(text) <= MAX_HINTS_LENGTH:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def describe_album_hints(hints: Mapping[Location, Sequence[Hint]], path: Location) -> str:
    """Return the hints of a photograph of an album, and a hash of those of the others.

    Args:
        hints: of all photographs, by their paths.
        path: the photograph's.
    """
    own = describe_hints(hints.get(path, ()))
    others = [f"{other.name}:{describe_hints(hints[other])}" for other in hints if other != path]
    if not others:
        return own
    digest = hashlib.sha256("\n".join(sorted(others)).encode("utf-8", "surrogateescape"))
    return f"{own}{own and '|'}others:{digest.hexdigest()[:DIGITS]}"


def is_colourized(metadata: Metadata) -> bool:
    """Return whether a picture is a result of this program, or was drawn beside one."""
    texts = (text.encode() for _, text in metadata.texts)
    places = (metadata.exif, metadata.xmp, metadata.comment, *texts)
    return any(mark in place for mark in (MADE_BY.encode(), SHEET_COMMENT) for place in places)
