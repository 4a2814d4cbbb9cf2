"""Opening and decoding photographs by Pillow and simplejpeg; refusing bombs."""

import io
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps
from simplejpeg import decode_jpeg

from colourizer.photos.errors import PhotoError, SeveralPicturesError
from colourizer.photos.files import (
    START_BYTES,
    TIFF_STARTS,
    format_of_start,
    is_avif,
    why_name_left_out,
)
from colourizer.photos.heif_boxes import read_stored_orientation
from colourizer.photos.icc import grey_to_srgb
from colourizer.photos.jpeg_segments import (
    END,
    START,
    GreyScans,
    append_end_marker,
    iterate_segments,
    parse_grey_scans,
)
from colourizer.photos.orientation import STORED_ORIENTATION, swaps_sides
from colourizer.photos.pillow_limits import MAX_PIXELS, pillow_limits
from colourizer.photos.png import SIGNATURE, iterate_chunks
from colourizer.photos.raw_profile import adopt_raw_profiles
from colourizer.photos.sixteen_bit import join_bytes, select_byte
from colourizer.photos.source import closeable_source, open_source, read_content
from colourizer.photos.tiff_image import TiffImage

# A file that claims more pixels than Pillow accepts by itself is a bomb if they are more than
# MAX_PIXELS_PER_BYTE for each of its bytes; scans, even of two colours, have less than a tenth.
PILLOWS_MAX_PIXELS, MAX_PIXELS_PER_BYTE = 2 * 89_478_485, 200
# What Pillow may open. Never EPS: it would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
MAX_HEADER = 1 << 20  # bytes of a file in which it is looked for what kind it is of
UNIDENTIFIED = "not an image, or of a format that is not supported"
# What libjpeg says of scans that lack a part: Pillow does not tell, and makes it grey.
MISSING_SCANS = ("premature end of data segment", "bad Huffman code", "instead of RST")
NEUTRAL_TOLERANCE = 3  # of 255: how much rounding leaves between R, G and B of a grey JPEG
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # markers of a JPEG's frame
LOSSLESS, HIERARCHICAL = (0xC3, 0xC7, 0xCB, 0xCF), (0xC5, 0xC6, 0xCD, 0xCE)  # among those
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


@pillow_limits()
def open_image(source: Path | BinaryIO) -> ImageFile.ImageFile:
    """Open a photograph without decoding it.

    Raises:
        PhotoError: it cannot be read, is no photograph, or a decompression bomb.
    """
    if isinstance(source, Path) and not (source.is_file() or source.is_dir()) and source.exists():
        raise PhotoError("not a file")  # a pipe would be waited for
    try:
        image = _open_by_pillow(source)
    except FileNotFoundError:
        raise PhotoError("no such file") from None
    except Image.UnidentifiedImageError:
        raise PhotoError(_why_unidentified(source)) from None
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
    _refuse_bomb(source, image)
    return image


def _why_unidentified(source: Path | BinaryIO) -> str:
    with open_source(source) as file:
        file.seek(0)
        start = file.read(START_BYTES)
    if not start:
        return "is empty, not an image"
    is_heif = start[4:8] == b"ftyp" and start[8:12] in HEIF_BRANDS
    if is_heif or format_of_start(start) not in ("", "BMP"):  # BM may begin a text
        return "cannot be decoded (damaged or cut off)"
    named = why_name_left_out(source) if isinstance(source, Path) else ""
    return named or UNIDENTIFIED


def _open_by_pillow(source: Path | BinaryIO) -> ImageFile.ImageFile:
    """Open a photograph; a PNG with a broken text or profile, without its metadata."""
    with open_source(source) as file:
        file.seek(0)
        is_tiff = file.read(4) in TIFF_STARTS
    if is_tiff:
        return TiffImage(closeable_source(source))
    try:
        image = Image.open(closeable_source(source), formats=FORMATS)
        adopt_raw_profiles(image)
        return image
    except Image.DecompressionBombError:
        raise
    except Exception:
        with open_source(source) as file:
            file.seek(0)
            start = file.read(MAX_HEADER)
            if others := _register_heif(start):
                image = Image.open(closeable_source(source), formats=others)
                image.info[STORED_ORIENTATION] = read_stored_orientation(file)
                return image
            if start.startswith(SIGNATURE):
                return Image.open(_strip_png(file), formats=FORMATS)
            refuse_rare_jpeg(start)
        raise


