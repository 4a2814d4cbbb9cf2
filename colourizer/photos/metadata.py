"""A photograph's metadata: EXIF, XMP, colour profile, resolution, texts; read from its file."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image

from colourizer.photos.exif import extract_exif, read_header
from colourizer.photos.files import JPEG_FORMATS
from colourizer.photos.icc import profile_colour_space, srgb_profile
from colourizer.photos.orientation import turn_extent
from colourizer.photos.photoshop import keep_true_resources
from colourizer.photos.source import open_source
from colourizer.photos.upright_exif import upright_exif
from colourizer.photos.upright_xmp import upright_xmp
from colourizer.photos.xmp import convert_to_utf8

COMPRESSION = 259  # TIFF's tag, and its numbers of the compressions that are written
NONE, LZW, PACKBITS, DEFLATE = 1, 5, 32773, 8
OLD_DEFLATE = 32946  # another number of the same


class TiffStorage(NamedTuple):
    """How a TIFF stores its photograph: TIFF's number of the compression; whether it is a BigTIFF.

    By default, as one is written of a photograph that was none.
    """

    compression: int = DEFLATE
    is_big: bool = False

    @property
    def written(self) -> int:
        """The compression of a coloured photograph: its own, if that is written, or deflate."""
        kept = self.compression in (NONE, LZW, PACKBITS)
        return self.compression if kept else DEFLATE

    @property
    def is_kept(self) -> bool:
        """Whether the compression is the same after colouring."""
        return self.compression in (self.written, OLD_DEFLATE)


@dataclass(frozen=True)
class Metadata:
    """What has to survive of a photograph's file besides its pixels; by default, nothing.

    Sizes and positions in it are those of the upright picture, though Orientation may still be
    that of the stored one.

    exif: as a TIFF, without the prefix that JPEG puts before it.
    xmp: an XMP packet.
    icc_profile: an RGB colour profile.
    dpi: pixels per inch, (across, down); None where the file does not say.
    per_cm: whether the file gives its resolution per centimetre.
    texts: of a PNG, pairs of keyword and text.
    comment: of a JPEG.
    photoshop: of a JPEG, the contents of its APP13 segments, IPTC among them.
    tone: of a PNG, its chunks that say in another way than a profile what its values mean.
    lossless: of a WebP, whether its pixels are compressed without loss.
    tiff: of a TIFF, how it stores the photograph.
    """

    exif: bytes = b""
    xmp: bytes = b""
    icc_profile: bytes = b""
    dpi: tuple[float, float] | None = None
    per_cm: bool = False
    texts: tuple[tuple[str, str], ...] = ()
    comment: bytes = b""
    photoshop: tuple[bytes, ...] = ()
    tone: bytes = b""
    lossless: bool = False
    tiff: TiffStorage | None = None


def read_metadata(
    source: Path | BinaryIO, image: Image.Image, orientation: int, size: tuple[int, int]
) -> Metadata:
    """Read a photograph's metadata, less what is true of other parts of its file only.

    Args:
        source: a file's path, or an open file.
        image: the same, opened by Pillow, decoded unless it is a JPEG, not yet turned upright:
            Pillow then changes EXIF and XMP.
        orientation: of the stored picture, 1 to 8.
        size: (H, W) of the upright one, pixels.
    """
    dpi = _read_dpi(image)
    turned = orientation > 1
    is_jpeg = image.format in JPEG_FORMATS
    comment = image.info.get("comment")
    app_segments = getattr(image, "applist", ())
    return Metadata(
        exif=upright_exif(_read_exif(source, image, turned), orientation, size),
        xmp=upright_xmp(_read_xmp(image), orientation, size),
        icc_profile=_read_rgb_profile(image),
        dpi=dpi and turn_extent(orientation, *dpi),
        per_cm=dpi is not None and image.info.get("jfif_unit") == 2,
        texts=_read_texts(image, turned),
        comment=comment if is_jpeg and isinstance(comment, bytes) else b"",
        photoshop=tuple(
            keep_true_resources(body, turned) for name, body in app_segments if name == "APP13"
        ),
        lossless=image.format == "WEBP" and _is_lossless_webp(source),
        tiff=_read_tiff_storage(source, image) if image.format == "TIFF" else None,
    )


def _read_tiff_storage(source: Path | BinaryIO, image: Image.Image) -> TiffStorage:
    with open_source(source) as file:
        _, is_big, _ = read_header(file)
    tags = getattr(image, "tag_v2", {})  # of the photograph, which need not be the first picture
    return TiffStorage(tags.get(COMPRESSION, NONE), is_big)


def _read_exif(source: Path | BinaryIO, image: Image.Image, turned: bool) -> bytes:
    exif = image.info.get("exif") or b""
    if image.format == "TIFF":
        try:
            with open_source(source) as file:
                exif = extract_exif(file, turned)
        except Exception:  # tags that Pillow can read, but exif.py cannot
            exif = b""
    elif not exif and "Raw profile type exif" in image.info:  # as ImageMagick writes it into PNG
        try:
            exif = bytes.fromhex("".join(image.info["Raw profile type exif"].split("\n")[3:]))
        except (ValueError, AttributeError):
            exif = b""
    if isinstance(exif, str):  # a PNG's text of that name
        exif = exif.encode("latin-1", "replace")
    return exif.removeprefix(b"Exif\0\0")


def _read_xmp(image: Image.Image) -> bytes:
    xmp = image.info.get("xmp") or b""
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    return convert_to_utf8(xmp).rstrip(b"\0") if isinstance(xmp, bytes) else b""


def _read_rgb_profile(image: Image.Image) -> bytes:
    # A profile of grey or CMYK does not describe a colour photograph; its values were converted to
    # sRGB. One of RGB stays, and the values with it, as they are: greys lie on the axis that
    # all such profiles share, so lightness, which is all that is taken from them, is nearly right,
    # nothing is rounded, and an archive gets its own profile back. The price: with a wide profile
    # (Adobe RGB) our colours look stronger than they are in sRGB.
    profile = image.info.get("icc_profile") or b""
    space = profile_colour_space(profile)
    if space == "GRAY" or (space == "CMYK" and image.mode == "CMYK"):
        return srgb_profile()
    return profile if space == "RGB" and image.mode not in ("CMYK", "LAB") else b""


def _read_dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(value) for value in image.info.get("dpi", ()))
        if not _has_own_resolution(image):
            return None
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    plausible = all(0 < value < 65535 and math.isfinite(value) for value in (across, down))
    return (across, down) if plausible else None


def _has_own_resolution(image: Image.Image) -> bool:
    """Return whether a resolution is the file's; Pillow invents one for some JPEGs and TIFFs."""
    if image.format not in (*JPEG_FORMATS, "TIFF") or image.info.get("jfif_unit") in (1, 2):
        return True
    try:
        return ExifTags.Base.XResolution in image.getexif()
    except Exception:  # broken EXIF
        return False


def _read_texts(image: Image.Image, turned: bool) -> tuple[tuple[str, str], ...]:
    """Return a PNG's texts, less those that hold EXIF, XMP and other metadata.

    Those of single properties of EXIF, which ImageMagick writes, are left out of a turned picture.
    """
    metadata = ("Raw profile", "XML:com", *(("exif:", "tiff:") if turned else ()))
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    return tuple(
        (keyword, str(text))
        for keyword, text in texts.items()
        if keyword != "exif" and not keyword.startswith(metadata)
    )


def _is_lossless_webp(source: Path | BinaryIO) -> bool:
    """Return whether a WebP has a VP8L chunk, lossless, which Pillow does not tell."""
    with open_source(source) as file:
        place = 12
        while True:
            file.seek(place)
            head = file.read(8)
            if len(head) < 8 or head[:4] in (b"VP8L", b"VP8 "):
                return head[:4] == b"VP8L"
            size = int.from_bytes(head[4:], "little")
            place += 8 + size + size % 2
