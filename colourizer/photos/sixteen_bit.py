"""Colours of 16 bits, which Pillow decodes in two halves of 8."""

import sys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile

from colourizer.photos.pixels import ROWS_AT_ONCE, cut_strips

# Pillow decodes 16-bit colours, but keeps the high byte of each value only. Asked for the opposite
# byte order it keeps the low one: two decodings give all 16 bits, of every compression that Pillow
# knows. Here each of its names for how a file's values lie, with the names that give high and low.
_NATIVE, _OTHER = ("L", "B") if sys.byteorder == "little" else ("B", "L")
GREY_AND_ALPHA = "grey and alpha"  # of both the high and the low bytes, as four channels
HALVES = {"LA;16B": ("RGBA", "RGBA")}
for _kind in ("RGB", "RGBA", "RGBX"):
    HALVES[f"{_kind};16B"] = (f"{_kind};16B", f"{_kind};16L")
    HALVES[f"{_kind};16L"] = (f"{_kind};16L", f"{_kind};16B")
    HALVES[f"{_kind};16N"] = (f"{_kind};16{_NATIVE}", f"{_kind};16{_OTHER}")
for _order in "BLN":  # colours multiplied by alpha; Pillow would divide each half on its own
    HALVES[f"RGBa;16{_order}"] = HALVES[f"RGBA;16{_order}"]


def _halves(image: ImageFile.ImageFile) -> list[tuple[str, str]] | None:
    """Say how each tile of an opened image gives its high and its low bytes; None: not 16 bits."""
    tags = getattr(image, "tag_v2", {})
    order = {b"II": ("L", "B"), b"MM": ("B", "L")}.get(getattr(tags, "prefix", b""), ("", ""))
    deep_planes = tags.get(284) == 2 and set(tags.get(258, ())) == {16}
    found = []
    for tile in image.tile:
        kind = tile.args[0] if isinstance(tile.args, tuple) else str(tile.args)
        if deep_planes:  # each channel for itself
            if tile.codec_name == "libtiff":  # which keeps the high bytes whatever it is asked
                return None
            found.append((f"{kind};16{order[0]}", f"{kind};16{order[1]}"))
        elif kind in HALVES:
            found.append(HALVES[kind])
        else:
            return None
    return found or None


def is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Say whether an opened image, not yet loaded, has 16-bit colours that Pillow would halve."""
    return isinstance(image.tile, list) and _halves(image) is not None


def take_half(image: ImageFile.ImageFile, low: bool) -> None:
    """Make an opened image of 16-bit colours load the high or the low byte of each value."""
    halves = _halves(image) or []
    image.info[GREY_AND_ALPHA] = HALVES["LA;16B"] in halves
    for n, (tile, names) in enumerate(zip(image.tile, halves, strict=True)):
        args = (names[low], *tile.args[1:]) if isinstance(tile.args, tuple) else names[low]
        image.tile[n] = tile._replace(args=args)


def read_deep_colours(high: Image.Image, load_low: Callable[[], Image.Image]) -> np.ndarray:
    """Read 16-bit colours.

    Args:
        high: the high half of all values, see `take_half`; closed as soon as it is read, before as
            much memory is taken again.
        load_low: loads the low half.

    Returns:
        (H, W, 2) grey and alpha, (H, W, 3) or (H, W, 4), uint16.
    """
    grey = high.info.get(GREY_AND_ALPHA, False)
    channels = 2 if grey else len(high.getbands())
    values = np.empty((high.height, high.width, channels), dtype=np.uint16)
    for y, image in cut_strips(high):
        strip = np.asarray(image)
        values[y : y + len(strip)] = strip.astype(np.uint16)[..., :: 2 if grey else 1] << 8
        if grey:
            values[y : y + len(strip)] |= strip[..., 1::2]
    high.close()
    if not grey:
        for y, image in cut_strips(load_low()):
            values[y : y + image.height] |= np.asarray(image)
    return values


def undo_premultiplication(values: np.ndarray) -> None:
    """Divide colours (H, W, 4) uint16 by their alpha, which they were multiplied by, in place."""
    for y in range(0, len(values), ROWS_AT_ONCE):
        strip = values[y : y + ROWS_AT_ONCE].astype(np.float64)
        alpha = np.maximum(strip[..., 3:], 1)
        strip[..., :3] = (strip[..., :3] * 65535 / alpha).round().clip(0, 65535)
        values[y : y + ROWS_AT_ONCE] = strip
