"""Store of the uploaded photographs: temporary files, cached predictions, limits, expiry."""

import io
import shutil
import tempfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from secrets import token_urlsafe
from threading import Lock
from typing import BinaryIO, cast

from colourizer.app.decoding_weight import measure_weight
from colourizer.app.file_names import comparison_key, safe_name
from colourizer.app.shown_pictures import ColourSettings, PredictedPhoto, draw_original
from colourizer.inference.album import Album
from colourizer.inference.album_study import (
    PhotoOutputs,
    Workers,
    build_album,
    pack_outputs,
    shuffled,
)
from colourizer.inference.colour_file import read_prepared, write_coloured
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.output_plan import unused_name
from colourizer.inference.prediction import Reference
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import written_name
from colourizer.photos.read import read_photo
from colourizer.photos.source import hash_source
from colourizer.runtime.array_file import ArrayFile
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.parallel import PixelBudget
from colourizer.runtime.process import count_cores

MAX_PHOTOS = 2000
MAX_STORED_BYTES = 8 << 30  # of all files, on the disk
MAX_CACHED_PREDICTIONS = 12  # in memory, 5 to 20 MB each
MAX_BYTES_IN_FLIGHT = 120_000_000  # weights at the same time; a heavier photograph alone
MAX_ZIP_MEMORY = 16 << 20  # bytes of a coloured file; a larger one is kept on the disk
EXPIRY_SECONDS = 1800  # since the last use; an open page touches its photographs more often
REMOVED = "this photograph is not here any more; add it again"
FAILED_LIST = "failed.txt"  # in a ZIP: which photographs are missing, and why


class StoreFullError(Exception):
    """The store holds too many photographs; some have to be removed first."""


class NotFoundError(Exception):
    """A photograph that is not in the store."""


@dataclass
class StoredPhoto:
    """An uploaded file. It has no name on the disk, so nothing is left if the process is killed."""

    name: str  # a relative path, of `safe_name`
    file: BinaryIO
    file_bytes: int
    key: str = field(default_factory=lambda: token_urlsafe(16))  # cannot be guessed
    weight: int = 0  # bytes, of `measure_weight`
    height: int = 0  # pixels, upright
    width: int = 0
    last_used: float = field(default_factory=time.monotonic)  # seconds
    lock: Lock = field(default_factory=Lock)  # held while the file is read or closed

    @contextmanager
    def rewound_file(self) -> Iterator[BinaryIO]:
        """Lock the file and yield it at its beginning.

        Raises:
            NotFoundError: the photograph was removed meanwhile.
        """
        with self.lock:
            if self.file.closed:
                raise NotFoundError(REMOVED)
            self.file.seek(0)
            yield self.file


def temporary_file() -> BinaryIO:
    """Return a new file without a name, which is gone when it is closed."""
    return cast(BinaryIO, tempfile.TemporaryFile(prefix="colourizer-"))


