"""Store of the uploaded photographs: temporary files, cached predictions, limits, expiry."""

import io
import tempfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from secrets import token_urlsafe
from threading import Lock
from typing import BinaryIO, cast

import numpy as np
from PIL import Image
from torch import Tensor

from colourizer.inference.colour_file import read_prepared, write_coloured
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import Hint
from colourizer.inference.lightness import to_grey
from colourizer.inference.output_plan import unused_name
from colourizer.inference.prediction import Prediction
from colourizer.inference.preprocess import PreparedPhoto
from colourizer.inference.side_pictures import draw_confidence, thumbnail_pixels
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import written_name
from colourizer.photos.photo import Photo
from colourizer.photos.pictures import to_jpeg
from colourizer.photos.pixels import to_8_bits
from colourizer.photos.read import count_pixels
from colourizer.runtime.parallel import PixelBudget

VIEW_SIDE = 1280  # pixels: the longest side of the largest picture that the page shows
VIEW_JPEG_QUALITY = 90  # of grey and confidence pictures; coloured ones are written as files are
MAX_PIXELS = 150_000_000  # of a photograph; larger ones are left to the command line
MAX_PHOTOS = 2000
MAX_STORED_BYTES = 8 << 30  # of all files, on the disk
MAX_CACHED_PREDICTIONS = 12  # in memory, 5 MB each
MAX_PIXELS_IN_FLIGHT = 30_000_000  # decoded at the same time; a larger photograph alone
CONFIDENCE_GAMMA = 4  # exponent of the confidence that is drawn; else low values hardly show
EXPIRY_SECONDS = 1800  # since the last use; an open page touches its photographs more often
MAX_NAME_BYTES = 200  # of a file's or folder's name
REMOVED = "this photograph is not here any more; add it again"


class PhotoTooLargeError(Exception):
    """A photograph that is too large for the page."""


class StoreFullError(Exception):
    """The store holds too many photographs; some have to be removed first."""


class NotFoundError(Exception):
    """A photograph that is not in the store, or a picture that cannot be drawn of it."""


@dataclass(frozen=True)
class ColourSettings:
    """How a photograph is coloured.

    vividness: from 0, the safe mean, to 1.
    variant: which of several plausible colourings.
    hints: known colours of single points.
    """

    vividness: float
    variant: int = 0
    hints: tuple[Hint, ...] = ()


@dataclass
class StoredPhoto:
    """An uploaded file. It has no name on the disk, so nothing is left if the process is killed."""

    name: str  # a relative path, of `safe_name`
    file: BinaryIO
    file_bytes: int
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


@dataclass(frozen=True)
class PredictedPhoto:
    """A photograph's prediction and thumbnail, to show it in any colours without its file.

    prediction: of the network, with features.
    size: (H, W) of the photograph, upright.
    view: (h, w) grey, uint8, upright, no side longer than VIEW_SIDE; from `draw_view`.
    """

    prediction: Prediction
    size: tuple[int, int]
    view: np.ndarray

    def reduced_view(self, side: int) -> np.ndarray:
        """Return the view, (h, w) uint8, with no side longer than `side` pixels."""
        image = Image.fromarray(self.view)
        image.thumbnail((side, side))
        return np.asarray(image)

    def ab(self, settings: ColourSettings) -> Tensor:
        """Return the chroma that the settings ask for, ab (1, 2, h', w') in Lab units.

        Raises:
            HintError: a hint lies outside the photograph.
        """
        return self.prediction.ab(settings.vividness, settings.variant, settings.hints, self.size)


def safe_name(text: str) -> str:
    """Return a name from a browser as a relative path that cannot lead out of a folder."""
    parts = []
    for part in text.replace("\\", "/").split("/"):
        cleaned = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in part)
        path = PurePosixPath(cleaned.strip())
        if path.name not in ("", ".", ".."):
            stem = path.stem.encode()[: MAX_NAME_BYTES - len(path.suffix.encode())]
            parts.append(stem.decode(errors="ignore") + path.suffix[:20])
    return "/".join(parts[-8:]) or "photograph"


