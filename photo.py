"""Photographs on disk <-> pixels: finding, reading, writing; nothing about colour or networks."""

import errno
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageFile, ImageOps

from colour_profiles import profile_kind
from decoder import (
    PhotoError,
    collect_metadata,
    decode,
    deep_pixels,
    jpeg_pixels,
    open_image,
    read_scans,
    refuse_several,
    turn,
    turn_pixels,
)
from encoder import encode, encode_ycbcr
from jpeg_scans import GreyScans
from pixel_formats import pixels_and_alpha, to_8_bits, without_colour
from strip_files import is_deep_colour, take_half
from threads import each

T = TypeVar("T")

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

# A file that is being written has this at the beginning of its name, then its writer's machine and
# process. What a process left that is gone is removed at once; what another machine's left, after
# so long without growing.
PART, LEFTOVER_SECONDS = ".part-", 3600
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_MACHINE = socket.gethostname()[:64].replace("-", "_")
_being_written: set[Path] = set()


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


def is_photo_name(path: Path) -> bool:
    """Say whether a file's name is one of a photograph; hidden files are none."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def find_photos(
    folder: Path, without: Path | None = None, unreadable: list[OSError] | None = None
) -> list[Path]:
    """List the photographs in a folder and all folders below it, by name, in a fixed order.

    Hidden files and folders (.thumbnails and the like) are left out.

    Args:
        folder: where to look; symbolic links to folders are not followed.
        without: a folder to leave out (the one that results are written to).
        unreadable: is given what went wrong with folders that may not be looked into.
    """
    note = None if unreadable is None else unreadable.append
    skipped = without.resolve() if without else None
    found = []
    for top, folders, names in os.walk(folder, onerror=note):
        visible = [name for name in folders if not name.startswith(".")]
        folders[:] = sorted(name for name in visible if (Path(top) / name).resolve() != skipped)
        found += [Path(top) / name for name in sorted(names) if is_photo_name(Path(name))]
    return found


def spread(items: Sequence[T], most: int) -> list[T]:
    """Take at most so many of the items, evenly from all over the list."""
    n = min(most, len(items))
    return [items[i * len(items) // n] for i in range(n)]


def read_rgb(source: Path | BinaryIO, shortest_side: int | None = None) -> Image.Image:
    """Read a photograph as an upright 8-bit RGB image; what is transparent becomes white.

    Args:
        source: a file's path, or an open file that can be read from any place.
        shortest_side: pixels that suffice; a larger photograph is reduced to them, a smaller one
            stays as it is.

    Raises:
        PhotoError: it cannot be read.
    """
    image = read_large_enough(source, shortest_side)
    if shortest_side and min(image.size) > shortest_side:
        scale = shortest_side / min(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


def read_large_enough(source: Path | BinaryIO, shortest_side: int | None) -> Image.Image:
    """Read as `read_rgb` does, but leave a photograph larger than suffices where that is quicker.

    Args:
        source: a file's path, or an open file that can be read from any place.
        shortest_side: pixels that suffice; of a JPEG that has twice as many, only as many are
            decoded. None is all of them.

    Raises:
        PhotoError: it cannot be read.
    """
    opened = open_image(source)
    if shortest_side:
        opened.draft(None, (shortest_side, shortest_side))
    decoded = turn(decode(opened))
    if decoded.mode == "RGB" and not decoded.has_transparency_data:
        image = decoded.copy()
        image.info = {}  # Pillow would write some of it into any file
        return image
    pixels, alpha = pixels_and_alpha(decoded)
    image = Image.fromarray(to_8_bits(pixels)).convert("RGB")
    if alpha is None:
        return image
    white = Image.new("RGB", image.size, "white")
    return Image.composite(image, white, Image.fromarray(to_8_bits(alpha)))


def read_photo(
    source: Path | BinaryIO,
    with_scans: bool = False,
    opened: ImageFile.ImageFile | None = None,
) -> Photo:
    """Read a photograph with its alpha and metadata, upright.

    Args:
        source: a file's path, or an open file that can be read from any place.
        with_scans: read a grey JPEG's scans too.
        opened: it, as of decoder.open_image, if it is open already; it is closed.

    Raises:
        PhotoError: it cannot be read.
        SeveralPicturesError: it has several pages or frames.
    """
    image = opened or open_image(source)
    try:
        return _read(source, image, with_scans)
    except PhotoError:
        raise
    except Exception as error:  # Pillow's answers to damage, wherever it lies
        raise PhotoError(f"cannot be decoded ({error})") from error


def _read(source: Path | BinaryIO, image: ImageFile.ImageFile, with_scans: bool) -> Photo:
    refuse_several(source, image)
    file_format = str(image.format)
    is_jpeg = file_format in ("JPEG", "MPO")
    stored = jpeg_pixels(image) if is_jpeg else None
    if stored is None:
        photo, turned = _read_by_pillow(source, image)
    else:
        pixels = turn_pixels(stored, image)
        turned = pixels is not stored
        photo = Photo(pixels, file_format, None, collect_metadata(source, image))
    converted = profile_kind(image.info.get("icc_profile") or b"") == "GRAY"
    if with_scans and is_jpeg and image.mode == "L" and not (turned or converted):
        photo = replace(photo, scans=read_scans(source))
    image.close()
    return photo


def _read_by_pillow(source: Path | BinaryIO, image: ImageFile.ImageFile) -> tuple[Photo, bool]:
    """Read a photograph; say whether it had to be turned upright."""
    file_format = str(image.format)
    multiplied = "RGBa" in str(image.tile)
    if deep := is_deep_colour(image):
        take_half(image, low=False)
    decode(image)
    kept = collect_metadata(source, image)  # before turning, which writes EXIF and XMP anew
    as_stored = image.im
    turn(image)
    turned = image.im is not as_stored
    del as_stored  # as large as the photograph
    if deep:
        pixels, alpha = deep_pixels(source, image, multiplied)
    else:
        pixels, alpha = pixels_and_alpha(image)
    if pixels.ndim == 3:
        # Lossy WebP rounds neutral colours to neighbours of grey.
        pixels = without_colour(pixels, slack=file_format == "WEBP")
    if alpha is not None and alpha.min() == np.iinfo(alpha.dtype).max:
        alpha = None
    return Photo(pixels, file_format, alpha, kept), turned


def count_pixels(source: Path | BinaryIO) -> int:
    """Say how many pixels a photograph has, without decoding it.

    Args:
        source: a file's path, or an open file that can be read from any place.

    Raises:
        PhotoError: it cannot be read.
    """
    with open_image(source) as image:
        return image.width * image.height


def written_format(file_format: str, target: str | None = None) -> str:
    """Say in which format, in Pillow's words, a photograph of a format is written.

    Args:
        file_format: the photograph's, in Pillow's words.
        target: one of TARGETS; without, the photograph's own if it has room for colour.
    """
    return target.upper() if target else WRITTEN_AS.get(file_format, file_format)


def written_name(path: Path, target: str | None = None) -> str:
    """Name a result as its photograph; where the format changes, the new suffix is added.

    Args:
        path: the photograph.
        target: one of TARGETS; without, the photograph's own format.
    """
    own = FORMAT_OF.get(path.suffix.lower(), "")
    written = written_format(own, target)
    return path.name if written == own else path.name + TARGETS[written.lower()]


class PartFile:
    """A file that is written beside its place, then renamed: nobody ever sees half of it."""

    def __init__(self, path: Path) -> None:
        """Take the file's path; its folder must exist. An existing one is replaced."""
        self._path = path
        name = f"{PART}{_MACHINE}-{os.getpid()}-{secrets.token_hex(8)}"
        self._beside = path.with_name(name)

    def write(self, write: Callable[[BinaryIO], object]) -> None:
        """Write it; `write` is given the open file. Where that fails nothing is left.

        What Pillow writes without Python (JPEG, BMP, TIFF) needs encoder.save_image.
        """
        _being_written.add(self._beside)
        try:
            self._file = self._beside.open("x+b")
            write(self._file)
            self._file.flush()
        except BaseException:
            self._give_up()
            raise

    def finish(self) -> None:
        """Wait till the disk has it, then put it in its place; any thread may do so."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            self._beside.replace(self._path)
        except BaseException:
            self._give_up()
            raise
        _being_written.discard(self._beside)

    def _give_up(self) -> None:
        with suppress(AttributeError, OSError):  # not opened; what it holds back has no room
            self._file.close()
        self._beside.unlink(missing_ok=True)
        _being_written.discard(self._beside)


def write_whole(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file as `PartFile` does, at once; `write` is given the open file."""
    file = PartFile(path)
    file.write(write)
    file.finish()


