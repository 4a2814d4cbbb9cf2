"""A photograph's file -> a decoded, upright image, and what the file says besides its pixels."""

import io
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, PngImagePlugin
from simplejpeg import decode_jpeg

from colour_profiles import grey_to_srgb, profile_kind
from jpeg_scans import GreyScans, grey_scans
from metadata import exif_of_tiff, tiff_pages
from strip_files import read_deep_colours, take_half, undo_premultiplication

# An A3 sheet at 1200 dpi has 280 megapixels, a glass negative of 20x25 cm at 2400 dpi 450. Above
# Pillow's own limit, a file that claims more than BOMB_PIXELS for each of its bytes is a bomb and
# no scan; scans, even of two colours, have fewer than a tenth of that.
MOST_PIXELS, SAFE_PIXELS, BOMB_PIXELS = 500_000_000, 2 * 89_478_485, 200
Image.MAX_IMAGE_PIXELS = MOST_PIXELS // 2  # Pillow refuses above twice this,
warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # and warns above once
# What Pillow finds odd about a file and reads all the same.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# By itself Pillow refuses a PNG whose profile or a text has more than 1 MB.
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY
# What Pillow may open. Never EPS: it would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
PNG_START = b"\x89PNG\r\n\x1a\n"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
NEUTRAL = 3  # rounding leaves so much between red, green and blue of a JPEG without colour
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


class PhotoError(Exception):
    """A photograph that cannot be read or written; the message says why, not which."""


class SeveralPicturesError(PhotoError):
    """A file of several pages or frames: it would be coloured only in part, so it is left alone."""


def open_image(source: Path | BinaryIO) -> ImageFile.ImageFile:
    """Open a photograph without decoding it; refuse what is none, and bombs."""
    start = b""
    try:
        try:
            image = Image.open(_own(source), formats=FORMATS)
        except Image.DecompressionBombError:
            raise
        except Exception:
            with _file(source) as file:
                file.seek(0)
                start = file.read(32)
                if others := _heif_formats(start):
                    image = Image.open(_own(source), formats=others)
                elif start.startswith(PNG_START):  # perhaps only a text or a profile is broken
                    image = Image.open(_bare_png(file), formats=FORMATS)
                else:
                    raise
    except FileNotFoundError:
        raise PhotoError("no such file") from None
    except Image.UnidentifiedImageError:
        what = "not an image, or of a format that is not supported"
        if start[:4] in TIFF_STARTS:
            what += " (a TIFF of a kind that Pillow does not know)"
        raise PhotoError(what) from None
    except Image.DecompressionBombError:
        raise PhotoError("has more pixels than is safe to decode") from None
    except PhotoError:
        raise
    except OSError as error:
        reason = f"read ({error.strerror.lower()})" if error.strerror else f"decoded ({error})"
        raise PhotoError(f"cannot be {reason}") from error
    # Pillow raises seven kinds of exception on damaged files; all mean the same here.
    except Exception as error:
        raise PhotoError(f"cannot be decoded ({error})") from error
    pixels = image.width * image.height
    if pixels > SAFE_PIXELS:
        with _file(source) as file:
            size = file.seek(0, io.SEEK_END)
        if pixels > min(MOST_PIXELS, size * BOMB_PIXELS):
            what = f"{pixels // 10**6} million in {size:,} bytes"
            raise PhotoError(f"has more pixels than is safe to decode: {what}")
    return image


def _own(source: Path | BinaryIO) -> Path | io.BytesIO:
    """Give Pillow what it may close when it has read it."""
    return source if isinstance(source, Path) else io.BytesIO(_content(source))


def _bare_png(file: BinaryIO) -> io.BytesIO:
    """Copy a PNG without all that does not make its pixels."""
    file.seek(0)
    content = file.read()
    bare, place = [PNG_START], len(PNG_START)
    while head := content[place : place + 8]:
        chunk = content[place : place + 12 + int.from_bytes(head[:4], "big")]
        if head[4:] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            bare.append(chunk)
        place += len(chunk)
    return io.BytesIO(b"".join(bare))


def _heif_formats(start: bytes) -> tuple[str, ...]:
    """Make Pillow read HEIF, if a file begins as one.

    Raises:
        PhotoError: it needs a package that is not there.
    """
    if start[4:8] != b"ftyp" or start[8:12] not in HEIF_BRANDS or b"avif" in start[16:]:
        return ()
    try:
        import pillow_heif  # slow to import, and few have it
    except ImportError:
        error = PhotoError("is HEIC, which needs the package pillow-heif")
        error.add_note("hint: pip install pillow-heif")
        raise error from None
    pillow_heif.register_heif_opener()
    return ("HEIF",)


