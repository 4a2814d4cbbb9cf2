"""The pictures of a TIFF, and which of them is the photograph."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from colourizer.photos.exif import (
    MAX_DIRECTORIES,
    NEW_SUBFILE_TYPE,
    ORIENTATION,
    Directory,
    read_directory,
    read_header,
)

SUBFILE_TYPE, WIDTH, HEIGHT, SAMPLES, PAGE_NUMBER, SUB_DIRECTORIES = 255, 256, 257, 277, 297, 330
PHOTOMETRIC, TRANSPARENCY_MASK = 262, 4
REDUCED, PAGE, MASK = 0b1, 0b10, 0b100  # bits of NewSubfileType
OLD_REDUCED, OLD_PAGE = 2, 3  # of SubfileType
WANTED = frozenset(
    (
        *(NEW_SUBFILE_TYPE, SUBFILE_TYPE, WIDTH, HEIGHT, SAMPLES, ORIENTATION, PAGE_NUMBER),
        *(SUB_DIRECTORIES, PHOTOMETRIC),
    )
)


@dataclass(frozen=True)
class Page:
    """A picture of a TIFF.

    offset: of its directory.
    size: (W, H), as stored.
    samples: of each pixel.
    kind: bits, as in NewSubfileType.
    orientation: its own, or, of a subdirectory that has none, that of the directory above; 1 to 8.
    is_sub: whether it hangs below another one.
    """

    offset: int
    size: tuple[int, int]
    samples: int
    kind: int
    orientation: int
    is_sub: bool


def find_photographs(file: BinaryIO) -> list[Page]:
    """Return the pictures of a TIFF that may be the photograph, the largest first.

    Of pictures of one size that with the most samples is taken for the largest.

    Left out are masks, the infrared channel that film scanners add, and what hangs below another
    picture or says that it is a reduced copy. Copies that do not say so are not left out.

    Raises:
        ValueError: the file has no picture; struct.error and OSError mean the same.
    """
    pages = [page for page in _iterate_pages(file) if not page.kind & MASK]
    full = [page for page in pages if not page.kind & REDUCED] or pages
    if not full:
        raise ValueError("no picture in it")
    best = max(full, key=lambda page: (page.size[0] * page.size[1], page.samples))
    others = [page for page in full if page is not best]
    infrared = [page for page in others if _may_be_infrared(page, best)]
    if len(infrared) == 1:
        others.remove(*infrared)
    return [best, *(page for page in others if page.size == best.size or not page.is_sub)]


def _may_be_infrared(page: Page, best: Page) -> bool:
    """Return whether a picture may be the largest one's infrared: grey, of the same size."""
    is_page = (page.kind | best.kind) & PAGE
    return page.size == best.size and page.samples < 3 <= best.samples and not is_page


def may_be_copy(page: Page, best: Page) -> bool:
    """Return whether a picture has at most half the sides of the largest one, and its shape."""
    (width, height), (full_width, full_height) = page.size, best.size
    if 2 * width > full_width or 2 * height > full_height:
        return False
    # The sides of a copy are rounded.
    return abs(width * full_height - height * full_width) <= max(full_width, full_height)


def _iterate_pages(file: BinaryIO) -> Iterator[Page]:
    order, big, offset = read_header(file)
    visited: set[int] = set()
    while offset and offset not in visited and len(visited) < MAX_DIRECTORIES:
        visited.add(offset)
        try:
            directory, following = read_directory(file, offset, order, big, WANTED)
        except (ValueError, struct.error, OSError):
            return
        page = _describe(directory, offset)
        yield page
        offset = following
        for below in directory.numbers(SUB_DIRECTORIES):
            if below in visited or len(visited) >= MAX_DIRECTORIES:
                continue
            visited.add(below)
            try:
                sub, _ = read_directory(file, below, order, big, WANTED)
            except (ValueError, struct.error, OSError):
                continue
            yield _describe(sub, below, above=page)


def _describe(directory: Directory, offset: int, above: Page | None = None) -> Page:
    def number(tag: int, default: int) -> int:
        return (directory.numbers(tag) or (default,))[0]

    kind = number(NEW_SUBFILE_TYPE, 0)
    size = number(WIDTH, 0), number(HEIGHT, 0)
    if number(SUBFILE_TYPE, 0) == OLD_REDUCED or not all(size):
        kind |= REDUCED
    if number(SUBFILE_TYPE, 0) == OLD_PAGE or sum(directory.numbers(PAGE_NUMBER)) > 1:
        kind |= PAGE
    if number(PHOTOMETRIC, 0) == TRANSPARENCY_MASK:
        kind |= MASK
    orientation = number(ORIENTATION, above.orientation if above else 1)
    orientation = orientation if orientation in range(1, 9) else 1
    return Page(offset, size, number(SAMPLES, 1), kind, orientation, above is not None)
