"""Decoded photographs, memory-mapped: what was decoded once is never decoded again."""

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from colourizer.curation.duplicates import (
    HASH_SIDE,
    MIN_STEP,
    dhash,
    dhash_from_text,
    dhash_to_text,
)
from colourizer.curation.screening import MEASURED_SIDES, PhotoStatistics, measure_photo
from colourizer.network.device import use_one_thread
from colourizer.photos.errors import PhotoError
from colourizer.photos.read import map_photos, read_rgb
from colourizer.runtime.atomic_file import remove_leftovers, write_atomically
from colourizer.runtime.cli import print_note
from colourizer.runtime.process import trim_heap

# A file of the cache: a line of text with SIGNATURE and the index's checksum and length; the index,
# JSON, an object for each photograph; then the pixels of all of them, in the same order.
SUFFIX, SIGNATURE, LONGEST_LINE = ".pixels", b"photographs", 100
FORMAT = 1  # to be raised when the same photograph gives other pixels or measures than before
FILE_BYTES = 64 * 2**20  # of pixels in a file; a killed run loses no more


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pixels of a photograph lie: (height, width, 3) uint8, in a file of the cache."""

    file: Path
    start: int
    height: int
    width: int

    @property
    def end(self) -> int:
        """The first byte behind them."""
        return self.start + 3 * self.height * self.width


@dataclass
class Decoded:
    """A photograph that was decoded, now or by an earlier run.

    pixels: (3, H, W) uint8, in memory until they are in a file.
    statistics: from `measure_photo`.
    dhash: from `duplicates.dhash`.
    """

    pixels: Tensor | Place
    statistics: PhotoStatistics
    dhash: Tensor


class Files(dict[Path, Tensor]):
    """Files mapped into memory; in another process each is opened when it is first needed."""

    def __missing__(self, path: Path) -> Tensor:
        # Not shared: a tensor cannot be read-only, so who writes into it writes into a copy.
        # Unlike mmap's, the file does not stay open, of which a process may have 1024.
        size = path.stat().st_size
        self[path] = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
        return self[path]

    def __reduce__(self) -> tuple[type["Files"], tuple[()]]:
        return Files, ()

    def look_up(self, pixels: Tensor | Place) -> Tensor:
        """Give a photograph's pixels, (3, H, W) uint8, without copying them."""
        if isinstance(pixels, Tensor):
            return pixels
        stored = self[pixels.file][pixels.start : pixels.end]
        return stored.view(pixels.height, pixels.width, 3).movedim(-1, 0)


@dataclass(frozen=True)
class Photos(Sequence[Tensor]):
    """Photographs, each (3, H, W) uint8; those in files are not copied to other processes."""

    pixels: list[Tensor | Place]
    files: Files

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, number: int) -> Tensor:  # type: ignore[override]  # no slices
        return self.files.look_up(self.pixels[number])


@dataclass(frozen=True, slots=True)
class _Stored:
    """A photograph in a file of the cache: where, the checksum of its pixels, what was measured."""

    place: Place
    checksum: int
    statistics: dict[str, float]
    dhash: str


def folder_name(side: int) -> str:
    """Name the cache's folder for a size; measures that did not exist yet make it another."""
    meaning = (
        FORMAT,
        HASH_SIDE,
        MIN_STEP,
        MEASURED_SIDES,
        *(field.name for field in fields(PhotoStatistics)),
    )
    return f"side-{side}-{zlib.crc32(repr(meaning).encode()):08x}"


