"""Photographs on disk <-> pixels: finding, reading, writing; nothing about colour or networks."""

import os
import secrets
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from PIL import Image, ImageOps

T = TypeVar("T")

# Above 89 megapixels Pillow warns, above 179 it refuses; a large scan is nothing to warn about.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)
# What Pillow may open. Never EPS: it would start Ghostscript.
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif")
)
# What a coloured photograph is written as, by the format it was read from.
WRITTEN_AS = {"GIF": "PNG"}  # 256 palette entries are too few for a colour photograph
SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    # Chroma comes from a quarter of the resolution at most, so 4:2:0 loses none of it.
    "JPEG": {"quality": 95, "subsampling": "4:2:0"},
    "PNG": {"compress_level": 1},  # level 6 is 3% smaller and four times slower
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_lzw"},
    "AVIF": {"quality": 90},
}


class PhotoError(Exception):
    """A photograph that cannot be read or written; the message says why, not which."""


@dataclass(frozen=True)
class Photo:
    """A photograph as pixels, and what has to survive beside them.

    pixels: (H, W) grey or (H, W, 3) sRGB, uint8 in [0, 255] or uint16 in [0, 65535], upright.
    alpha: (H, W) uint8, or None where every pixel is opaque.
    """

    pixels: np.ndarray
    format: str
    alpha: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)  # options of Image.save


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


def _open(path: Path, shortest_side: int | None = None) -> tuple[Image.Image, bytes]:
    """Decode upright, JPEG at a reduced scale where that suffices; return image and EXIF."""
    try:
        image = Image.open(path, formats=FORMATS)
        if shortest_side:
            image.draft(None, (shortest_side, shortest_side))
        image.load()
    except FileNotFoundError:
        raise PhotoError("no such file") from None
    except Image.UnidentifiedImageError:
        raise PhotoError("not an image, or of a format that is not supported") from None
    except Image.DecompressionBombError:
        raise PhotoError("has more pixels than is safe to decode") from None
    # Pillow's decoders raise seven kinds of exception on damaged files; all mean the same here.
    except Exception as error:
        raise PhotoError(f"cannot be decoded ({error})") from error
    try:
        ImageOps.exif_transpose(image, in_place=True)
        return image, image.getexif().tobytes() if image.getexif() else b""
    except Exception:  # broken EXIF is no reason to give up a photograph that decodes
        return image, b""


def read_rgb(path: Path, shortest_side: int | None = None) -> Image.Image:
    """Read a photograph as an upright 8-bit RGB image; what is transparent becomes white.

    Args:
        path: the file.
        shortest_side: pixels that suffice; a larger photograph is reduced to them, a smaller one
            stays as it is.

    Raises:
        PhotoError: it cannot be read.
    """
    pixels, alpha = _pixels(_open(path, shortest_side)[0])
    if pixels.dtype == np.uint16:
        pixels = (pixels / 257).round().astype(np.uint8)
    image = Image.fromarray(pixels).convert("RGB")
    if alpha is not None:
        white = Image.new("RGB", image.size, "white")
        image = Image.composite(image, white, Image.fromarray(alpha))
    if shortest_side and min(image.size) > shortest_side:
        scale = shortest_side / min(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.LANCZOS)
    return image


def _pixels(image: Image.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Take a decoded image's pixels and alpha apart; shapes and ranges as in Photo."""
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16), None
    if image.mode in ("I", "F"):  # convert("L") would clip at 255
        values = np.nan_to_num(np.asarray(image, dtype=np.float64)).clip(min=0)
        largest = values.max(initial=0)
        full = next(top for top in (1, 255, 65535, max(largest, 65536)) if largest <= top)
        if image.mode == "I":  # integers; 32-bit files mostly hold 16-bit values
            full = max(full, 65535)
        return (values * (65535 / full)).round().astype(np.uint16), None
    alpha = None
    if image.has_transparency_data:
        image = image.convert("RGBA" if image.mode not in ("LA", "La") else "LA")
        alpha = np.asarray(image.getchannel("A"))
        alpha = None if alpha.min(initial=255) == 255 else alpha
    if image.mode in ("1", "L", "LA"):
        return np.asarray(image.convert("L")), alpha
    return np.asarray(image.convert("RGB")), alpha


def read_photo(path: Path) -> Photo:
    """Read a photograph with its alpha and metadata, upright.

    Raises:
        PhotoError: it cannot be read.
    """
    image, exif = _open(path)
    file_format = str(image.format)
    kept: dict[str, Any] = {}
    if exif and file_format in ("JPEG", "PNG", "WEBP", "AVIF"):
        kept["exif"] = exif
    if "dpi" in image.info:
        kept["dpi"] = image.info["dpi"]
    icc = image.info.get("icc_profile")
    if icc and icc[16:20] == b"RGB ":  # a profile for grey does not describe a colour photograph
        kept["icc_profile"] = icc
    pixels, alpha = _pixels(image)
    return Photo(pixels, file_format, alpha, kept)


def written_name(path: Path) -> str:
    """Name a result as its photograph; where the format changes, the new suffix is added."""
    return f"{path.name}.png" if path.suffix.lower() == ".gif" else path.name


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


def write_photo(path: Path, rgb: np.ndarray, like: Photo) -> None:
    """Write a coloured photograph in the format, and with the alpha and metadata, of another.

    Args:
        path: the file to write, whole or not at all; an existing one is replaced.
        rgb: (H, W, 3) uint8.
        like: the photograph that it was made from.

    Raises:
        PhotoError: it cannot be written.
    """
    file_format = WRITTEN_AS.get(like.format, like.format)
    image = Image.fromarray(rgb)
    if like.alpha is not None and file_format not in ("JPEG", "BMP"):
        image.putalpha(Image.fromarray(like.alpha))
    options = SAVE_OPTIONS.get(file_format, {}) | like.metadata
    try:
        write_whole(path, lambda file: image.save(file, format=file_format, **options))
    except Exception as error:
        raise PhotoError(f"cannot be written ({error})") from error


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
