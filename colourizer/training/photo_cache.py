"""Decoded photographs, memory-mapped: what was decoded once is never decoded again."""

import hashlib
import json
import secrets
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
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
from colourizer.runtime.errors import reason_of
from colourizer.runtime.process import trim_heap
from colourizer.training.file_versions import FileNotes, FileVersion, file_version

# A file of the cache: a line of text with SIGNATURE and the index's checksum and length; the index,
# JSON, an object for each photograph; then the pixels of all of them, in the same order.
SUFFIX, SIGNATURE, LONGEST_LINE = ".pixels", b"photographs", 100
FORMAT = 1  # to be raised when the same photograph gives other pixels or measures than before
FILE_BYTES = 64 * 2**20  # of pixels in a file; a killed run loses no more
# Notes on photographs' files, their content's key, and on the cache's own, VERIFIED: what has not
# changed since is neither read nor verified again.
NOTES, VERIFIED = "unchanged.json", "verified"


@dataclass(frozen=True, slots=True)
class PixelLocation:
    """Where the pixels of a photograph lie: (height, width, 3) uint8, in a file of the cache.

    start: offset in bytes.
    """

    file: Path
    start: int
    height: int
    width: int

    @property
    def end(self) -> int:
        """Offset of the first byte after the pixels."""
        return self.start + 3 * self.height * self.width


@dataclass
class DecodedPhoto:
    """A photograph that was decoded, now or by an earlier run.

    pixels: (3, H, W) uint8, in memory until they are in a file.
    statistics: from `measure_photo`.
    dhash: (HASH_SIDE^2,), from `duplicates.dhash`.
    """

    pixels: Tensor | PixelLocation
    statistics: PhotoStatistics
    dhash: Tensor


class MappedFiles(dict[Path, Tensor]):
    """Memory-mapped files; another process maps each when it first needs it."""

    def __missing__(self, path: Path) -> Tensor:
        # Private (copy-on-write) since a tensor cannot be read-only: writing changes a copy.
        # Unlike with mmap, the file does not stay open: a process may have only about 1024.
        size = path.stat().st_size
        self[path] = torch.from_file(str(path), shared=False, size=size, dtype=torch.uint8)
        return self[path]

    def __reduce__(self) -> tuple[type["MappedFiles"], tuple[()]]:
        return MappedFiles, ()

    def look_up(self, pixels: Tensor | PixelLocation) -> Tensor:
        """Return a photograph's pixels, (3, H, W) uint8, without copying them."""
        if isinstance(pixels, Tensor):
            return pixels
        stored = self[pixels.file][pixels.start : pixels.end]
        return stored.view(pixels.height, pixels.width, 3).movedim(-1, 0)


@dataclass(frozen=True)
class CachedPhotos(Sequence[Tensor]):
    """Photographs, each (3, H, W) uint8; pickled without the pixels that lie in files."""

    pixels: list[Tensor | PixelLocation]
    files: MappedFiles

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:  # type: ignore[override]  # no slices
        return self.files.look_up(self.pixels[index])


@dataclass(frozen=True, slots=True)
class _IndexEntry:
    """A photograph in a file of the cache: its pixels, their CRC-32, what was measured."""

    location: PixelLocation
    checksum: int
    statistics: dict[str, float]
    dhash: str


