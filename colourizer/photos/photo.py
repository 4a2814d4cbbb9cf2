"""Photo: pixels, alpha and metadata of a photograph."""

from dataclasses import dataclass, field

import numpy as np

from colourizer.photos.jpeg_segments import GreyScans
from colourizer.photos.metadata import Metadata


@dataclass(frozen=True)
class Photo:
    """A photograph as pixels, and what has to survive beside them.

    pixels: (H, W) grey or (H, W, 3) sRGB, uint8 in [0, 255] or uint16 in [0, 65535], upright; grey
        also where the file has colours and all of them are neutral.
    format: of its file, by Pillow's name.
    alpha: (H, W) uint8 or uint16, or None where every pixel is opaque.
    metadata: of its file.
    scans: entropy-coded scans of a grey JPEG, if they were asked for and pixels are what they
        decode to; None else, and of JPEGs of a rare kind.
    note: what to tell the user: what the file lacks, or which of its pictures this is; or empty.
    converted: what is not as it was in the file.
    """

    pixels: np.ndarray
    format: str
    alpha: np.ndarray | None = None
    metadata: Metadata = field(default_factory=Metadata)
    scans: GreyScans | None = None
    note: str = ""
    converted: tuple[str, ...] = ()