def give_up_writing() -> None:
    """Remove what is half written, before the process ends in the middle of it."""
    for temporary in list(_being_written):
        with suppress(OSError):
            temporary.unlink()


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove what killed runs left of files that they had begun to write."""
    for folder in folders:
        for path in folder.glob(f"{PART}*"):
            with suppress(OSError):  # gone by now, or another's
                if _is_left(path):
                    path.unlink()


def _is_left(path: Path) -> bool:
    """Say whether the process is gone that was writing a file beside its place."""
    machine, _, rest = path.name.removeprefix(PART).partition("-")
    process = rest.partition("-")[0]
    if machine == _MACHINE and process.isdigit() and os.name == "posix":
        try:
            os.kill(int(process), 0)  # asks only whether it is there
        except ProcessLookupError:
            return True
        except PermissionError:  # there, but another user's
            pass
        return False
    return path.stat().st_mtime < time.time() - LEFTOVER_SECONDS


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file, whole or not at all, into a folder that need not be there yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, lambda file: file.write(content))


def write_photo(
    to: Path | BinaryIO,
    strips: Iterable[np.ndarray] | np.ndarray,
    like: Photo,
    *,
    target: str | None = None,
    tag: str | None = None,
) -> None:
    """Write a coloured photograph with the alpha and metadata of another.

    Args:
        to: the path of a file, written whole or not at all, an existing one being replaced; or an
            open file in which any place can be written to.
        strips: (h, W, 3) uint8 or uint16, all of one type, from top to bottom; or all in one array.
            uint16 becomes uint8 in formats that do not hold it.
        like: the photograph that it was made from.
        target: one of TARGETS; without, the format of `like`, if it has room for colour.
        tag: what made it, for XMP and EXIF; without, nothing is said.

    Raises:
        PhotoError: it cannot be written; into an open file, the encoder's own errors.
    """
    size = like.pixels.shape[0], like.pixels.shape[1]
    file_format = written_format(like.format, target)
    strips = [strips] if isinstance(strips, np.ndarray) else strips

    def write(file: BinaryIO) -> None:
        encode(file, strips, file_format, size, like.alpha, like.metadata, tag)

    _write(to, write)


def write_jpeg(
    to: Path | BinaryIO,
    luma: np.ndarray | GreyScans,
    chroma: np.ndarray,
    like: Photo,
    *,
    tag: str | None = None,
) -> None:
    """Write a coloured photograph as JPEG, with the metadata of another.

    Args:
        to: as of `write_photo`.
        luma: (H, W) uint8; or scans, which become a part of the file as they are.
        chroma: (2, H/2, W/2) uint8, rounded up; with luma, YCbCr as JPEG stores it.
        like: the photograph that it was made from.
        tag: what made it, for XMP and EXIF; without, nothing is said.

    Raises:
        PhotoError: it cannot be written; into an open file, the encoder's own errors.
    """

    def write(file: BinaryIO) -> None:
        encode_ycbcr(file, luma, chroma, like.metadata, tag)

    _write(to, write)


def _write(to: Path | BinaryIO, write: Callable[[BinaryIO], object]) -> None:
    if not isinstance(to, Path):
        write(to)
        return
    with errors_of_writing():
        write_whole(to, write)


@contextmanager
def errors_of_writing() -> Iterator[None]:
    """Within it, what goes wrong is raised as a PhotoError that says so."""
    try:
        yield
    except Exception as error:
        reason = (getattr(error, "strerror", None) or "").lower() or str(error)
        raise PhotoError(f"cannot be written ({reason})") from error


def square(image: Image.Image, side: int) -> Image.Image:
    """Cut the largest centred square out of an image and resize it to side x side."""
    return ImageOps.fit(image, (side, side), Image.Resampling.LANCZOS)


def each_photo(paths: Iterable[Path], read: Callable[[Path], Any]) -> Iterator[tuple[Path, Any]]:
    """Do something with many photographs in threads; give the results in order.

    Args:
        paths: the photographs.
        read: is called with each; what it raises is given as a PhotoError in the result's place.
    """
    threads = os.cpu_count() or 1
    for path, result in each(paths, read, threads, ahead=2 * threads):
        if isinstance(result, Exception) and not isinstance(result, PhotoError):
            yield path, PhotoError(str(result) or type(result).__name__)
        else:
            yield path, result
