"""A photograph's metadata: EXIF, XMP, colour profile, resolution, texts; read from its file."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

from PIL import ExifTags, Image

from colourizer.photos.app_segments import EXIF, MAX_SEGMENT
from colourizer.photos.exif import IPTC, PHOTOSHOP, extract_exif, parse_exif, read_header
from colourizer.photos.files import JPEG_FORMATS
from colourizer.photos.icc import profile_colour_space, srgb_profile
from colourizer.photos.orientation import swaps_sides, turn_extent
from colourizer.photos.photoshop import (
    find_iptc,
    join_segments,
    keep_true_resources,
    wrap_iptc,
)
from colourizer.photos.raw_profile import RAW_PROFILE, parse_raw_profile
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
    comment: of a JPEG or a GIF.
    photoshop: Photoshop's image resources, IPTC among them.
    aspect: of a PNG or JPEG without resolution, numbers of pixels, (across, down), of one length.
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
    photoshop: bytes = b""
    aspect: tuple[int, int] | None = None
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
    exif = _read_exif(source, image, turned)
    aspect = None if dpi else _read_aspect(image)
    return Metadata(
        exif=upright_exif(exif, orientation, size),
        xmp=upright_xmp(_read_xmp(image), orientation, size),
        icc_profile=_read_rgb_profile(image),
        dpi=dpi and turn_extent(orientation, *dpi),
        per_cm=dpi is not None and image.info.get("jfif_unit") == 2,
        texts=_read_texts(image, turned),
        comment=_read_comment(image),
        photoshop=keep_true_resources(_read_resources(image, exif), turned),
        aspect=aspect[::-1] if aspect and swaps_sides(orientation) else aspect,
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
    elif not exif:  # as ImageMagick writes it into PNG
        exif = parse_raw_profile(image.info.get(f"{RAW_PROFILE} exif"))
    if isinstance(exif, str):  # a PNG's text of that name
        exif = exif.encode("latin-1", "replace")
    return exif.removeprefix(EXIF)


def _read_resources(image: Image.Image, exif: bytes) -> bytes:
    """Return Photoshop's image resources of a JPEG, a TIFF or a PNG; of the latter IPTC alone."""
    if image.format in JPEG_FORMATS:
        segments = getattr(image, "applist", ())
        return join_segments(body for name, body in segments if name == "APP13")
    if image.format == "TIFF":
        tags = parse_exif(exif).tags
        _, _, resources = tags.get(PHOTOSHOP, (0, 0, b""))
        _, _, iptc = tags.get(IPTC, (0, 0, b""))
        return resources if find_iptc(resources) else resources + wrap_iptc(iptc)
    return wrap_iptc(parse_raw_profile(image.info.get(f"{RAW_PROFILE} iptc")))


def _read_comment(image: Image.Image) -> bytes:
    segments = getattr(image, "applist", ())
    comments = [body for name, body in segments if name == "COM"]
    if image.format == "GIF":
        comments = [image.info.get("comment", b"")]
    return b"\n".join(comments)[:MAX_SEGMENT]


def _read_aspect(image: Image.Image) -> tuple[int, int] | None:
    aspect = image.info.get("aspect")  # of a PNG
    if image.info.get("jfif_unit") == 0:
        aspect = image.info.get("jfif_density")
    across, down = aspect or (1, 1)
    common = math.gcd(across, down) or 1
    reduced = across // common, down // common
    return reduced if across != down and all(0 < value < 1 << 16 for value in reduced) else None


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
    metadata = (RAW_PROFILE, "XML:com", *(("exif:", "tiff:") if turned else ()))
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    return tuple(
        (keyword, text)
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
