"""A photograph as pixels, and what has to survive beside them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from colourizer.photos.jpeg_segments import GreyScans


@dataclass(frozen=True)
class Photo:
    """A photograph as pixels, and what has to survive beside them.

    pixels: (H, W) grey or (H, W, 3) sRGB, uint8 in [0, 255] or uint16 in [0, 65535], upright; grey
        also where the file has colours and all of them are neutral.
    format: as the file's, in Pillow's words.
    alpha: (H, W) uint8 or uint16, or None where every pixel is opaque.
    metadata: exif (as a TIFF), xmp, icc_profile (bytes); dpi (across, down); per_cm (the file gives
        its resolution per centimetre); of PNG texts, of JPEG comment and photoshop (bytes), of WebP
        whether it is lossless.
    scans: what pixels are decoded from, if that is a JPEG of grey and nothing was done to them
        since; None else, of some rare JPEGs, and if nobody asked for them.
    """

    pixels: np.ndarray
    format: str
    alpha: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    scans: GreyScans | None = None