def draw_view(photo: Photo) -> np.ndarray:
    """Return a grey thumbnail (h, w) uint8; transparent parts are composited onto white."""
    view = to_grey(thumbnail_pixels(photo, VIEW_SIDE))
    if photo.alpha is None:
        return view
    image = Image.fromarray(to_8_bits(photo.alpha)).resize(view.shape[::-1])
    alpha = np.asarray(image, dtype=np.uint16)
    return ((view * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)


class PhotoStore:
    """The photographs of all pages; any number of threads may share it."""

    def __init__(self, colourizer: Colourizer, provenance: str | None) -> None:
        """Create an empty store.

        Args:
            colourizer: what colours the photographs.
            provenance: the program that coloured them, for their metadata; None leaves it out.
        """
        self.colourizer = colourizer
        self._provenance = provenance
        self._photos: dict[str, StoredPhoto] = {}
        self._predicted: OrderedDict[str, PredictedPhoto] = OrderedDict()  # least recent first
        self._lock = Lock()  # held while either of them changes
        self._budget = PixelBudget(MAX_PIXELS_IN_FLIGHT)

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
        return cast(BinaryIO, tempfile.TemporaryFile(prefix="colourizer-"))

    def add(self, name: str, file: BinaryIO) -> tuple[str, StoredPhoto]:
        """Add an uploaded photograph, and run the network on it.

        Args:
            name: as the browser gives it.
            file: of `create_file`, with the photograph in it; closed if that cannot be used.

        Returns:
            The photograph's key in this store, and the photograph.

        Raises:
            PhotoError: it cannot be read, or has several pages.
            PhotoTooLargeError: it has too many pixels.
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
        key = token_urlsafe(16)  # cannot be guessed
        with self._lock:
            self._photos[key] = photo
        self._cache(key, predicted)
        return key, photo

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

    def draw_grey(self, key: str, side: int) -> bytes:
        """Return a photograph in grey, as a JPEG with no side longer than `side` pixels."""
        view = self._find_predicted(key).reduced_view(side)
        return to_jpeg(Image.fromarray(view), VIEW_JPEG_QUALITY)

    def draw_coloured(self, key: str, side: int, settings: ColourSettings) -> bytes:
        """Return a photograph in colour, as a JPEG with no side longer than `side` pixels."""
        predicted = self._find_predicted(key)
        view = PreparedPhoto(Photo(predicted.reduced_view(side), "JPEG"))
        file = io.BytesIO()
        write_coloured(file, view, predicted.ab(settings))
        return file.getvalue()

    def draw_confidence(self, key: str, side: int) -> bytes:
        """Return the network's confidence as a JPEG to be laid over a photograph; dark is low.

        Raises:
            NotFoundError: the network has no likelihoods, so no confidence.
        """
        predicted = self._find_predicted(key)
        confidence = predicted.prediction.confidence()
        if confidence is None:
            raise NotFoundError("this network does not know how sure it is")
        size = predicted.reduced_view(side).shape
        return to_jpeg(draw_confidence(confidence**CONFIDENCE_GAMMA, *size), VIEW_JPEG_QUALITY)

    def write(self, key: str, settings: ColourSettings, file: BinaryIO) -> str:
        """Write a coloured photograph as colourize.py does into an open file; return its name."""
        photo = self.find(key)
        ab = self._find_predicted(key).ab(settings)
        with self._budget.hold(photo.width * photo.height):
            with photo.rewound_file() as source:
                prepared = read_prepared(source)
            write_coloured(file, prepared, ab, provenance=self._provenance)
        path = Path(photo.name)
        return path.with_name(written_name(path)).as_posix()

    def write_zip(self, wanted: list[tuple[str, ColourSettings]], file: BinaryIO) -> list[str]:
        """Write coloured photographs into a ZIP, each under a name of its own.

        Args:
            wanted: the photographs' keys, and how each is coloured.
            file: an open one.

        Returns:
            A message for each that could not be coloured; failed.txt in the ZIP has them, too.
        """
        taken: set[str] = set()
        failed = []
        with zipfile.ZipFile(file, "w") as archive:  # photographs are compressed already
            for key, settings in wanted:
                photo = self._photos.get(key)
                name = photo.name if photo else key
                try:
                    content = io.BytesIO()
                    path = Path(self.write(key, settings, content))
                    name_in_zip = unused_name(path, lambda p: p.as_posix().casefold() in taken)
                    taken.add(name_in_zip.as_posix().casefold())
                    archive.writestr(name_in_zip.as_posix(), content.getbuffer())
                except Exception as error:  # one bad photograph never stops the others
                    failed.append(f"{name}: {error or type(error).__name__}")
            if failed:
                archive.writestr("failed.txt", "\n".join(failed) + "\n")
        return failed

    def _predict(self, photo: StoredPhoto) -> PredictedPhoto:
        """Decode a photograph and run the network on it; raises the exceptions of `add`."""
        with photo.rewound_file() as source:
            pixels = count_pixels(source)
        if pixels > MAX_PIXELS:
            what = f"has {pixels // 10**6} million pixels; here {MAX_PIXELS // 10**6} are the most"
            raise PhotoTooLargeError(f"{what}; python colourize.py takes more")
        with self._budget.hold(pixels):
            with photo.rewound_file() as source:
                prepared = read_prepared(source)
            (prediction,) = self.colourizer.predict([prepared.lightness], with_features=True)
            return PredictedPhoto(prediction, prepared.size, draw_view(prepared.photo))

    def _cache(self, key: str, predicted: PredictedPhoto) -> None:
        """Cache a prediction, unless its photograph was removed; drop the least recently used."""
        with self._lock:
            if key in self._photos:
                self._predicted[key] = predicted
            while len(self._predicted) > MAX_CACHED_PREDICTIONS:
                self._predicted.popitem(last=False)

    def _find_predicted(self, key: str) -> PredictedPhoto:
        """Return a photograph's prediction, from the cache or computed again."""
        photo = self.find(key)
        with self._lock:
            if key in self._predicted:
                self._predicted.move_to_end(key)
                return self._predicted[key]
        predicted = self._predict(photo)
        self._cache(key, predicted)
        return predicted
