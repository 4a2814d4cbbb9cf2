"""The photographs that a page in a browser works on: bounded, and forgotten when it is closed."""

import io
import tempfile
import time
import zipfile
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from secrets import token_urlsafe
from threading import Lock
from typing import IO, BinaryIO, cast

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

VIEW_SIDE = 1280  # pixels: the longest side of the largest picture that a page gets to see
VIEW_QUALITY = 90  # of the JPEGs that it sees
MOST_PIXELS = 150_000_000  # of a photograph; more than that is work for the command line
MOST_BYTES = 256 << 20  # of a photograph's file
MOST_KEPT = 8 << 30  # bytes of all files, on the disk
MOST_PHOTOS = 2000
# What is in memory: of so many photographs what the network said, 5 MB each; and decoded at the
# same time so many pixels, a larger photograph alone.
OPENED, PIXELS_IN_FLIGHT = 12, 30_000_000
SHADE = 4  # the power of confidence that is laid over a photograph: what is less would be missed
KEPT_SECONDS = 1800  # a page that is open says more often that it is
LONGEST_NAME = 200  # bytes of a file's or folder's name


class TooMuchError(Exception):
    """A photograph that is too large for a page."""


class NoRoomError(Exception):
    """There are too many photographs; some have to go first."""


class GoneError(Exception):
    """A photograph that is not here, or not any more."""


@dataclass(frozen=True)
class Wish:
    """How somebody wants a photograph's colours."""

    vividness: float
    variant: int = 0
    hints: tuple[Hint, ...] = ()


@dataclass
class Kept:
    """A photograph's file; it has no name on the disk, so that nothing stays when we are killed."""

    name: str  # a path below some folder, as it was uploaded
    file: IO[bytes]
    size: int  # bytes
    height: int = 0  # pixels, upright
    width: int = 0
    seen: float = field(default_factory=time.monotonic)  # when somebody last wanted it
    lock: Lock = field(default_factory=Lock)  # held while the file is read


@dataclass(frozen=True)
class Opened:
    """What it takes to show a photograph in any colours.

    size: (H, W) of the photograph, upright.
    view: (h, w) grey, uint8, upright; transparent parts are white.
    """

    prediction: Prediction
    size: tuple[int, int]
    view: np.ndarray

    def reduced_view(self, side: int) -> np.ndarray:
        """Give the view with no side longer than so many pixels."""
        image = Image.fromarray(self.view)
        image.thumbnail((side, side))
        return np.asarray(image)

    def ab(self, wish: Wish) -> Tensor:
        """Read the wished colours, ab (1, 2, h', w') in Lab units."""
        return self.prediction.ab(wish.vividness, wish.variant, wish.hints, self.size)


def safe_name(text: str) -> str:
    """Make of what a browser calls a file a path that stays below any folder it is put into."""
    parts = []
    for part in text.replace("\\", "/").split("/"):
        kept = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in part)
        path = PurePosixPath(kept.strip())
        if path.name not in ("", ".", ".."):
            stem = path.stem.encode()[: LONGEST_NAME - len(path.suffix.encode())]
            parts.append(stem.decode(errors="ignore") + path.suffix[:20])
    return "/".join(parts[-8:]) or "photograph"


