"""What a file says of a photograph besides its pixels."""

import math
from pathlib import Path
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from colourizer.photos.exif import exif_of_tiff
from colourizer.photos.icc import profile_kind
from colourizer.photos.source import open_source


def _is_lossless_webp(file: BinaryIO) -> bool:
    """Say whether a WebP's pixels are stored without loss, which Pillow does not tell."""
    place = 12
    while True:
        file.seek(place)
        head = file.read(8)
        if len(head) < 8 or head[:4] in (b"VP8L", b"VP8 "):
            return head[:4] == b"VP8L"
        size = int.from_bytes(head[4:], "little")
        place += 8 + size + size % 2


def _file_says_dpi(image: Image.Image) -> bool:
    """Say whether a resolution is the file's own; Pillow makes up one for some JPEGs and TIFFs."""
    if image.format not in ("JPEG", "MPO", "TIFF") or image.info.get("jfif_unit") in (1, 2):
        return True
    try:
        return ExifTags.Base.XResolution in image.getexif()
    except Exception:  # broken EXIF
        return False


def collect_metadata(source: Path | BinaryIO, image: Image.Image) -> dict[str, Any]:
    """Collect what Photo.metadata says, of a decoded image that is not yet turned.

    A JPEG need not be decoded.
    """
    info, kept = image.info, {}
    exif = info.get("exif") or b""
    if image.format == "TIFF":
        try:
            with open_source(source) as file:
                exif = exif_of_tiff(file)
        except Exception:  # tags that Pillow could use, and we cannot
            exif = b""
    elif not exif and "Raw profile type exif" in info:  # as ImageMagick writes it into PNG
        try:
            exif = bytes.fromhex("".join(info["Raw profile type exif"].split("\n")[3:]))
        except (ValueError, AttributeError):
            exif = b""
    if isinstance(exif, str):  # a PNG's text of that name
        exif = exif.encode("latin-1", "replace")
    if exif:
        kept["exif"] = exif.removeprefix(b"Exif\0\0")
    xmp = info.get("xmp") or b""
    if xmp := xmp.encode() if isinstance(xmp, str) else xmp:
        kept["xmp"] = xmp.rstrip(b"\0") if isinstance(xmp, bytes) else b""
    # A profile of grey, CMYK or Lab does not describe a colour photograph; its values were
    # converted. One of RGB stays, and the values with it, as they are: greys lie on the axis that
    # all such profiles share, so lightness, which is all that is taken from them, is nearly right,
    # nothing is rounded, and an archive gets its own profile back. The price: with a wide profile
    # (Adobe RGB) our colours look stronger than they are in sRGB.
    icc = info.get("icc_profile") or b""
    if profile_kind(icc) == "RGB" and image.mode not in ("CMYK", "LAB"):
        kept["icc_profile"] = icc
    try:
        dpi = tuple(float(value) for value in info.get("dpi", ()))
        if (
            _file_says_dpi(image)
            and len(dpi) == 2
            and all(0 < value < 65535 and math.isfinite(value) for value in dpi)
        ):
            kept["dpi"] = dpi
            kept["per_cm"] = info.get("jfif_unit") == 2
    except (TypeError, ValueError, ZeroDivisionError):
        pass
    if image.format == "WEBP":
        with open_source(source) as file:
            kept["lossless"] = _is_lossless_webp(file)
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    ours = {
        k: str(v)
        for k, v in texts.items()
        if k != "exif" and not k.startswith(("Raw profile", "XML:com"))
    }
    if ours:
        kept["texts"] = ours
    if isinstance(info.get("comment"), bytes) and image.format in ("JPEG", "MPO"):
        kept["comment"] = info["comment"]
    photoshop = [content for name, content in getattr(image, "applist", ()) if name == "APP13"]
    if photoshop:
        kept["photoshop"] = photoshop
    return kept
