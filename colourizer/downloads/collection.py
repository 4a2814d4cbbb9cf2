"""The photographs that dataset.py has gathered: their files, their manifest, and what they lack."""

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
from colourizer.curation.screening import MEASURED_SIDE, measure_photo, reason_to_reject
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
TEMPORARY = ".download-"  # how the folders are called that photographs are downloaded into
ASKED = "asked.json"  # in such a folder: for what
LONGEST_NAME, DIGITS = 60, 16  # characters of a folder's name; of a sha256 in a file's name
SMALLEST_SIDE = 64  # pixels
# Why files and links are not kept, and how a table's columns say it in short.
REASONS = {
    "duplicate": "duplicate",
    "deleted by hand": "deleted",
    "near grey": "grey",
    "graphic": "graphic",
    "too small": "small",
    "broken": "broken",
    "not downloaded": "lost",
}
# Why a link that led to nothing will not lead to something another time.
LASTING = re.compile(r"HTTP (Error )?(3|4(?!29))\d\d|too large or too slow|unknown url type")


class BusyError(Exception):
    """Another process adds to the same collection."""


def folder_name(query: str) -> str:
    """Name a query's folder as the query; a checksum is added where that is no safe name."""
    name = re.sub(r"[^\w -]+", "_", query).strip()[:LONGEST_NAME]
    return name if name == query else f"{name}-{hashlib.sha256(query.encode()).hexdigest()[:8]}"


def examine(path: Path) -> tuple[dict[str, Any], Tensor | None]:
    """Measure a downloaded file; if it is of no use by itself, "rejected" says why.

    Returns:
        The manifest's row; and the photograph's `dhash` if it is one.
    """
    content = path.read_bytes()
    row: dict[str, Any] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    try:
        image = read_rgb(path)
        with pillow_limits(), Image.open(path, formats=FORMATS) as file:
            row["format"] = str(file.format)
    except Exception as error:  # whatever a decoder raises, the file is of no use
        return row | {"rejected": "broken", "why": str(error) or type(error).__name__}, None
    row |= {"width": image.width, "height": image.height}
    if min(image.size) < SMALLEST_SIDE:
        return row | {"rejected": "too small"}, None
    places = dhash(image)
    row["hash"] = dhash_to_text(places)
    why = reason_to_reject(measure_photo(image))
    return row | ({"rejected": why} if why else {}), places


def identify(path: Path) -> tuple[str, Tensor]:
    """Say what tells a photograph from others: its sha256, and its `dhash`."""
    places = dhash(read_rgb(path, shortest_side=MEASURED_SIDE))
    return hashlib.sha256(path.read_bytes()).hexdigest(), places


