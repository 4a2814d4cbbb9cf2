"""Segments: a film's encoded video in parts on disk, from which a run that was killed goes on."""

import hashlib
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch
from av.packet import Packet

from colourizer.film.container import FilmError
from colourizer.film.read import Position
from colourizer.photos.files import fit_name
from colourizer.runtime.atomic_file import write_atomically, write_bytes

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

SEGMENT_SECONDS = 10.0
SUFFIX = ".segments"  # of the folder, beside the film that is written
# A packet's number in the order of showing, whether it is a key frame, and its size in bytes.
_HEADER = struct.Struct("<Q?I")


class StoredPacket(NamedTuple):
    """An encoded frame: its number within the segment in the order of showing, and its data."""

    number: int
    is_key: bool
    data: bytes


@dataclass(frozen=True)
class Segment:
    """A part of a film that is whole on disk.

    pts: when its frames are shown, in units of the film's time base.
    duration: of the last one.
    delays: for each video, by how many frames its packets are out of the order of showing.
    checksum: of the last frame's luma.
    damaged: frames that could not be decoded until its end.
    """

    pts: list[int]
    duration: int
    delays: list[int]
    checksum: int
    damaged: int


def write_packet(file: BinaryIO, packet: Packet) -> int:
    """Append an encoded frame to a segment's file; return its number."""
    number = packet.pts or 0
    file.write(_HEADER.pack(number, packet.is_keyframe, packet.size))
    file.write(memoryview(packet))
    return number


def read_packets(path: Path) -> Iterator[StoredPacket]:
    """Yield what `write_packet` has written."""
    with path.open("rb") as file:
        while header := file.read(_HEADER.size):
            number, is_key, size = _HEADER.unpack(header)
            yield StoredPacket(number, is_key, file.read(size))


def segments_folder(path: Path) -> Path:
    """Return the folder for the segments of a film that is to be written."""
    return path.with_name(fit_name(f".{path.name}", SUFFIX))


class SegmentStore:
    """The segments of one film, in a folder that one process at a time uses."""

    def __init__(self, folder: Path, key: dict[str, Any], videos: int) -> None:
        """Open or make the folder; segments of another key are removed.

        Args:
            folder: of `segments_folder`.
            key: what the segments depend on: the source, the settings.
            videos: how many are written, 1 or more.

        Raises:
            FilmError: another process uses it.
        """
        self.folder = folder
        self.videos = videos
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = (folder / "lock").open("w")
        if fcntl:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock.close()
                raise FilmError("is being coloured by another process") from error
        text = json.dumps(key, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()
        journal = folder / "key"
        if not journal.exists() or journal.read_text() != digest:
            for path in folder.iterdir():
                if path.name != "lock":
                    path.unlink()
            write_bytes(journal, digest.encode())
        for path in folder.glob("*.unfinished"):
            path.unlink()
        self.segments = self._list_whole()

    def __enter__(self) -> "SegmentStore":
        return self

    def __exit__(self, *_: object) -> None:
        """Let others use the folder; one without a whole segment is removed."""
        if not self.segments:
            self.remove()
        self._lock.close()

    def packets_path(self, number: int, video: int) -> Path:
        """Return the file of a segment's packets of one of the videos."""
        return self.folder / f"{number:06}_{video}.packets"

    def _state_path(self, number: int) -> Path:
        return self.folder / f"{number:06}.state"

    def _list_whole(self) -> list[Segment]:
        """Return the segments that are whole on disk, up to the first that is not."""
        segments: list[Segment] = []
        while True:
            number = len(segments)
            path = self.folder / f"{number:06}.json"
            paths = [self.packets_path(number, video) for video in range(self.videos)]
            try:
                segment = Segment(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                return segments
            if not all(each.exists() for each in paths):
                return segments
            segments.append(segment)

    def load_state(self) -> dict[str, Any] | None:
        """Return the state of the colours after the last whole segment; None if it is lost."""
        path = self._state_path(len(self.segments) - 1)
        try:
            with zipfile.ZipFile(path) as archive:
                damaged = archive.testzip()  # torch.load does not notice a flipped byte
            return None if damaged else torch.load(path, weights_only=True)
        except Exception:  # what is no archive, or a torn one, raises anything
            return None

    def drop(self) -> None:
        """Forget all segments: the film begins anew."""
        for path in (*self.folder.glob("*.json"), self.folder / "complete"):
            path.unlink(missing_ok=True)
        self.segments = []

    def position(self) -> Position | None:
        """Return the place in the film after the last whole segment; None at its beginning."""
        if not self.segments:
            return None
        last = self.segments[-1]
        return Position(self.count_frames(), last.pts[0], last.pts[-1], last.checksum)

    def count_frames(self) -> int:
        """Return how many frames are in whole segments."""
        return sum(len(segment.pts) for segment in self.segments)

    @property
    def is_complete(self) -> bool:
        """Whether the whole film is in the segments."""
        return bool(self.segments) and (self.folder / "complete").exists()

    def open_files(self) -> list[BinaryIO]:
        """Return open files for the packets of the next segment, one for each video."""
        number = len(self.segments)
        paths = [self.packets_path(number, video) for video in range(self.videos)]
        return [path.with_suffix(".unfinished").open("wb") for path in paths]

    def finish(
        self, files: Sequence[BinaryIO], segment: Segment, state: dict[str, Any] | None
    ) -> None:
        """Flush the next segment to disk; only then is it there.

        Args:
            files: of `open_files`.
            segment: what is in them.
            state: of the colours after it; None after the film's last.
        """
        number = len(self.segments)
        for video, file in enumerate(files):
            file.flush()
            os.fsync(file.fileno())
            file.close()
            Path(file.name).replace(self.packets_path(number, video))
        if state is not None:
            write_atomically(self._state_path(number), lambda file: torch.save(state, file))
        write_bytes(self.folder / f"{number:06}.json", json.dumps(asdict(segment)).encode())
        if state is None:
            write_bytes(self.folder / "complete", b"")
        self.segments.append(segment)
        if number:
            self._state_path(number - 1).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the folder, when the film is written."""
        with suppress(OSError):
            shutil.rmtree(self.folder)
