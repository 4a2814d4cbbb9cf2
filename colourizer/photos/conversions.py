"""What is not as it was in a photograph's file once it is coloured, in words for a report."""

import numpy as np
from PIL.TiffImagePlugin import COMPRESSION_INFO

from colourizer.photos.files import written_format
from colourizer.photos.photo import Photo

DEEP_FORMATS = ("PNG", "TIFF")  # which hold 16 bits
OPAQUE_FORMATS = ("JPEG", "BMP")
COLOUR_MODES = ("P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "LAB")  # Pillow's
TURNED, LUMA_KEPT = "turned upright", "luma kept bit for bit"
NAMES = {2: "fax", 3: "fax", 4: "fax", 6: "JPEG", 7: "JPEG", 34925: "LZMA", 50000: "Zstandard"}


def describe_reading(mode: str, profile: str, turned: bool, other_tone: bool) -> tuple[str, ...]:
    """Return what reading changes.

    Args:
        mode: Pillow's, of the opened image.
        profile: the colour space of the file's profile.
        turned: whether the picture was turned upright.
        other_tone: whether its values were far from sRGB's, by what the file says without profile.
    """
    said = []
    if turned:
        said.append(TURNED)
    if profile == "GRAY" and mode not in COLOUR_MODES:  # whose values are not those of the profile
        said.append("grey profile -> sRGB")
    elif mode in ("CMYK", "LAB"):
        said.append(f"{mode if mode == 'CMYK' else 'Lab'} -> sRGB")
    if other_tone:
        said.append("gamma -> sRGB")
    return tuple(said)


def describe_writing(photo: Photo, target: str | None = None) -> list[str]:
    """Return what is not as it was in a photograph's file once it is written.

    Args:
        photo: as it was read.
        target: one of photos.files.TARGETS; None is the photograph's own format.
    """
    written = written_format(photo.format, target)
    said = list(photo.converted)
    if written != photo.format:
        said.append(f"{photo.format} -> {written}")
    if photo.pixels.dtype == np.uint16 and written not in DEEP_FORMATS:
        said.append("16 bits -> 8")
    if photo.alpha is not None and written in OPAQUE_FORMATS:
        said.append("transparency left out")
    if compression := describe_compression(photo, target):
        said.append(compression)
    if photo.scans is not None and written == "JPEG":
        said.append(LUMA_KEPT)
    return said


def describe_compression(photo: Photo, target: str | None = None) -> str:
    """Return that a TIFF's compression becomes another one; nothing if it does not."""
    stored = photo.metadata.tiff
    if stored is None or stored.is_kept or written_format(photo.format, target) != "TIFF":
        return ""
    name = NAMES.get(stored.compression) or COMPRESSION_INFO.get(stored.compression, "other")
    return f"{name} compression -> deflate, which is lossless"
