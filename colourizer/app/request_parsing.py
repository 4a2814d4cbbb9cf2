"""What requests ask for: colours, files, sizes, keys, lists; all else is answered 400."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from starlette.exceptions import HTTPException

from colourizer.app.photo_store import MAX_PHOTOS
from colourizer.app.shown_pictures import VIEW_SIDE, ColourSettings
from colourizer.inference.album import Album
from colourizer.inference.hints import parse_hint
from colourizer.inference.looks import Look
from colourizer.inference.prediction import Reference
from colourizer.inference.variants import MAX_VARIANTS
from colourizer.photos.files import TARGETS

MAX_HINTS = 100
MAX_KEY_LENGTH = 64
MIN_SIDE = 16  # pixels of a picture


FindReference = Callable[[str], Reference]
FindAlbum = Callable[[str], Album]
Parse = Callable[[Mapping[str, Any]], ColourSettings]


def parse_settings(
    fields: Mapping[str, Any], default: Look, find_reference: FindReference, find_album: FindAlbum
) -> ColourSettings:
    """Parse how a photograph is to be coloured.

    Args:
        fields: vividness, warmth, saturation, variant, hints, "X,Y,RRGGBB;...", and reference and
            album, keys; all may be left out.
        default: what of a look is left out.
        find_reference: returns the reference of a key.
        find_album: returns the album of a key.

    Raises:
        HTTPException: 400, if one of them is invalid.
        NotFoundError: there is no such reference or album.
    """
    reference = find_reference(parse_key(fields["reference"])) if "reference" in fields else None
    album = find_album(parse_key(fields["album"])) if "album" in fields else None
    try:
        names = ("vividness", "warmth", "saturation")
        look = replace(default, **{name: float(fields[name]) for name in names if name in fields})
        variant = int(fields.get("variant", 0))
        if not 0 <= variant < MAX_VARIANTS:
            raise ValueError(f"variant {variant}: from 0 to {MAX_VARIANTS - 1}")
        hints = fields.get("hints", "")
        if not isinstance(hints, str):
            raise ValueError("hints: needs X,Y,RRGGBB;...")
        texts = [text for text in hints.split(";") if text]
        if len(texts) > MAX_HINTS:
            raise ValueError(f"{len(texts)} hints: {MAX_HINTS} are the most")
        points = tuple(parse_hint(text) for text in texts)
        return ColourSettings(look, variant, points, reference, album)
    except (ValueError, TypeError, OverflowError) as error:
        raise HTTPException(400, str(error)) from error


def parse_file_settings(fields: Mapping[str, str]) -> tuple[str | None, bool]:
    """Parse which file is to be written.

    Args:
        fields: format, one of photos.files.TARGETS; keep_luma, 1 or 0; both may be left out.

    Returns:
        The format, None for the photograph's own; and whether to keep a grey JPEG's luma.

    Raises:
        HTTPException: 400, if one of them is invalid.
    """
    target, keep_luma = fields.get("format"), fields.get("keep_luma", "0")
    if target is not None and target not in TARGETS:
        raise HTTPException(400, f"format: one of {', '.join(TARGETS)}")
    if keep_luma not in ("0", "1"):
        raise HTTPException(400, "keep_luma: 1 or 0")
    return target, keep_luma == "1"


def parse_side(text: str) -> int:
    """Parse the longest side of a picture, in pixels, clamped to [MIN_SIDE, VIEW_SIDE].

    Raises:
        HTTPException: 400, if it is no number.
    """
    try:
        return min(VIEW_SIDE, max(MIN_SIDE, int(text)))
    except ValueError as error:
        raise HTTPException(400, f"side: {error}") from error


def parse_list(content: bytes) -> list[Any]:
    """Parse a list of at most MAX_PHOTOS items in JSON.

    Raises:
        HTTPException: 400, if it is something else.
    """
    try:
        items = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, f"not JSON ({error})") from error
    if not isinstance(items, list) or len(items) > MAX_PHOTOS:
        raise HTTPException(400, f"needs a list of at most {MAX_PHOTOS}")
    return items


def parse_key(item: Any) -> str:
    """Return an item of a list in JSON as a photograph's key.

    Raises:
        HTTPException: 400, if it cannot be one.
    """
    if not (isinstance(item, str) and item.isascii() and 0 < len(item) <= MAX_KEY_LENGTH):
        raise HTTPException(400, "needs photographs' ids, as their uploads were answered")
    return item


def parse_wishes(items: list[Any], parse: Parse) -> dict[str, ColourSettings]:
    """Return how each of several photographs is to be coloured; named twice, the last time counts.

    Args:
        items: {"id": a key, and the fields of `parse_settings`} for each.
        parse: `parse_settings`, with its other arguments.

    Raises:
        HTTPException: 400, if an item is something else.
        NotFoundError: there is no such reference or album.
    """
    if not all(isinstance(item, dict) for item in items):
        raise HTTPException(400, "needs a list of photographs")
    return {parse_key(item.get("id")): parse(item) for item in items}