class PhotoCache:
    """Photographs reduced to one size, and a folder that keeps them from one run to the next.

    Any number of processes may use a folder at the same time. Each writes files of its own, which
    nobody sees before they are whole, and nobody changes afterwards.

    reused: how many of the photographs that were read did not have to be decoded.
    files: where their pixels are looked up.
    """

    def __init__(self, folder: Path | None, side: int) -> None:
        """Look at what the folder has.

        Args:
            folder: need not be there yet; None keeps nothing.
            side: pixels to which the shortest side of larger photographs is reduced.
        """
        self.side, self.reused, self.files = side, 0, Files()
        self._known: dict[str, list[_Stored]] = {}
        # What is in no file yet: photographs, their pixels, and what the index will say of them.
        self._new: list[Decoded] = []
        self._memory, self._used = torch.empty(0, dtype=torch.uint8), 0
        self._index: list[dict[str, Any]] = []
        self._folder = folder / folder_name(side) if folder else None
        if self._folder:
            remove_leftovers([self._folder])
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                self._open(path)

    def read_all(self, paths: list[Path]) -> Iterator[tuple[Path, Decoded | PhotoError]]:
        """Read photographs in their order: from the cache, or decoded and put into it.

        Args:
            paths: the photographs, wherever they lie; what counts is what the files hold.

        Yields:
            Each path with the photograph, or with why it cannot be read. A photograph's pixels are
            in memory first; within the next FILE_BYTES of them, or at the end, they get a place.
        """
        for path, result in map_photos(paths, self._read, use_one_thread):
            if isinstance(result, PhotoError):
                yield path, result
                continue
            key, photo = result
            if isinstance(photo.pixels, Place):
                self.reused += 1
            elif key and self._folder:
                self._keep(key, photo, photo.pixels)
            yield path, photo
        self._write()

    def _give_up(self, error: Exception) -> None:
        """Say that nothing can be kept, and keep nothing from now on."""
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        print_note(f"note: {self._folder}: {reason}; new photographs stay in memory")
        self._folder = None

    def _open(self, path: Path) -> None:
        """Take note of what a file holds; one that is damaged or another's is passed over."""
        try:
            with path.open("rb") as file:
                line = file.readline(LONGEST_LINE)
                signature, checksum, length = line.split()
                index = file.read(int(length))
                if signature != SIGNATURE or int(checksum, 16) != zlib.crc32(index):
                    return
                size = file.seek(0, 2)
            found, start = [], len(line) + len(index)
            for row in json.loads(index):
                place = Place(path, start, row["height"], row["width"])
                stored = _Stored(place, row["checksum"], row["look"], row["places"])
                found.append((row["key"], stored))
                start = place.end
            if start != size:
                return
            self.files[path]  # opened now, it may be deleted at any time
        except (OSError, ValueError, RuntimeError):
            return
        for key, stored in found:
            self._known.setdefault(key, []).append(stored)

    def _read(self, path: Path) -> tuple[str, Decoded]:
        """Read a photograph; give it with the key of its content, empty if it is not to be kept."""
        if not self._folder and not self._known:
            return "", self._decode(path)
        try:
            before = path.stat()
            with path.open("rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "", self._decode(path)  # which says better what is wrong
        for stored in self._known.get(key, ()):
            pixels = self.files[stored.place.file][stored.place.start : stored.place.end]
            if zlib.crc32(pixels.numpy().data) == stored.checksum:
                return key, Decoded(
                    stored.place,
                    PhotoStatistics(**stored.statistics),
                    dhash_from_text(stored.dhash),
                )
        photo = self._decode(path)
        now = path.stat()
        changed = (before.st_mtime_ns, before.st_size) != (now.st_mtime_ns, now.st_size)
        return "" if changed else key, photo

    def _decode(self, path: Path) -> Decoded:
        image = read_rgb(path, shortest_side=self.side)
        pixels = torch.from_numpy(np.array(image)).movedim(-1, 0)  # (3, H, W)
        return Decoded(pixels, measure_photo(image), dhash(image))

    def _keep(self, key: str, photo: Decoded, pixels: Tensor) -> None:
        """Put a photograph with the others that are in no file yet; if those fill one, write it."""
        size = pixels.numel()
        if self._used + size > len(self._memory):
            self._write()
            if not self._folder:
                return
            # One block for all: of many small ones, freed, the holes would stay.
            self._memory = torch.empty(max(size, FILE_BYTES), dtype=torch.uint8)
        height, width = pixels.shape[1:]
        stored = self._memory[self._used : self._used + size].view(height, width, 3)
        stored.copy_(pixels.movedim(0, -1))
        self._used += size
        photo.pixels = stored.movedim(-1, 0)
        self._new.append(photo)
        self._index.append(
            {
                "key": key,
                "height": height,
                "width": width,
                "checksum": zlib.crc32(stored.numpy().data),
                "look": asdict(photo.statistics),
                "places": dhash_to_text(photo.dhash),
            }
        )

    def _write(self) -> None:
        """Put what is in no file yet into one."""
        if not self._new or not self._folder:
            return
        index = json.dumps(self._index).encode()
        line = b"%s %08x %d\n" % (SIGNATURE, zlib.crc32(index), len(index))

        def write(file: BinaryIO) -> None:
            file.write(line + index)
            file.write(self._memory[: self._used].numpy().data)

        path = self._folder / f"{secrets.token_hex(8)}{SUFFIX}"
        try:
            str(path).encode()  # torch opens no files of other names
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, write)
            self.files[path]
        except (OSError, RuntimeError, UnicodeEncodeError) as error:
            self._give_up(error)
            return
        start = len(line) + len(index)
        for photo, row in zip(self._new, self._index, strict=True):
            photo.pixels = place = Place(path, start, row["height"], row["width"])
            start = place.end
        # Somebody may look at these pixels still: the next ones get other memory.
        self._memory, self._used = torch.empty(0, dtype=torch.uint8), 0
        self._new, self._index = [], []
        trim_heap()
