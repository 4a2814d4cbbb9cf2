"""TiffImage: Pillow's TIFF, of which the photograph is taken, and read right whatever it stores."""

from typing import Any, BinaryIO, cast

import numpy as np
from PIL import ExifTags, Image, ImageFile, ImagePalette
from PIL.TiffImagePlugin import COMPRESSION_INFO, TiffImageFile

from colourizer.photos import tiff_samples
from colourizer.photos.errors import PhotoError
from colourizer.photos.exif import read_directory, read_header
from colourizer.photos.files import TIFF_STARTS
from colourizer.photos.pixels import to_8_bits
from colourizer.photos.tiff_pages import Page, find_photographs, may_be_copy
from colourizer.photos.tiff_samples import Layout, decode_tiff, read_layout

# Tags that say what samples are and how they are stored.
SAMPLE_TAGS = (258, 259, 262, 266, 277, 284, 317, 338, 339)
MODES = {tiff_samples.RGB: "RGB", tiff_samples.PALETTE: "RGB"}
MODES |= {tiff_samples.CMYK: "CMYK", tiff_samples.LAB: "LAB"}
# A reduced copy of a picture differs from it by less than this share of the picture's contrast,
# and this many grey values more: both reduced to so many pixels a side.
COPY_CONTRAST, COPY_NOISE, COPY_SIDE = 0.3, 2, 32
# Photometric interpretations and compressions that are named when they are refused.
UNREAD_COLOURS = {
    9: "ICC Lab colours",
    10: "ITU Lab colours",
    32803: "the raw values of a camera's sensor",
    32844: "LogLuv colours",
    32845: "LogLuv colours",
    34892: "the raw values of a camera's sensor",
}
UNREAD_COMPRESSIONS = {
    6: "JPEG of an old kind",
    33003: "JPEG 2000",
    33004: "JPEG 2000",
    33005: "JPEG 2000",
    34712: "JPEG 2000",
    34713: "a camera's own compression",
    34887: "LERC",
    34892: "JPEG of a camera's raw file",
    50002: "JPEG XL",
    52546: "JPEG XL",
}


