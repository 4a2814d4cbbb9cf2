"""decoding_weight.py: what is too large is refused in words before it is decoded."""

import io
import struct
import zlib
from typing import Any

import pytest
from support.scenes import scene

from colourizer.app import decoding_weight
from colourizer.app.decoding_weight import PhotoTooLargeError, measure_weight
from colourizer.app.photo_store import PhotoStore
from colourizer.inference.colourizer import Colourizer


def encoded(mode: str, file_format: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    scene(1, 30, 40).convert(mode).save(file, file_format, **options)
    return file.getvalue()


def png(width: int, height: int, colour_type: int, depth: int) -> bytes:
    """Return a PNG of the size and kind; only the first of its rows are there."""

    def chunk(name: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "each"),
    [
        (encoded("1"), 1),
        (encoded("L"), 1),
        (encoded("L", "JPEG"), 1),
        (encoded("P"), 4),
        (encoded("LA"), 2),
        (encoded("RGB"), 3),
        (encoded("RGBA"), 4),
        (encoded("I;16"), 2),
        (png(40, 30, 2, 16), 6),
        (png(40, 30, 4, 16), 8),  # Pillow decodes it to four channels
        (png(40, 30, 6, 16), 8),
        (encoded("CMYK", "TIFF"), 4),
        (encoded("F", "TIFF"), 4),
        (encoded("RGB", "WEBP"), 3 * 2),
    ],
)
def test_a_weight_is_pixels_times_channels_times_depth_and_the_file(content, each):
    assert measure_weight(io.BytesIO(content)) == 30 * 40 * each + len(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (png(12200, 12200, 6, 16), "148 million pixels of 8 bytes, so 1190 MB .*; 450 MB are the"),
        (png(12300, 12300, 0, 8), "151 million pixels; 150 million are the most here"),
        (png(9000, 9000, 2, 16), "450 MB are the most here; python colourize.py takes more"),
    ],
)
def test_what_takes_too_much_memory_is_refused_in_words(content, words):
    with pytest.raises(PhotoTooLargeError, match=words):
        measure_weight(io.BytesIO(content))


def test_150_megapixels_in_colour_are_not_too_many():
    measure_weight(io.BytesIO(png(12240, 12240, 2, 8)))


def test_formats_that_take_more_to_be_written_may_have_fewer_pixels(monkeypatch):
    monkeypatch.setattr(decoding_weight, "MAX_WEIGHT", 5000)
    measure_weight(io.BytesIO(encoded("RGB")))
    with pytest.raises(PhotoTooLargeError, match="0 MB in a photograph of its format, WEBP, are"):
        measure_weight(io.BytesIO(encoded("RGB", "WEBP")))


def test_a_jpeg_of_too_many_scans_is_refused_in_words(monkeypatch):
    content = encoded("L", "JPEG", progressive=True)
    last = content[content.rfind(b"\xff\xda") : -2]
    many = content[:-2] + 200 * last + content[-2:]
    monkeypatch.setattr(decoding_weight, "MAX_PIXELS_IN_SCANS", 100 * 30 * 40)
    measure_weight(io.BytesIO(content))
    with pytest.raises(PhotoTooLargeError, match="in 206 scans; 100 scans are the most here"):
        measure_weight(io.BytesIO(many))


def test_the_page_decodes_nothing_that_is_too_large(checkpoint_file, monkeypatch):
    store = PhotoStore(Colourizer.load(checkpoint_file, "cpu"))
    monkeypatch.setattr(
        "colourizer.app.photo_store.read_prepared", lambda *_: pytest.fail("was decoded")
    )
    file = store.create_file()
    file.write(png(12200, 12200, 6, 16))
    with pytest.raises(PhotoTooLargeError, match=r"colourize\.py takes more"):
        store.add("photo.png", file)
    assert file.closed