def folder_name(side: int) -> str:
    """Return the name of the cache's folder for a size; other measures give another name."""
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
        """Read the indices of the folder's files.

        Args:
            folder: need not be there yet; None keeps nothing.
            side: pixels to which the shortest side of larger photographs is reduced.
        """
        self.side, self.reused, self.files = side, 0, MappedFiles()
        self._entries: dict[str, list[_IndexEntry]] = {}  # by key: a content's SHA-256
        # What is in no file yet: photographs, their pixels, and their rows of the next index.
        self._new: list[DecodedPhoto] = []
        self._memory, self._used = np.empty(0, np.uint8), 0
        self._index: list[dict[str, Any]] = []
        # The cache's files: those written by this process; those with pixels that nobody has
        # verified yet, and where these lie.
        self._written: dict[Path, FileVersion] = {}
        self._unverified: dict[Path, tuple[FileVersion, set[int]]] = {}
        self._folder = folder / folder_name(side) if folder else None
        self._notes = FileNotes(self._folder / NOTES if self._folder else None)
        if self._folder:
            remove_leftovers([self._folder])
            for path in sorted(self._folder.glob(f"*{SUFFIX}")):
                self._open(path)

    def read_all(self, paths: list[Path]) -> Iterator[tuple[Path, DecodedPhoto | PhotoError]]:
        """Read photographs in their order: from the cache, or decoded and put into it.

        Args:
            paths: the photographs, wherever they lie; what counts is what the files hold.

        Yields:
            Each path with the photograph, or with why it cannot be read. A photograph's pixels are
            in memory first; within the next FILE_BYTES of them, or at the end, they are in a file.
        """
        unchanged = {path: photo for path in paths if (photo := self._find_unchanged(path))}
        others = (path for path in paths if path not in unchanged)
        read = map_photos(others, self._read, use_one_thread)
        for path in paths:
            if photo := unchanged.get(path):
                self.reused += 1
                yield path, photo
                continue
            _, result = next(read)
            if isinstance(result, PhotoError):
                yield path, result
                continue
            key, photo = result
            if isinstance(photo.pixels, PixelLocation):
                self.reused += 1
            elif key and self._folder:
                self._keep(key, photo, photo.pixels)
            yield path, photo
        self._write()
        self._write_notes()

    def _give_up(self, error: Exception) -> None:
        """Print why photographs cannot be cached, and cache none from now on."""
        reason = reason_of(error)
        print_note(f"note: {self._folder}: {reason}; new photographs stay in memory")
        self._folder = None

    def _open(self, path: Path) -> None:
        """Read a file's index; a file that is damaged or another program's is passed over."""
        try:
            version = file_version(path)
            with path.open("rb") as file:
                line = file.readline(LONGEST_LINE)
                signature, checksum, length = line.split()
                index = file.read(int(length))
                if signature != SIGNATURE or int(checksum, 16) != zlib.crc32(index):
                    return
            found, start = [], len(line) + len(index)
            for row in json.loads(index):
                location = PixelLocation(path, start, row["height"], row["width"])
                entry = _IndexEntry(location, row["checksum"], row["look"], row["places"])
                found.append((row["key"], entry))
                start = location.end
            if start != version.size:
                return
            self.files[path]  # mapped now, it may be deleted at any time
        except (OSError, ValueError, RuntimeError):
            return
        for key, entry in found:
            self._entries.setdefault(key, []).append(entry)
        if self._notes.get(path) != VERIFIED:
            self._unverified[path] = version, {entry.location.start for _, entry in found}

    def _is_intact(self, entry: _IndexEntry) -> bool:
        """Return whether a photograph's pixels are those that were written."""
        location = entry.location
        if location.file not in self._unverified:
            return True
        pixels = self.files[location.file][location.start : location.end]
        if zlib.crc32(pixels.numpy().data) != entry.checksum:
            return False
        version, left = self._unverified[location.file]
        left.discard(location.start)
        if not left:
            self._notes.add(location.file, version, VERIFIED)
        return True

    def _find(self, key: str) -> DecodedPhoto | None:
        """Return the photograph with a content's key, if it was decoded before."""
        for entry in self._entries.get(key, ()):
            if self._is_intact(entry):
                statistics = PhotoStatistics(**entry.statistics)
                return DecodedPhoto(entry.location, statistics, dhash_from_text(entry.dhash))
        return None

    def _find_unchanged(self, path: Path) -> DecodedPhoto | None:
        """Return a photograph whose file has not changed since it was decoded."""
        key = self._notes.get(path)
        return self._find(key) if key else None

    def _read(self, path: Path) -> tuple[str, DecodedPhoto]:
        """Read a photograph; return it after its content's key, empty if it is not to be kept."""
        if (not self._folder and not self._entries) or not path.is_file():
            return "", self._decode(path)
        try:
            before = file_version(path)
            settled = before.is_settled()
            with path.open("rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return "", self._decode(path)  # its error names the cause
        photo = self._find(key) or self._decode(path)
        if file_version(path) != before:
            key = ""
        elif settled:
            self._notes.add(path, before, key)
        return key, photo

    def _decode(self, path: Path) -> DecodedPhoto:
        image = read_rgb(path, shortest_side=self.side)
        pixels = torch.from_numpy(np.array(image)).movedim(-1, 0)  # (3, H, W)
        return DecodedPhoto(pixels, measure_photo(image), dhash(image))

    def _keep(self, key: str, photo: DecodedPhoto, pixels: Tensor) -> None:
        """Add a photograph to those that are in no file yet; if they fill one, write it."""
        size = pixels.numel()
        if self._used + size > len(self._memory):
            self._write()
            if not self._folder:
                return
            # One block for all: of many small ones, freed, the holes would stay.
            self._memory = np.empty(max(size, FILE_BYTES), np.uint8)
        height, width = pixels.shape[1:]
        stored = self._memory[self._used : self._used + size].reshape(height, width, 3)
        # By NumPy: torch would copy with all cores, which are busy with decoding.
        stored[:] = pixels.movedim(0, -1).numpy()
        self._used += size
        photo.pixels = torch.from_numpy(stored).movedim(-1, 0)
        self._new.append(photo)
        self._index.append(
            {
                "key": key,
                "height": height,
                "width": width,
                "checksum": zlib.crc32(stored.data),
                "look": asdict(photo.statistics),
                "places": dhash_to_text(photo.dhash),
            }
        )

    def _write(self) -> None:
        """Write what is in no file yet into one."""
        if not self._new or not self._folder:
            return
        index = json.dumps(self._index).encode()
        line = b"%s %08x %d\n" % (SIGNATURE, zlib.crc32(index), len(index))

        def write(file: BinaryIO) -> None:
            file.write(line + index)
            file.write(self._memory[: self._used].data)

        path = self._folder / f"{secrets.token_hex(8)}{SUFFIX}"
        try:
            str(path).encode()  # torch opens no files of other names
            self._folder.mkdir(parents=True, exist_ok=True)
            write_atomically(path, write)
            self.files[path]
            self._written[path] = file_version(path)
        except (OSError, RuntimeError, UnicodeEncodeError) as error:
            self._give_up(error)
            return
        start = len(line) + len(index)
        for photo, row in zip(self._new, self._index, strict=True):
            photo.pixels = location = PixelLocation(path, start, row["height"], row["width"])
            start = location.end
        # Views of these pixels may be in use still: the next ones get other memory.
        self._memory, self._used = np.empty(0, np.uint8), 0
        self._new, self._index = [], []
        trim_heap()

    def _write_notes(self) -> None:
        """Write the notes on files that need not be read again."""
        if not self._folder:
            return
        for path, version in self._written.items():
            if version.is_settled():
                self._notes.add(path, version, VERIFIED)
        with suppress(OSError):  # then the next run reads them again
            self._notes.save()