def decode(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Decode an opened image."""
    try:
        image.load()
    except Exception as error:
        raise PhotoError(f"cannot be decoded ({error})") from error
    return image


def turn(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Turn a decoded image upright."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # broken EXIF is no reason to give up a photograph that decodes
        image.info.pop("exif", None)
    return image


def deep_pixels(
    source: Path | BinaryIO, image: ImageFile.ImageFile, multiplied: bool
) -> tuple[np.ndarray, np.ndarray | None]:
    """Take pixels and alpha of a file of 16-bit colours apart.

    Args:
        source: the file, which is decoded once more.
        image: it, with the high half of its bits decoded; it is closed.
        multiplied: whether its colours are multiplied by alpha.

    Returns:
        pixels as in Photo; alpha (H, W) uint16, or None.
    """
    unseen, profile = image.info.get("transparency"), image.info.get("icc_profile") or b""

    def low_half() -> Image.Image:
        opened = open_image(source)
        take_half(opened, low=True)
        return turn(decode(opened))

    values = read_deep_colours(image, low_half)
    if multiplied:
        undo_premultiplication(values)
    if values.shape[2] == 2:
        return grey_to_srgb(values[..., 0], profile), values[..., 1]
    if values.shape[2] == 4:
        return values[..., :3], values[..., 3]
    if isinstance(unseen, tuple):  # the one colour that is not seen, of PNG
        return values, (values != unseen).any(axis=2).astype(np.uint16) * 65535
    return values, None


def read_scans(source: Path | BinaryIO) -> GreyScans | None:
    """Take a grey JPEG that can be decoded apart; None if it is of a rare kind."""
    return grey_scans(_content(source))


def jpeg_pixels(image: Any) -> np.ndarray | None:
    """Decode an opened JPEG without Pillow, which is quicker, most of all in colour.

    Args:
        image: the photograph, opened; Pillow can go on with it.

    Returns:
        pixels, as stored, (H, W) uint8, or (H, W, 3) where any are coloured; None if Pillow has to
        decode the file, or to say what is wrong with it.
    """
    if image.mode not in ("L", "RGB"):
        return None
    try:
        content = _content(image.fp)  # the photograph's file, which is open
        if image.mode == "RGB":
            rgb = decode_jpeg(content, "RGB")
            across, down = image.layer[0][1:3]  # pixels that share one chroma
            for rows in (32 * down, down):  # a few are enough to see that there are colours
                red, green, blue = (rgb[::rows, ::across, n].astype(np.int16) for n in range(3))
                if max(np.abs(green - other).max() for other in (red, blue)) > NEUTRAL:
                    return rgb
        grey = decode_jpeg(content, "GRAY")[..., 0]  # of a colour JPEG it is the luma
    except (ValueError, OSError, MemoryError):  # damaged, of a rare kind, or very large
        return None
    return grey_to_srgb(grey, image.info.get("icc_profile") or b"") if image.mode == "L" else grey


def turn_pixels(pixels: np.ndarray, image: ImageFile.ImageFile) -> np.ndarray:
    """Turn pixels as stored, (H, W) or (H, W, 3) uint8, upright, as an opened image's EXIF says."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # broken EXIF is no reason to give up a photograph that decodes
        return pixels
    if orientation not in range(2, 9):
        return pixels
    stored = Image.fromarray(pixels)
    stored.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(stored))


def refuse_several(source: Path | BinaryIO, image: Image.Image) -> None:
    """Refuse what has more than one page or frame.

    Of an MPO the first picture is the photograph; the others are previews, depths, and the other
    eye's view.
    """
    if image.format == "TIFF":
        with _file(source) as file:
            pages = tiff_pages(file)
        if pages > 1:
            raise SeveralPicturesError(f"has {pages} pages; only single photographs are coloured")
    elif image.format == "HEIF" and getattr(image, "n_frames", 1) > 1:
        pictures = getattr(image, "n_frames", 1)
        raise SeveralPicturesError(f"has {pictures} pictures; only single photographs are coloured")
    elif image.format != "MPO" and getattr(image, "is_animated", False):
        raise SeveralPicturesError("is an animation; only single photographs are coloured")


@contextmanager
def _file(source: Path | BinaryIO) -> Iterator[BinaryIO]:
    """Open a path; of an open file, come back to its place afterwards."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            yield file
        return
    place = source.tell()
    try:
        yield source
    finally:
        source.seek(place)


def _content(source: Path | BinaryIO) -> bytes:
    """Read all of a file."""
    with _file(source) as file:
        file.seek(0)
        return file.read()


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
            with _file(source) as file:
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
        with _file(source) as file:
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