class PhotoStore:
    """The photographs of all pages; any number of threads may share it."""

    def __init__(self, colourizer: Colourizer) -> None:
        """Create an empty store; `colourizer` is what colours its photographs."""
        self.colourizer = colourizer
        self._photos: dict[str, StoredPhoto] = {}
        self._predicted: OrderedDict[str, PredictedPhoto] = OrderedDict()  # least recent first
        self._lock = Lock()  # held while either of them changes
        self._budget = PixelBudget(MAX_BYTES_IN_FLIGHT)  # of bytes, here
        self._next = Lock()  # held by the photograph that waits for its share of the budget

    def create_file(self) -> BinaryIO:
        """Create a temporary file for a photograph that is to be added.

        Raises:
            StoreFullError: there are too many photographs.
        """
        with self._lock:
            if len(self._photos) >= MAX_PHOTOS:
                raise StoreFullError(f"there are {MAX_PHOTOS} photographs here; remove some")
            if sum(photo.file_bytes for photo in self._photos.values()) >= MAX_STORED_BYTES:
                filled = f"the photographs here fill {MAX_STORED_BYTES >> 30} GB"
                raise StoreFullError(f"{filled}; remove some")
        return temporary_file()

    def add(self, name: str, file: BinaryIO) -> StoredPhoto:
        """Add an uploaded photograph, and run the network on it.

        Args:
            name: as the browser gives it.
            file: of `create_file`, with the photograph in it; closed if that cannot be used.

        Raises:
            PhotoError: it cannot be read, or has several pages.
            PhotoTooLargeError: it would take too much memory or time.
        """
        photo = StoredPhoto(safe_name(name), file, file.seek(0, io.SEEK_END))
        try:
            if not photo.file_bytes:
                raise PhotoError("is empty: a file of 0 bytes")
            predicted = self._predict(photo)
        except BaseException:
            file.close()
            raise
        photo.height, photo.width = predicted.size
        with self._lock:
            self._photos[photo.key] = photo
        self._cache(photo.key, predicted)
        return photo

    def remove(self, keys: Iterable[str]) -> None:
        """Remove photographs and close their files; keys that are not in the store are ignored."""
        with self._lock:
            known = self._photos.keys() & keys
            removed = [self._photos.pop(key) for key in known]
            for key in known:
                self._predicted.pop(key, None)
        for photo in removed:
            with photo.lock:
                photo.file.close()

    def touch(self, keys: Iterable[str]) -> None:
        """Mark photographs as in use: a page that shows them is still open."""
        for key in keys:
            if photo := self._photos.get(key):
                photo.last_used = time.monotonic()

    def remove_expired(self) -> None:
        """Remove the photographs that were not used for EXPIRY_SECONDS."""
        oldest = time.monotonic() - EXPIRY_SECONDS
        with self._lock:
            expired = [key for key, photo in self._photos.items() if photo.last_used < oldest]
        self.remove(expired)

    def find(self, key: str) -> StoredPhoto:
        """Return a photograph, and mark it as in use.

        Raises:
            NotFoundError: it is not in the store.
        """
        photo = self._photos.get(key)
        if photo is None:
            raise NotFoundError(REMOVED)
        photo.last_used = time.monotonic()
        return photo

    def find_predicted(self, key: str) -> PredictedPhoto | None:
        """Return a photograph's prediction, None if it is not cached any more; without waiting.

        Raises:
            NotFoundError: the photograph is not in the store.
        """
        self.find(key)
        with self._lock:
            if key in self._predicted:
                self._predicted.move_to_end(key)
            return self._predicted.get(key)

    def predict(self, key: str) -> PredictedPhoto:
        """Return a photograph's prediction, from the cache or computed again.

        Raises:
            NotFoundError: the photograph is not in the store.
        """
        if predicted := self.find_predicted(key):
            return predicted
        predicted = self._predict(self.find(key))
        self._cache(key, predicted)
        return predicted

    def compare(self, keys: Sequence[str], stop: Interrupt) -> Album:
        """Return photographs as an album, in which the same things get the same colours.

        Args:
            keys: of the photographs; those that were removed or cannot be predicted are left out.
            stop: once it has an exit code, the album stays as it is by then.

        Raises:
            OSError: a temporary file cannot be written.
        """
        paths = [Path(key) for key in dict.fromkeys(keys)]

        def predict(path: Path) -> PhotoOutputs | None:
            with suppress(Exception):
                key = path.name
                predicted = self.find_predicted(key) or self._predict(self.find(key))
                return pack_outputs(path, predicted.size, predicted.prediction)
            return None

        workers = Workers(count_cores(), 0, stop, shown=False)
        outputs = (found for found in workers.map(shuffled(paths), predict) if found)
        return build_album(outputs, paths, ArrayFile(), workers)

    def study_reference(self, file: BinaryIO) -> Reference:
        """Return a colour photograph in an open file, which is closed, as a reference for others.

        Raises:
            PhotoError: it cannot be read, has several pages or no colours.
            PhotoTooLargeError: it would take too much memory or time.
        """
        photo = StoredPhoto("", file, file.seek(0, io.SEEK_END))
        with file:
            with self._hold_budget(photo.file_bytes), photo.rewound_file() as source:
                weight = measure_weight(source)
            with self._hold_budget(weight):
                with photo.rewound_file() as source:
                    sha256, _ = hash_source(source)
                    pixels = read_photo(source).pixels
                try:
                    return self.colourizer.study_reference(pixels, sha256)
                except ValueError as error:
                    raise PhotoError(str(error)) from error

    def write(
        self,
        key: str,
        settings: ColourSettings,
        file: BinaryIO,
        target: str | None = None,
        keep_luma: bool = False,
    ) -> str:
        """Write a coloured photograph as colourize.py does into an open file.

        Args:
            key: the photograph's in this store.
            settings: how it is coloured.
            file: an open one.
            target: one of photos.files.TARGETS; None is the photograph's own format.
            keep_luma: keep what a grey JPEG stores bit for bit.

        Returns:
            The file's name, with the folders of the photograph's.
        """
        photo = self.find(key)
        ab = self.predict(key).ab(settings)
        with self._hold_budget(photo.weight):
            with photo.rewound_file() as source:
                prepared = read_prepared(source, target, keep_luma)
            made_with = self.colourizer.settings(
                settings.variant,
                settings.hints,
                settings.reference,
                keep_luma,
                settings.look,
                settings.album is not None,
            )
            provenance = self.colourizer.provenance(made_with)
            write_coloured(file, prepared, ab, target, provenance)
        path = Path(photo.name)
        name = written_name(path, target, prepared.photo.format)
        return path.with_name(name).as_posix()

    def write_zip(
        self,
        wanted: dict[str, ColourSettings],
        file: BinaryIO,
        target: str | None = None,
        keep_luma: bool = False,
    ) -> list[str]:
        """Write coloured photographs into a ZIP, each under a name of its own.

        Args:
            wanted: how each is coloured, by its key.
            file: an open one.
            target: as for `write`.
            keep_luma: as for `write`.

        Returns:
            A message for each that could not be coloured; failed.txt in the ZIP has them, too.
        """
        taken = {FAILED_LIST}

        def is_taken(path: Path) -> bool:
            return comparison_key(path) in taken

        failed = []
        with zipfile.ZipFile(file, "w") as archive:  # photographs are compressed already
            for key, settings in wanted.items():
                photo = self._photos.get(key)
                name = photo.name if photo else key
                try:
                    with tempfile.SpooledTemporaryFile(MAX_ZIP_MEMORY) as content:
                        coloured = cast(BinaryIO, content)
                        written = self.write(key, settings, coloured, target, keep_luma)
                        path = unused_name(Path(written), is_taken)
                        content.seek(0)
                        with archive.open(path.as_posix(), "w", force_zip64=True) as entry:
                            shutil.copyfileobj(content, entry)
                    taken.add(comparison_key(path))
                except Exception as error:  # one bad photograph never stops the others
                    failed.append(f"{name}: {error or type(error).__name__}")
            if failed:
                archive.writestr(FAILED_LIST, "\n".join(failed) + "\n")
        return failed

    @contextmanager
    def _hold_budget(self, weight: int) -> Iterator[None]:
        """Wait for a share of the budget and hold it; a heavy photograph is not overtaken."""
        with ExitStack() as held:
            with self._next:
                held.enter_context(self._budget.hold(weight))
            yield

    def _predict(self, photo: StoredPhoto) -> PredictedPhoto:
        """Decode a photograph and run the network on it; raises the exceptions of `add`."""
        with self._hold_budget(photo.file_bytes), photo.rewound_file() as source:
            photo.weight = measure_weight(source)
        with self._hold_budget(photo.weight):
            with photo.rewound_file() as source:
                prepared = read_prepared(source)
            (prediction,) = self.colourizer.predict([prepared.lightness], with_features=True)
            original = draw_original(prepared.photo)
            return PredictedPhoto(photo.key, prediction, prepared.size, original)

    def _cache(self, key: str, predicted: PredictedPhoto) -> None:
        """Cache a prediction, unless its photograph was removed; drop the least recently used."""
        with self._lock:
            if key in self._photos:
                self._predicted[key] = predicted
            while len(self._predicted) > MAX_CACHED_PREDICTIONS:
                self._predicted.popitem(last=False)
