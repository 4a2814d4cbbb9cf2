"""PNG's colours of 16 bits, which Pillow decodes in two passes of 8."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFile

from colourizer.photos.pixels import iterate_strips

# Pillow decodes 16-bit colours, but keeps the high byte of each value only. Asked for the opposite
# byte order it keeps the low one: two decodings give all 16 bits. Here each of its raw modes, with
# those that give the high and the low bytes.
GREY_AND_ALPHA = "grey and alpha"  # of both the high and the low bytes, as four channels
RAW_MODES = {
    "LA;16B": ("RGBA", "RGBA"),
    "RGB;16B": ("RGB;16B", "RGB;16L"),
    "RGBA;16B": ("RGBA;16B", "RGBA;16L"),
}


def _byte_modes(image: ImageFile.ImageFile) -> list[tuple[str, str]] | None:
    """Return each tile's raw modes for high and low bytes; None if not all have 16-bit colours."""
    kinds = [t.args[0] if isinstance(t.args, tuple) else str(t.args) for t in image.tile]
    return [RAW_MODES[kind] for kind in kinds] if kinds and RAW_MODES.keys() >= set(kinds) else None


def has_16_bit_colours(image: ImageFile.ImageFile) -> bool:
    """Return whether an image that is not yet decoded has 16-bit colours, which Pillow halves."""
    return isinstance(image.tile, list) and _byte_modes(image) is not None


def select_byte(image: ImageFile.ImageFile, low: bool) -> None:
    """Set an opened image of 16-bit colours to decode to each value's high or low byte."""
    modes = _byte_modes(image) or []
    image.info[GREY_AND_ALPHA] = RAW_MODES["LA;16B"] in modes
    for n, (tile, names) in enumerate(zip(image.tile, modes, strict=True)):
        args = (names[low], *tile.args[1:]) if isinstance(tile.args, tuple) else names[low]
        image.tile[n] = tile._replace(args=args)


def join_bytes(high: Image.Image, load_low: Callable[[], Image.Image]) -> np.ndarray:
    """Join high and low bytes to 16-bit colours.

    Args:
        high: decoded to high bytes, see `select_byte`; closed as soon as it is copied, before the
            same memory is taken again.
        load_low: returns the image decoded to low bytes.

    Returns:
        (H, W, 2) grey and alpha, (H, W, 3) or (H, W, 4), uint16.
    """
    grey = high.info.get(GREY_AND_ALPHA, False)
    channels = 2 if grey else len(high.getbands())
    values = np.empty((high.height, high.width, channels), dtype=np.uint16)
    for y, image in iterate_strips(high):
        strip = np.asarray(image)
        values[y : y + len(strip)] = strip.astype(np.uint16)[..., :: 2 if grey else 1] << 8
        if grey:
            values[y : y + len(strip)] |= strip[..., 1::2]
    high.close()
    if not grey:
        for y, image in iterate_strips(load_low()):
            values[y : y + image.height] |= np.asarray(image)
    return values