class Desk:
    """The photographs of all pages; any number of threads may work on them at the same time."""

    def __init__(self, colourizer: Colourizer, tag: str | None) -> None:
        """Take what colours them, and what their files' metadata will say."""
        self.colourizer = colourizer
        self._tag = tag
        self._kept: dict[str, Kept] = {}
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._changing = Lock()  # held while either of them changes
        self._budget = PixelBudget(PIXELS_IN_FLIGHT)

    def new_file(self) -> IO[bytes]:
        """Open a file for a photograph that is to come.

        Raises:
            NoRoomError: there are too many.
        """
        with self._changing:
            if len(self._kept) >= MOST_PHOTOS:
                raise NoRoomError(f"there are {MOST_PHOTOS} photographs here; remove some")
            if sum(kept.size for kept in self._kept.values()) >= MOST_KEPT:
                raise NoRoomError(f"the photographs here fill {MOST_KEPT >> 30} GB; remove some")
        return tempfile.TemporaryFile(prefix="colourizer-")

    def take(self, name: str, file: IO[bytes]) -> tuple[str, Kept]:
        """Keep a photograph that has come, and let the network look at it.

        Args:
            name: as the browser says it.
            file: of `new_file`, with the photograph in it; it is closed if that cannot be used.

        Returns:
            What it is called here, and it.

        Raises:
            PhotoError: it cannot be read, or has several pages.
            TooMuchError: it has too many pixels.
        """
        kept = Kept(safe_name(name), file, file.seek(0, io.SEEK_END))
        if not kept.size:
            file.close()
            raise PhotoError("is empty: a file of 0 bytes")
        key = token_urlsafe(16)  # nobody else guesses it
        try:
            opened = self._open(kept)
        except BaseException:
            file.close()
            raise
        with self._changing:
            self._kept[key] = kept
        self._remember(key, opened)
        return key, kept

    def forget(self, keys: Iterable[str]) -> None:
        """Drop photographs; those that are not here are none."""
        with self._changing:
            gone = [self._kept.pop(key) for key in set(keys) if key in self._kept]
            for key in list(self._opened):
                if key not in self._kept:
                    del self._opened[key]
        for kept in gone:
            with kept.lock:
                kept.file.close()

    def keep(self, keys: Iterable[str]) -> None:
        """Note that a page which shows these photographs is still open."""
        for key in keys:
            if kept := self._kept.get(key):
                kept.seen = time.monotonic()

    def forget_old(self) -> None:
        """Drop what no page has asked for in a long while."""
        now = time.monotonic()
        with self._changing:
            old = [key for key, kept in self._kept.items() if now - kept.seen > KEPT_SECONDS]
        self.forget(old)

    def find(self, key: str) -> Kept:
        """Find a photograph, and note that it is wanted."""
        kept = self._kept.get(key)
        if kept is None:
            raise GoneError("this photograph is not here any more; add it again")
        kept.seen = time.monotonic()
        return kept

    def draw_grey(self, key: str, side: int) -> bytes:
        """Draw a photograph as it was, as a JPEG no side of which is longer than so many pixels."""
        return to_jpeg(Image.fromarray(self._opened_of(key).reduced_view(side)), VIEW_QUALITY)

    def draw(self, key: str, side: int, wish: Wish) -> bytes:
        """Draw a photograph in colour, as a JPEG."""
        opened = self._opened_of(key)
        view = PreparedPhoto(Photo(opened.reduced_view(side), "JPEG"))
        file = io.BytesIO()
        write_coloured(file, view, opened.ab(wish))
        return file.getvalue()

    def draw_confidence(self, key: str, side: int) -> bytes:
        """Draw how sure the network is of a photograph's colours, to be laid over it: dark if not.

        Raises:
            GoneError: it does not know.
        """
        opened = self._opened_of(key)
        sure = opened.prediction.confidence()
        if sure is None:
            raise GoneError("this network does not know how sure it is")
        return to_jpeg(draw_confidence(sure**SHADE, *opened.reduced_view(side).shape), VIEW_QUALITY)

    def write(self, key: str, wish: Wish, file: BinaryIO) -> str:
        """Colour a photograph as colourize.py does, into an open file; return the file's name."""
        kept = self.find(key)
        ab = self._opened_of(key).ab(wish)
        with self._budget.hold(kept.width * kept.height):
            write_coloured(file, self._read(kept), ab, tag=self._tag)
        path = Path(kept.name)
        return path.with_name(written_name(path)).as_posix()

    def write_all(self, wishes: list[tuple[str, Wish]], file: IO[bytes]) -> list[str]:
        """Colour photographs into a ZIP, no two of them under one name.

        Args:
            wishes: what the photographs are called here, and how they are wanted.
            file: an open one.

        Returns:
            What is wrong with those that could not be coloured; the ZIP says it too.
        """
        taken: set[str] = set()
        failed = []
        with zipfile.ZipFile(file, "w") as archive:  # photographs are compressed already
            for key, wish in wishes:
                kept = self._kept.get(key)
                name = kept.name if kept else key
                try:
                    content = io.BytesIO()
                    path = Path(self.write(key, wish, content))
                    name_in_zip = unused_name(path, lambda p: p.as_posix().casefold() in taken)
                    taken.add(name_in_zip.as_posix().casefold())
                    archive.writestr(name_in_zip.as_posix(), content.getbuffer())
                except Exception as error:  # one bad photograph never stops the others
                    failed.append(f"{name}: {error or type(error).__name__}")
            if failed:
                archive.writestr("failed.txt", "\n".join(failed) + "\n")
        return failed

    def _read(self, kept: Kept) -> PreparedPhoto:
        with kept.lock:
            if kept.file.closed:
                raise GoneError("this photograph is not here any more; add it again")
            kept.file.seek(0)
            return read_prepared(cast(BinaryIO, kept.file))

    def _open(self, kept: Kept) -> Opened:
        """Decode a photograph and let the network look at it."""
        with kept.lock:
            kept.file.seek(0)
            pixels = count_pixels(cast(BinaryIO, kept.file))
        if pixels > MOST_PIXELS:
            what = f"has {pixels // 10**6} million pixels; here {MOST_PIXELS // 10**6} are the most"
            raise TooMuchError(f"{what}; python colourize.py takes more")
        with self._budget.hold(pixels):
            prepared = self._read(kept)
            photo, (kept.height, kept.width) = prepared.photo, prepared.size
            (prediction,) = self.colourizer.predict([prepared.lightness], with_features=True)
            view = to_grey(thumbnail_pixels(photo, VIEW_SIDE))
            if photo.alpha is not None:
                image = Image.fromarray(to_8_bits(photo.alpha)).resize(view.shape[::-1])
                alpha = np.asarray(image, dtype=np.uint16)
                view = ((view * alpha + 255 * (255 - alpha)) // 255).astype(np.uint8)
        return Opened(prediction, (kept.height, kept.width), view)

    def _remember(self, key: str, opened: Opened) -> None:
        with self._changing:
            if key in self._kept:
                self._opened[key] = opened
            while len(self._opened) > OPENED:
                self._opened.popitem(last=False)

    def _opened_of(self, key: str) -> Opened:
        kept = self.find(key)
        with self._changing:
            if key in self._opened:
                self._opened.move_to_end(key)
                return self._opened[key]
        opened = self._open(kept)
        self._remember(key, opened)
        return opened