def refuse_rare_jpeg(content: bytes) -> None:
    """Raise PhotoError if the first bytes of a JPEG say that it is of a kind that is not read."""
    for marker, body in iterate_segments(content) if content.startswith(START) else ():
        if marker in FRAMES and len(body) >= 5:
            kinds = {
                f"of {body[0]} bits": body[0] != 8,
                "without a height (DNL)": not any(body[1:3]),
                "of a lossless kind": marker in LOSSLESS,
                "of a hierarchical kind": marker in HIERARCHICAL,
            }
            for kind in (kind for kind, is_so in kinds.items() if is_so):
                raise PhotoError(f"is a JPEG {kind}, which is not supported")
            return


def _refuse_bomb(source: Path | BinaryIO, image: Image.Image) -> None:
    pixels = image.width * image.height
    if pixels > PILLOWS_MAX_PIXELS:
        with open_source(source) as file:
            size = file.seek(0, io.SEEK_END)
        if pixels > min(MAX_PIXELS, size * MAX_PIXELS_PER_BYTE):
            what = f"{pixels // 10**6} million in {size:,} bytes"
            raise PhotoError(f"has more pixels than is safe to decode: {what}")


def _strip_png(file: BinaryIO) -> io.BytesIO:
    """Return a PNG with only the chunks that make its pixels."""
    wanted = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
    chunks = (chunk for name, chunk in iterate_chunks(file) if name in wanted)
    return io.BytesIO(b"".join((SIGNATURE, *chunks)))


def _register_heif(start: bytes) -> tuple[str, ...]:
    """Register Pillow's plugin for HEIF if a file begins as one.

    Returns:
        the formats to open it as; none if it is no HEIF.

    Raises:
        PhotoError: the plugin is not installed.
    """
    if start[4:8] != b"ftyp" or start[8:12] not in HEIF_BRANDS or is_avif(start):
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
    except PhotoError:
        raise
    except Exception as error:
        raise PhotoError(f"cannot be decoded ({error})") from error
    return image


