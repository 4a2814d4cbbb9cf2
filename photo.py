"""Photographs on disk <-> pixels: finding, reading, writing; nothing about colour or networks."""

import io
import math
import os
import secrets
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImageOps, PngImagePlugin

from colour_profiles import grey_to_srgb, profile_kind
from encoder import encode
from metadata import exif_of_tiff, tiff_pages
from pixel_formats import pixels_and_alpha, to_8_bits, without_colour
from strip_files import is_deep_colour, read_deep_colours, take_half, undo_premultiplication

T = TypeVar("T")

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
FORMAT_OF = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".heic", ".heif", ".hif"), "HEIF"),
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".gif": "GIF",
    ".avif": "AVIF",
    ".mpo": "MPO",
}
SUFFIXES = frozenset(FORMAT_OF)
# What a coloured photograph is written as, by the format it was read from: 256 palette entries are
# too few for colour; of an MPO only the first picture, a JPEG, is taken; HEIF needs a package.
WRITTEN_AS = {"GIF": "PNG", "MPO": "JPEG", "HEIF": "JPEG"}
# The formats that a user can ask for, and the suffix that a name gets where the format changes.
TARGETS = {"jpeg": ".jpg", "png": ".png", "webp": ".webp", "tiff": ".tif", "avif": ".avif"}
PNG_START = b"\x89PNG\r\n\x1a\n"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")


class PhotoError(Exception):
    """A photograph that cannot be read or written; the message says why, not which."""


class SeveralPicturesError(PhotoError):
    """A file of several pages or frames: it would be coloured only in part, so it is left alone."""


@dataclass(frozen=True)
class Photo:
    """A photograph as pixels, and what has to survive beside them.

    pixels: (H, W) grey or (H, W, 3) sRGB, uint8 in [0, 255] or uint16 in [0, 65535], upright; grey
        also where the file has colours and all of them are neutral.
    format: as the file's, in Pillow's words.
    alpha: (H, W) uint8 or uint16, or None where every pixel is opaque.
    metadata: exif (as a TIFF), xmp, icc_profile (bytes); dpi (across, down); per_cm (the file gives
        its resolution per centimetre); of PNG texts, of JPEG comment and photoshop (bytes).
    """

    pixels: np.ndarray
    format: str
    alpha: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


def is_photo_name(path: Path) -> bool:
    """Say whether a file's name is one of a photograph; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find_photos(folder: Path, without: Path | None = None) -> list[Path]:
    """List the photographs in a folder and all folders below it, by name, in a fixed order.

    Hidden files and folders (.thumbnails and the like) are left out.

    Args:
        folder: where to look; symbolic links to folders are not followed.
        without: a folder to leave out (the one that results are written to).
    """
    skipped = without.resolve() if without else None
    found = []
    for top, folders, names in os.walk(folder):
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(name for name in visible if (Path(top) / name).resolve() != skipped)
        found += [Path(top) / name for name in sorted(names) if is_photo_name(Path(name))]
    return found


def spread(items: Sequence[T], most: int) -> list[T]:
    """Take at most so many of the items, evenly from all over the list."""
    n = min(most, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def _open(source: Path | BinaryIO) -> ImageFile.ImageFile:
    """Open a photograph without decoding it; refuse what is none, and bombs."""
    try:
        with _file(source) as file:
            size = file.seek(0, io.SEEK_END)
            file.seek(0)
            start = file.read(32)
            # Pillow closes what it has read; another's file stays open.
            opened = source if isinstance(source, Path) else io.BytesIO(start + file.read())
        formats = (*FORMATS, *_heif_formats(start))
        try:
            image = Image.open(opened, formats=formats)
        except Image.DecompressionBombError:
            raise
        except Exception:
            if not start.startswith(PNG_START):
                raise
            with _file(source) as file:  # perhaps only a text or a profile is broken
                image = Image.open(_bare_png(file), formats=formats)
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
    # Pillow raises seven kinds of exception on damaged files; all mean the same here.
    except Exception as error:
        raise PhotoError(f"cannot be decoded ({error})") from error
    pixels = image.width * image.height
    if pixels > MOST_PIXELS or (pixels > SAFE_PIXELS and pixels > size * BOMB_PIXELS):
        raise PhotoError(
            f"has more pixels than is safe to decode: {pixels // 10**6} million in {size:,} bytes"
        )
    return image


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


def _decode(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Decode an opened image."""
    try:
        image.load()
    except Exception as error:
        raise PhotoError(f"cannot be decoded ({error})") from error
    return image