class TiffImage(TiffImageFile):
    """A TIFF opened at its photograph.

    Pillow decodes what it decodes right: samples of up to 8 bits that lie together, JPEG and fax.
    All other kinds are decoded from their samples.

    Attributes:
        photographs: those of its pictures that may be the photograph; the first one is opened.
        layout: how its samples are stored; None where Pillow decodes them.
    """

    photographs: list[Page]
    layout: Layout | None = None

    def _open(self) -> None:
        assert self.fp is not None
        start = self.fp.read(4)
        if start == TIFF_STARTS[3]:
            raise PhotoError("is a BigTIFF in big-endian order, which is not supported")
        self.photographs = []
        found = find_photographs(cast(BinaryIO, self.fp))
        self.fp.seek(0)
        super()._open()
        self._open_at(found)
        self.filename = ""  # mapped into memory, what lies on its side would come out as stripes

    def _open_at(self, photographs: list[Page]) -> None:
        self.photographs = photographs
        self._frame_pos[0] = photographs[0].offset
        self._seek(0)
        self.getexif()[ExifTags.Base.Orientation] = photographs[0].orientation

    def _setup(self) -> None:
        if not self.photographs:  # the first picture, which need not be the photograph
            self._mode = "L"
            return
        assert self.fp is not None
        page = self.photographs[0]
        self.tag_v2[ExifTags.Base.Orientation] = page.orientation
        file = cast(BinaryIO, self.fp)
        order, big, _ = read_header(file)
        directory, _ = read_directory(file, page.offset, order, big)

        def numbers(tag: int, default: int) -> set[int]:
            return set(directory.numbers(tag) or (default,))

        (compression, *_), (photometric, *_) = numbers(259, 1), numbers(262, 0)
        _refuse(compression, photometric)
        has_samples = compression in tiff_samples.COMPRESSIONS
        plain = numbers(258, 1) <= {1, 2, 4, 8} and numbers(284, 1) == numbers(339, 1) == {1}
        plain = plain and compression != tiff_samples.WEBP  # which Pillow's libtiff lacks
        plain = plain and numbers(266, 1) == {1}  # Pillow does not reverse the bits of all kinds
        plain = plain and tiff_samples.PREMULTIPLIED not in numbers(338, 0)  # Pillow rounds it down
        if photometric == tiff_samples.YCBCR or not has_samples:
            self._set_up_by_pillow(compression)
        elif not (plain and photometric in (0, 1, 2, 3, 5) and self._has_pillows_mode()):
            self.layout = read_layout(directory)
            stored = {tag: self.tag_v2.pop(tag, None) for tag in SAMPLE_TAGS}
            self.tag_v2.update({258: (8,), 262: 1})  # grey of 8 bits, which Pillow opens
            super()._setup()
            self.tag_v2.update({tag: value for tag, value in stored.items() if value is not None})
            self._mode, self.tile = MODES.get(photometric, "L"), []
        if self.mode in ("P", "PA") and max(self.tag_v2[320]) < 256:  # a palette of 8 bits
            self.palette = ImagePalette.raw("RGB;L", bytes(self.tag_v2[320]))

    def _set_up_by_pillow(self, compression: int) -> None:
        try:
            super()._setup()
        except (SyntaxError, KeyError, ValueError, TypeError, OSError) as error:
            raise PhotoError("is a TIFF of a kind that is not supported") from error
        if compression == tiff_samples.RAW:  # libtiff knows how chroma of a lower resolution lies
            self._mode, self.use_load_libtiff = "RGB", True
            args = ("RGBX", False, self.tag_v2.offset)
            self.tile = [ImageFile._Tile("libtiff", (0, 0, *self._tile_size), 0, args)]

    def _has_pillows_mode(self) -> bool:
        try:
            super()._setup()
        except SyntaxError:
            return False
        return True

    def is_reduced_copy(self, page: Page) -> bool:
        """Return whether another of the file's pictures is a reduced copy of the photograph."""
        if not may_be_copy(page, self.photographs[0]):
            return False
        size = min(COPY_SIDE, page.size[0]), min(COPY_SIDE, page.size[1])
        try:
            photo, other = (self._read_grey(each, size) for each in (self.photographs[0], page))
        except Exception:  # what cannot be decoded may be anything
            return False
        difference = np.sqrt(np.mean((photo - other) ** 2))
        return bool(difference < COPY_CONTRAST * photo.std() + COPY_NOISE)

    def _read_grey(self, page: Page, size: tuple[int, int]) -> np.ndarray:
        """Return a picture's grey values, reduced to a size (W, H); [0, 255]."""
        image = TiffImage(cast(BinaryIO, self._fp))
        image._open_at([page])
        return np.asarray(image.convert("L").resize(size, Image.Resampling.BOX), float)

    def read_pixels(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return pixels and alpha, as in Photo but not turned, of an image that has a layout.

        Raises:
            PhotoError: they cannot be decoded.
        """
        assert self.layout is not None
        try:
            return decode_tiff(
                cast(BinaryIO, self.fp), self.layout, self.info.get("icc_profile") or b""
            )
        except PhotoError:
            raise
        except Exception as error:
            raise PhotoError(f"cannot be decoded ({error})") from error

    def load(self) -> Any:
        """Decode the image; samples that Pillow does not decode, to 8 bits."""
        if self.layout is None or self._im is not None:
            return super().load()
        pixels, alpha = self.read_pixels()
        image = Image.fromarray(to_8_bits(pixels))
        if alpha is not None:
            image.putalpha(Image.fromarray(to_8_bits(alpha)))
        self.im, self._mode, self._size, self.tile = image.im, image.mode, image.size, []
        self.load_end()  # which turns it
        return super().load()


def _refuse(compression: int, photometric: int) -> None:
    """Raise PhotoError for a TIFF of a kind that is not read, in words."""
    if what := UNREAD_COLOURS.get(photometric):
        raise PhotoError(f"is a TIFF with {what}, which is not supported")
    if compression not in COMPRESSION_INFO:
        what = UNREAD_COMPRESSIONS.get(compression, f"a compression of number {compression}")
        raise PhotoError(f"is a TIFF with {what}, which is not supported")
