"""Provenance in metadata: what coloured a photograph, and whether this program did."""

from pathlib import Path

from colourizer.network.checkpoint import fingerprint
from colourizer.photos.metadata import Metadata

MADE_BY = "colourized with Image Colourizer"
SHEET_COMMENT = b"Image Colourizer's contact sheet"


def describe_provenance(checkpoint: Path | None) -> str:
    """Return the program, and the checkpoint's name and hash, for a photograph's metadata."""
    if not checkpoint:
        return MADE_BY
    return f"{MADE_BY} ({checkpoint.name}, sha256 {fingerprint(checkpoint)[:12]})"


def is_colourized(metadata: Metadata) -> bool:
    """Return whether a picture is a result of this program, or was drawn beside one."""
    texts = (text.encode() for _, text in metadata.texts)
    places = (metadata.exif, metadata.xmp, metadata.comment, *texts)
    return any(mark in place for mark in (MADE_BY.encode(), SHEET_COMMENT) for place in places)