class Collection:
    """A folder of photographs with their manifest; several threads may add to it."""

    def __init__(self, folder: Path) -> None:
        """Open a collection, or begin one; take up what a killed run has left.

        Raises:
            BusyError: another process adds to it.
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
                raise BusyError(folder) from None
        self._links: set[str] = set()
        self._listed: dict[str, Path] = {}  # links whose photographs were kept
        self._files: dict[str, Path] = {}  # by the beginning of their sha256
        self._places = torch.empty(0, HASH_SIDE**2)  # each row that of a photograph
        self._new_places: list[Tensor] = []  # to be put below them
        self._by_place: list[Path] = []
        try:
            self._read_manifest()
            self._read_unlisted()
            for temporary in sorted(folder.glob(TEMPORARY + "*")):
                self._take_up(temporary)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let other processes add to it."""
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
                if "link" in row and not (lost and not LASTING.search(row["why"])):
                    self._links.add(str(row["link"]))
                if "rejected" not in row:
                    path = self.folder / row["file"]
                    path.resolve().relative_to(self.folder.resolve())  # no other file of the disk
                    places = dhash_from_text(row["hash"])
                    self._know(row["sha256"], path)
                    self._look_like(places, path)
                    if "link" in row:
                        self._listed[str(row["link"])] = path
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue  # half a line, of a run that was killed, or not ours

    def _read_unlisted(self) -> None:
        """Get to know photographs that somebody has put here, to take no copies of them."""
        listed = set(self._files.values())
        unlisted = [path for path in find_photos(self.folder) if path not in listed]
        read = map_photos(unlisted, identify)
        for path, result in progress(read, "looking at what is there", len(unlisted)):
            if not isinstance(result, PhotoError):
                sha256, places = result
                self._know(sha256, path)
                self._look_like(places, path)
                name = str(path.relative_to(self.folder))
                self._write({"file": name, "sha256": sha256, "hash": dhash_to_text(places)})

    def _know(self, sha256: str, path: Path) -> None:
        self._files[sha256[:DIGITS]] = path

    def _look_like(self, places: Tensor, path: Path) -> None:
        self._new_places.append(places)
        self._by_place.append(path)

    def _twin(self, sha256: str, places: Tensor | None) -> Path | None:
        """Find the photograph that another is a copy of."""
        if twin := self._files.get(sha256[:DIGITS]):
            return twin
        if places is None:
            return None
        if self._new_places:
            self._places = torch.cat((self._places, torch.stack(self._new_places)))
            self._new_places = []
        found = are_duplicates(places[None], self._places)[0].nonzero().flatten()
        return self._by_place[int(found[0])] if len(found) else None

    def count(self, query: str) -> int:
        """Count the photographs of a query, less those that rejected.txt lists."""
        rejected = read_rejected(self.folder)
        return sum(p not in rejected for p in find_photos(self.folder / folder_name(query)))

    def known_links(self) -> frozenset[str]:
        """List the links that lead to nothing new: it is here, or it was of no use."""
        with self._lock:
            return frozenset(self._links)

    def count_arriving(self) -> int:
        """Count the files that are being downloaded and have not been looked at."""
        count = 0
        for folder in self.folder.glob(TEMPORARY + "*"):
            with suppress(OSError):  # taken by now, or no folder
                count += sum(name.isdigit() for name in os.listdir(folder))  # noqa: PTH208 - a name is enough
        return count

    @contextmanager
    def ask(self, query: str, source: str) -> Iterator[Path]:
        """Make a folder to download into; if this process fails within, the next takes it up."""
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=self.folder))
        (temporary / ASKED).write_text(json.dumps({"query": query, "source": source}), "utf-8")
        yield temporary
        shutil.rmtree(temporary, ignore_errors=True)

    def _take_up(self, temporary: Path) -> None:
        try:
            asked = json.loads((temporary / ASKED).read_text("utf-8"))
            query, source = str(asked["query"]), str(asked["source"])
        except (OSError, ValueError, TypeError, KeyError):  # killed before it had begun
            pass
        else:
            self.take(query, source, Delivery.read(temporary))
        shutil.rmtree(temporary, ignore_errors=True)

    def take(self, query: str, source: str, delivery: Delivery) -> Counter[str]:
        """Keep what is good of a delivery; note in the manifest what became of each file and link.

        Returns:
            How many were "kept", and how many not, by reason.
        """
        counts: Counter[str] = Counter()
        for link, why in delivery.lost.items():
            row = {"rejected": "not downloaded", "why": why}
            counts["not downloaded"] += 1
            with self._lock:
                self._note(query, source, link, delivery, row)
        for link, path in delivery.files.items():
            if not path.is_file():  # taken before this process was killed
                continue
            row, places = examine(path)
            with self._lock:
                if link in self._links:  # noted before a kill, or brought for two queries at once
                    counts["duplicate"] += 1
                    target = self._listed.get(link)
                    if target and not target.exists():
                        path.replace(target)
                    continue
                if twin := self._twin(row["sha256"], places):
                    reason = "duplicate" if twin.exists() else "deleted by hand"
                    row |= {"rejected": reason, "of": str(twin.relative_to(self.folder))}
                counts[row.get("rejected", "kept")] += 1
                if "rejected" in row:
                    self._note(query, source, link, delivery, row)
                    continue
                suffix = row["format"].lower().replace("jpeg", "jpg")
                target = self.folder / folder_name(query) / f"{row['sha256'][:DIGITS]}.{suffix}"
                target.parent.mkdir(exist_ok=True)
                row = {"file": str(target.relative_to(self.folder))} | row
                # In this order: what is noted and not moved yet, the next run moves.
                self._note(query, source, link, delivery, row)
                path.replace(target)
                self._know(row["sha256"], target)
                if places is not None:
                    self._look_like(places, target)
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