def apply_orientation(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Turn a decoded image upright, as its EXIF says, in place; return it."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # broken EXIF is no reason to give up a photograph that decodes
        image.info.pop("exif", None)
    return image


def decode_16_bit(
    source: Path | BinaryIO, image: ImageFile.ImageFile
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return pixels and alpha of a PNG of 16-bit colours.

    Args:
        source: the file, which is decoded once more.
        image: the same, decoded to the high bytes, see sixteen_bit.select_byte; it is closed.

    Returns:
        pixels as in Photo; alpha (H, W) uint16, or None.
    """
    transparent, profile = image.info.get("transparency"), image.info.get("icc_profile") or b""

    def load_low() -> Image.Image:
        opened = open_image(source)
        select_byte(opened, low=True)
        return apply_orientation(decode(opened))

    values = join_bytes(image, load_low)
    if values.shape[2] == 2:
        return grey_to_srgb(values[..., 0], profile), values[..., 1]
    if values.shape[2] == 4:
        return values[..., :3], values[..., 3]
    if isinstance(transparent, tuple):  # the one colour that is transparent
        return values, (values != transparent).any(axis=2).astype(np.uint16) * 65535
    return values, None


def read_grey_scans(source: Path | BinaryIO) -> GreyScans | None:
    """Return the scans of a grey JPEG that can be decoded; None if it is of a rare kind."""
    return parse_grey_scans(read_content(source))


def decode_jpeg_without_pillow(image: Any) -> np.ndarray | None:
    """Decode an opened JPEG by simplejpeg, which is quicker than Pillow, most of all in colour.

    Args:
        image: the photograph, opened; Pillow can go on with it.

    Returns:
        pixels, as stored, (H, W) uint8, or (H, W, 3) where any are coloured; None if Pillow has to
        decode the file, or to find what is wrong with it.

    Raises:
        PhotoError: a part of its pixels is missing.
    """
    if image.mode not in ("L", "RGB", "CMYK"):
        return None
    try:
        content = read_content(image.fp)  # the photograph's file, which is open
        if image.mode == "CMYK":
            decode_jpeg(content, "CMYK")  # only to find what is missing
            return None
        if image.mode == "RGB":
            rgb = decode_jpeg(content, "RGB")
            across, down = image.layer[0][1:3]  # pixels that share one chroma sample
            for rows in (32 * down, down):  # a few are enough to see that there are colours
                red, green, blue = (rgb[::rows, ::across, n].astype(np.int16) for n in range(3))
                if max(np.abs(green - other).max() for other in (red, blue)) > NEUTRAL_TOLERANCE:
                    return rgb
        grey = decode_jpeg(content, "GRAY")[..., 0]  # of a colour JPEG it is the luma
    except (ValueError, OSError, MemoryError) as error:  # damaged, of a rare kind, or very large
        if any(words in str(error) for words in MISSING_SCANS):
            raise PhotoError(f"cannot be decoded ({error})") from error
        return None
    return grey_to_srgb(grey, image.info.get("icc_profile") or b"") if image.mode == "L" else grey


def lacks_end_marker(source: Path | BinaryIO) -> bool:
    """Return whether a JPEG that can be decoded has no end marker."""
    with open_source(source) as file:
        file.seek(-len(END), io.SEEK_END)
        if file.read() == END:
            return False
    return append_end_marker(read_content(source)) is not None


def complete_jpeg(source: Path | BinaryIO) -> io.BytesIO | None:
    """Return a JPEG that lacks only its end marker with it; None if it lacks anything else.

    Browsers and djpeg show such a file, Pillow refuses it.

    Raises:
        PhotoError: it is of a kind that is not read, which Pillow notices too late to say so.
    """
    stored = read_content(source)
    refuse_rare_jpeg(stored)
    try:
        content = append_end_marker(stored)
        if content is None:
            return None
        with Image.open(io.BytesIO(content), formats=("JPEG",)) as image:
            # Unlike Pillow's, this decoder refuses scans that end too early.
            decode_jpeg(content, "CMYK" if image.mode == "CMYK" else "GRAY")
    except Exception:  # damaged in other ways, of which the first attempt has told
        return None
    return io.BytesIO(content)


def turn_upright(values: np.ndarray, orientation: int) -> np.ndarray:
    """Return values, (H, W) or (H, W, 3), turned upright from an orientation of EXIF."""
    if orientation == 1:
        return values
    if values.dtype == np.uint8:  # Pillow turns by a quarter several times as fast as NumPy
        stored = Image.fromarray(values)
        stored.getexif()[ExifTags.Base.Orientation] = orientation
        return np.asarray(ImageOps.exif_transpose(stored))
    if swaps_sides(orientation):
        values = values.swapaxes(0, 1)
    down = -1 if orientation in (3, 4, 7, 8) else 1
    across = -1 if orientation in (2, 3, 6, 7) else 1
    return np.ascontiguousarray(values[::down, ::across])


def refuse_several_pictures(image: Image.Image) -> None:
    """Raise SeveralPicturesError if a file has more than one page or frame.

    Of an MPO the first picture is the photograph, unless it is smaller than another; the others are
    previews, depths, and the other eye's view. A HEIC names its primary picture.
    """
    if isinstance(image, TiffImage):
        others = [page for page in image.photographs[1:] if not image.is_reduced_copy(page)]
        if others:
            raise SeveralPicturesError(
                f"has {1 + len(others)} pages; only single photographs are coloured"
            )
    elif image.format == "MPO":
        _refuse_small_first(image)
    elif image.format != "HEIF" and getattr(image, "is_animated", False):
        raise SeveralPicturesError("is an animation; only single photographs are coloured")


def _refuse_small_first(image: Image.Image) -> None:
    first = image.width * image.height
    try:
        for n in range(1, getattr(image, "n_frames", 1)):
            image.seek(n)
            if image.width * image.height > first:
                what = "its first picture is smaller than another; only single photographs are"
                raise SeveralPicturesError(f"{what} coloured")
    except (OSError, SyntaxError, ValueError, EOFError, KeyError, struct.error):
        pass  # a broken preview is no reason to give up a photograph
    finally:
        image.seek(0)
