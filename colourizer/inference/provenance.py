"""Provenance in metadata: hints as text, and whether this program coloured a photograph."""

import hashlib
from collections.abc import Sequence

from colourizer.inference.hints import Hint
from colourizer.photos.metadata import Metadata
from colourizer.record.tag import MADE_BY

SHEET_COMMENT = b"Image Colourizer's contact sheet"
MOST_HINTS = 200  # characters of hints that are written out


def describe_hints(hints: Sequence[Hint]) -> str:
    """Return hints as X,Y,#RRGGBB joined by |; of many, "sha256:" and the hash of that."""
    text = "|".join(f"{hint.x},{hint.y},#{bytes(hint.rgb).hex()}" for hint in hints)
    if len(text) <= MOST_HINTS:
        return text
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def is_colourized(metadata: Metadata) -> bool:
    """Return whether a picture is a result of this program, or was drawn beside one."""
    texts = (text.encode() for _, text in metadata.texts)
    places = (metadata.exif, metadata.xmp, metadata.comment, *texts)
    return any(mark in place for mark in (MADE_BY.encode(), SHEET_COMMENT) for place in places)
