"""A collection of downloaded photographs: files, manifest, and what is added of a delivery."""

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from colourizer.curation.duplicates import (
    HASH_SIDE,
    are_duplicates,
    dhash,
    dhash_from_text,
    dhash_to_text,
)
from colourizer.curation.rejected_list import read_rejected
from colourizer.curation.screening import measure_photo, reason_to_reject
from colourizer.downloads.delivery import Delivery
from colourizer.photos.decode import FORMATS
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos
from colourizer.photos.pillow_limits import pillow_limits
from colourizer.photos.read import map_photos, read_rgb
from colourizer.runtime.cli import progress

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MANIFEST = "manifest.jsonl"
TEMPORARY = ".download-"  # prefix of the folders that photographs are downloaded into
ASKED = "asked.json"  # in such a folder: query and source
LONGEST_NAME, DIGITS = 60, 16  # characters of a folder's name; of a sha256 in a file's name
SMALLEST_SIDE = 64  # pixels
HASHED_SIDE = 256  # pixels: shortest side of photographs that are decoded for their dhash only
# Why files and links are not kept -> the column of dataset.py's table that counts them.
REASONS = {
    "duplicate": "duplicate",
    "deleted by hand": "deleted",
    "near grey": "grey",
    "graphic": "graphic",
    "too small": "small",
    "broken": "broken",
    "not downloaded": "lost",
}
# Reasons for a lost link that are permanent: it is not tried again.
PERMANENT = re.compile(r"HTTP (Error )?(3|4(?!29))\d\d|too large or too slow|unknown url type")


class LockedError(Exception):
    """Another process holds the lock of the collection."""


def folder_name(query: str) -> str:
    """Return the name of a query's folder; if the query is no safe name, with a checksum."""
    name = re.sub(r"[^\w -]+", "_", query).strip()[:LONGEST_NAME]
    return name if name == query else f"{name}-{hashlib.sha256(query.encode()).hexdigest()[:8]}"


def examine(path: Path) -> tuple[dict[str, Any], Tensor | None]:
    """Check a downloaded file by itself.

    Returns:
        The manifest's row, in which "rejected" is the reason why the file is not kept, if there is
        one; and the photograph's dhash, None for what is no photograph or too small.
    """
    content = path.read_bytes()
    row: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    try:
        image = read_rgb(path)
        with pillow_limits(), Image.open(path, formats=FORMATS) as file:
            row["format"] = str(file.format)
    except Exception as error:  # decoders fail in many ways
        return row | {"rejected": "broken", "why": str(error) or type(error).__name__}, None
    row |= {"width": image.width, "height": image.height}
    if min(image.size) < SMALLEST_SIDE:
        return row | {"rejected": "too small"}, None
    photo_hash = dhash(image)
    row["hash"] = dhash_to_text(photo_hash)
    why = reason_to_reject(measure_photo(image))
    return row | ({"rejected": why} if why else {}), photo_hash


def fingerprint(path: Path) -> tuple[str, Tensor]:
    """Return a photograph's sha256 and dhash."""
    photo_hash = dhash(read_rgb(path, shortest_side=HASHED_SIDE))
    return hashlib.sha256(path.read_bytes()).hexdigest(), photo_hash