def _turn(image: ImageFile.ImageFile) -> ImageFile.ImageFile:
    """Turn a decoded image upright."""
    try:
        ImageOps.exif_transpose(image, in_place=True)
    except Exception:  # broken EXIF is no reason to give up a photograph that decodes
        image.info.pop("exif", None)
    return image


def read_rgb(path: Path, shortest_side: int | None = None) -> Image.Image:
    """Read a photograph as an upright 8-bit RGB image; what is transparent becomes white.

    Args:
        path: the file.
        shortest_side: pixels that suffice; a larger photograph is reduced to them, a smaller one
            stays as it is.

    Raises:
        PhotoError: it cannot be read.
    """
    opened = _open(path)
    if shortest_side:
        opened.draft(None, (shortest_side, shortest_side))
    pixels, alpha = pixels_and_alpha(_turn(_decode(opened)))
    image = Image.fromarray(to_8_bits(pixels)).convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, Image.fromarray(to_8_bits(alpha)))
    if shortest_side and min(image.size) > shortest_side:
        scale = shortest_side / min(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


def _deep_pixels(
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
        opened = _open(source)
        take_half(opened, low=True)
        return _turn(_decode(opened))

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


def _is_ycbcr(image: ImageFile.ImageFile) -> bool:
    """Say whether an opened JPEG of three colours holds YCbCr; as libjpeg guesses it."""
    if "jfif" in image.info:
        return True
    if "adobe_transform" in image.info:
        return bool(image.info["adobe_transform"])
    ids = [layer[0] for layer in getattr(image, "layer", ())]
    return ids != [ord(letter) for letter in "RGB"]


def _jpeg_pixels(image: ImageFile.ImageFile) -> np.ndarray:
    """Take the pixels of a JPEG decoded as YCbCr; grey if only rounding left chroma in it."""
    chroma = [np.asarray(image.getchannel(n).getextrema()) for n in (1, 2)]
    if all(127 <= level <= 129 for level in np.ravel(chroma)):
        return np.asarray(image.getchannel(0))
    return np.asarray(image.convert("RGB"))


def _refuse_several(source: Path | BinaryIO, image: Image.Image) -> None:
    """Refuse what has more than one page or frame.

    Of an MPO and a HEIC the first or chosen picture is the photograph; what else is there are
    previews, depths, and the other eye's view.
    """
    if image.format == "TIFF":
        with _file(source) as file:
            pages = tiff_pages(file)
        if pages > 1:
            raise SeveralPicturesError(f"has {pages} pages; only single photographs are coloured")
    elif image.format not in ("MPO", "HEIF") and getattr(image, "is_animated", False):
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


def _file_says_dpi(image: Image.Image) -> bool:
    """Say whether a resolution is the file's own; Pillow makes up one for some JPEGs and TIFFs."""
    if image.format not in ("JPEG", "MPO", "TIFF") or image.info.get("jfif_unit") in (1, 2):
        return True
    try:
        return ExifTags.Base.XResolution in image.getexif()
    except Exception:  # broken EXIF
        return False


def _metadata(source: Path | BinaryIO, image: Image.Image) -> dict[str, Any]:
    """Collect what Photo.metadata says, of a decoded image that is not yet turned."""
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
    texts = getattr(image, "text", {}) if image.format == "PNG" else {}
    ours = {k: str(v) for k, v in texts.items() if not k.startswith(("Raw profile", "XML:com"))}
    if ours:
        kept["texts"] = ours
    if isinstance(info.get("comment"), bytes) and image.format in ("JPEG", "MPO"):
        kept["comment"] = info["comment"]
    photoshop = [content for name, content in getattr(image, "applist", ()) if name == "APP13"]
    if photoshop:
        kept["photoshop"] = photoshop
    return kept


def read_photo(source: Path | BinaryIO) -> Photo:
    """Read a photograph with its alpha and metadata, upright.

    Args:
        source: a file's path, or an open file that can be read from any place.

    Raises:
        PhotoError: it cannot be read.
        SeveralPicturesError: it has several pages or frames.
    """
    image = _open(source)
    try:
        return _read(source, image)
    except PhotoError:
        raise
    except Exception as error:  # Pillow's answers to damage, wherever it lies
        raise PhotoError(f"cannot be decoded ({error})") from error


def _read(source: Path | BinaryIO, image: ImageFile.ImageFile) -> Photo:
    _refuse_several(source, image)
    file_format = str(image.format)
    multiplied = "RGBa" in str(image.tile)
    if deep := is_deep_colour(image):
        take_half(image, low=False)
    elif file_format in ("JPEG", "MPO") and image.mode == "RGB" and _is_ycbcr(image):
        image.draft("YCbCr", image.size)
    _decode(image)
    kept = _metadata(source, image)  # before turning, which writes EXIF and XMP anew
    _turn(image)
    alpha: np.ndarray | None = None
    if deep:
        pixels, alpha = _deep_pixels(source, image, multiplied)
    elif image.mode == "YCbCr" and file_format in ("JPEG", "MPO"):
        pixels = _jpeg_pixels(image)
    else:
        pixels, alpha = pixels_and_alpha(image)
    if pixels.ndim == 3:
        # Lossy WebP rounds neutral colours to neighbours of grey.
        pixels = without_colour(pixels, slack=file_format == "WEBP")
    if alpha is not None and alpha.min() == np.iinfo(alpha.dtype).max:
        alpha = None
    return Photo(pixels, file_format, alpha, kept)


def written_name(path: Path, target: str | None = None) -> str:
    """Name a result as its photograph; where the format changes, the new suffix is added.

    Args:
        path: the photograph.
        target: one of TARGETS; without, the photograph's own format.
    """
    own = FORMAT_OF.get(path.suffix.lower(), "")
    written = target.upper() if target else WRITTEN_AS.get(own, own)
    return path.name if written == own else path.name + TARGETS[written.lower()]


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside its place, then rename it: nobody ever sees half of it.

    Args:
        path: the file; its folder must exist. An existing one is replaced.
        write: is given the open file.
    """
    temporary = path.with_name(f".part-{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, into a folder that need not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write(content))


def write_photo(
    path: Path,
    strips: Iterable[np.ndarray] | np.ndarray,
    like: Photo,
    *,
    target: str | None = None,
    ycbcr: bool = False,
    tag: str | None = None,
) -> None:
    """Write a coloured photograph with the alpha and metadata of another.

    Args:
        path: the file to write, whole or not at all; an existing one is replaced.
        strips: (h, W, 3) uint8 or uint16, all of one type, from top to bottom; or all in one array.
            uint16 becomes uint8 in formats that do not hold it.
        like: the photograph that it was made from.
        target: one of TARGETS; without, the format of `like`, if it has room for colour.
        ycbcr: the strips hold YCbCr as JPEG stores it (BT.601, all of 0 to 255), uint8; of JPEG
            only.
        tag: what made it, for XMP and EXIF; without, nothing is said.

    Raises:
        PhotoError: it cannot be written.
    """

    def write(file: BinaryIO) -> None:
        encode_photo(file, strips, like, target=target, ycbcr=ycbcr, tag=tag)

    try:
        write_whole(path, write)
    except Exception as error:
        raise PhotoError(f"cannot be written ({error})") from error


def encode_photo(
    file: BinaryIO,
    strips: Iterable[np.ndarray] | np.ndarray,
    like: Photo,
    *,
    target: str | None = None,
    ycbcr: bool = False,
    tag: str | None = None,
) -> None:
    """Write a coloured photograph into an open file, in which any place can be written to.

    Args:
        file: see above.
        strips: see `write_photo`; and so the others.
        like: the photograph that it was made from.
        target: one of TARGETS.
        ycbcr: what the strips hold.
        tag: what made it.
    """
    height, width = like.pixels.shape[:2]
    file_format = target.upper() if target else WRITTEN_AS.get(like.format, like.format)
    strips = [strips] if isinstance(strips, np.ndarray) else strips
    encode(file, strips, file_format, (height, width), like.alpha, like.metadata, ycbcr, tag)


def square(image: Image.Image, side: int) -> Image.Image:
    """Cut the largest centred square out of an image and resize it to side x side."""
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)


def each_photo(paths: list[Path], read: Callable[[Path], Any]) -> Iterator[tuple[Path, Any]]:
    """Do something with many photographs in threads; give the results in order.

    Args:
        paths: the photographs.
        read: is called with each; what it raises is given as a PhotoError in the result's place.
    """

    def guarded(path: Path) -> Any:
        try:
            return read(path)
        except PhotoError as error:
            return error
        except Exception as error:
            return PhotoError(str(error) or type(error).__name__)

    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        running: deque[tuple[Path, Future[Any]]] = deque()
        try:
            for path in paths:
                running.append((path, pool.submit(guarded, path)))
                if len(running) > 2 * threads:  # never far ahead of who takes the results
                    done, result = running.popleft()
                    yield done, result.result()
            while running:
                done, result = running.popleft()
                yield done, result.result()
        finally:
            for _, result in running:
                result.cancel()