class Collection:
    """A folder of photographs with their manifest; several threads may add to it."""

    def __init__(self, folder: Path) -> None:
        """Open or create a collection, and add the deliveries that a killed run has left.

        Raises:
            LockedError: another process has opened it.
            OSError: the folder cannot be written to.
        """
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = Lock()
        manifest = folder / MANIFEST
        self._manifest = manifest.open("a+", encoding="utf-8", errors="replace")
        if fcntl:
            try:
                fcntl.flock(self._manifest, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._manifest.close()
                raise LockedError(folder) from None
        self._links: set[str] = set()
        self._listed: dict[str, Path] = {}  # links whose photographs were kept
        self._files: dict[str, Path] = {}  # by the beginning of their sha256
        self._hashes = torch.empty(0, HASH_SIDE**2)  # a row for each photograph
        self._new_hashes: list[Tensor] = []  # rows that are not in _hashes yet
        self._hashed_paths: list[Path] = []  # of the rows, new ones included
        try:
            self._read_manifest()
            self._read_unlisted()
            for temporary in sorted(folder.glob(TEMPORARY + "*")):
                self._resume(temporary)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the lock."""
        self._manifest.close()

    def _read_manifest(self) -> None:
        self._manifest.seek(0)
        content = self._manifest.read()
        if content and not content.endswith("\n"):  # half a line, of a run that was killed
            print(file=self._manifest)
        for line in content.splitlines():
            try:
                row = json.loads(line)
                lost = row.get("rejected") == "not downloaded"
                if "link" in row and not (lost and not PERMANENT.search(row["why"])):
                    self._links.add(str(row["link"]))
                if "rejected" not in row:
                    path = self.folder / row["file"]
                    path.resolve().relative_to(self.folder.resolve())  # no other file of the disk
                    photo_hash = dhash_from_text(row["hash"])
                    self._add_file(row["sha256"], path)
                    self._add_hash(photo_hash, path)
                    if "link" in row:
                        self._listed[str(row["link"])] = path
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue  # half a line, of a run that was killed, or not ours

    def _read_unlisted(self) -> None:
        """Index and list photographs that were put here by hand, so that none is added twice."""
        listed = set(self._files.values())
        unlisted = [path for path in find_photos(self.folder) if path not in listed]
        read = map_photos(unlisted, fingerprint)
        for path, result in progress(read, "looking at what is there", len(unlisted)):
            if not isinstance(result, PhotoError):
                sha256, photo_hash = result
                self._add_file(sha256, path)
                self._add_hash(photo_hash, path)
                name = str(path.relative_to(self.folder))
                self._write({"file": name, "sha256": sha256, "hash": dhash_to_text(photo_hash)})

    def _add_file(self, sha256: str, path: Path) -> None:
        self._files[sha256[:DIGITS]] = path

    def _add_hash(self, photo_hash: Tensor, path: Path) -> None:
        self._new_hashes.append(photo_hash)
        self._hashed_paths.append(path)

    def _find_duplicate(self, sha256: str, photo_hash: Tensor | None) -> Path | None:
        """Return the photograph of this collection that a file duplicates."""
        if original := self._files.get(sha256[:DIGITS]):
            return original
        if photo_hash is None:
            return None
        if self._new_hashes:
            self._hashes = torch.cat((self._hashes, torch.stack(self._new_hashes)))
            self._new_hashes = []
        found = are_duplicates(photo_hash[None], self._hashes)[0].nonzero().flatten()
        return self._hashed_paths[int(found[0])] if len(found) else None

    def count(self, query: str) -> int:
        """Return the number of a query's photographs, less those that rejected.txt lists."""
        rejected = read_rejected(self.folder)
        return sum(p not in rejected for p in find_photos(self.folder / folder_name(query)))

    def known_links(self) -> frozenset[str]:
        """Return the links that need no download: kept before, or rejected for good."""
        with self._lock:
            return frozenset(self._links)

    def count_arriving(self) -> int:
        """Return the number of files that are downloaded but not examined yet."""
        count = 0
        for folder in self.folder.glob(TEMPORARY + "*"):
            with suppress(OSError):  # added by now, or no folder
                count += sum(name.isdigit() for name in os.listdir(folder))  # noqa: PTH208 - a name is enough
        return count

    @contextmanager
    def delivery_folder(self, query: str, source: str) -> Iterator[Path]:
        """Make a folder to download into; if this process dies within, the next run adds it."""
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self.folder))
        (temporary / ASKED).write_text(json.dumps({"query": query, "source": source}), "utf-8")
        yield temporary
        shutil.rmtree(temporary, ignore_errors=True)

    def _resume(self, temporary: Path) -> None:
        try:
            asked = json.loads((temporary / ASKED).read_text("utf-8"))
            query, source = str(asked["query"]), str(asked["source"])
        except (OSError, ValueError, TypeError, KeyError):  # killed before it had begun
            pass
        else:
            self.add(query, source, Delivery.read(temporary))
        shutil.rmtree(temporary, ignore_errors=True)

    def add(self, query: str, source: str, delivery: Delivery) -> Counter[str]:
        """Add the good files of a delivery; write a manifest row for each file and link.

        Returns:
            How many were "kept", and how many not, by the keys of REASONS.
        """
        counts: Counter[str] = Counter()
        for link, why in delivery.lost.items():
            row = {"rejected": "not downloaded", "why": why}
            counts["not downloaded"] += 1
            with self._lock:
                self._note(query, source, link, delivery, row)
        for link, path in delivery.files.items():
            if not path.is_file():  # added by a run that was killed afterwards
                continue
            row, photo_hash = examine(path)
            with self._lock:
                if link in self._links:  # noted before a kill, or in two deliveries at once
                    counts["duplicate"] += 1
                    target = self._listed.get(link)
                    if target and not target.exists():
                        path.replace(target)
                    continue
                if original := self._find_duplicate(row["sha256"], photo_hash):
                    reason = "duplicate" if original.exists() else "deleted by hand"
                    row |= {"rejected": reason, "of": str(original.relative_to(self.folder))}
                counts[row.get("rejected", "kept")] += 1
                if "rejected" in row:
                    self._note(query, source, link, delivery, row)
                    continue
                suffix = row["format"].lower().replace("jpeg", "jpg")
                target = self.folder / folder_name(query) / f"{row['sha256'][:DIGITS]}.{suffix}"
                target.parent.mkdir(exist_ok=True)
                row = {"file": str(target.relative_to(self.folder))} | row
                # In this order: if the run is killed in between, the next one moves the file.
                self._note(query, source, link, delivery, row)
                path.replace(target)
                self._add_file(row["sha256"], target)
                if photo_hash is not None:
                    self._add_hash(photo_hash, target)
        return counts

    def _note(
        self, query: str, source: str, link: str, delivery: Delivery, row: dict[str, Any]
    ) -> None:
        about = {"query": query, "source": source, "link": link} | delivery.origins[link]
        self._write(about | row)
        self._links.add(link)

    def _write(self, row: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        print(json.dumps(row | {"time": now}), file=self._manifest, flush=True)
