"""read.py: what is read is what was there."""

import io
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from support.scenes import scene
from support.tiff_kinds import UPRIGHT

from colourizer.photos import read
from colourizer.photos.errors import PhotoError
from colourizer.photos.exif import Directory
from colourizer.photos.files import find_photos
from colourizer.photos.icc import grey_srgb_profile
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.read import map_photos, read_photo, read_rgb
from colourizer.photos.write import write_photo

RAMP = np.linspace(0, 1, 256)[None].repeat(4, axis=0)


@pytest.mark.parametrize(
    ("name", "image", "full"),
    [
        ("8.png", Image.fromarray((RAMP * 255).round().astype(np.uint8)), 255),
        ("16.png", Image.fromarray((RAMP * 65535).round().astype(np.uint16)), 65535),
        ("16.tif", Image.fromarray((RAMP * 65535).round().astype(np.uint16)), 65535),
        ("32.tif", Image.fromarray((RAMP * 65535).round().astype(np.int32)), 65535),
        ("float.tif", Image.fromarray(RAMP.astype(np.float32)), 65535),
        ("float255.tif", Image.fromarray((RAMP * 255).astype(np.float32)), 65535),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_grey_ramp_of_any_depth_is_never_clipped(tmp_path, name, image, full):
    image.save(tmp_path / name)
    pixels = read_photo(tmp_path / name).pixels
    assert pixels.ndim == 2
    assert np.abs(pixels / full - RAMP).max() < 1 / 255
    reduced = np.asarray(read_rgb(tmp_path / name))[..., 0]
    assert np.abs(reduced / 255 - RAMP).max() < 1 / 255


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"])
def test_every_mode_gives_pixels_and_alpha_of_the_right_shape(tmp_path, mode):
    name = tmp_path / ("photo.tif" if mode == "CMYK" else "photo.png")
    image = scene(0).convert(mode)
    if "A" in mode:
        image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(name)
    photo = read_photo(name)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == ((48, 64) if mode in ("1", "L", "LA") else (48, 64, 3))
    assert (photo.alpha is not None) == ("A" in mode)


STORED = [("jpg", 8), ("png", 8), ("webp", 8), ("avif", 8), ("tif", 8), ("png", 16), ("tif", 16)]


@pytest.mark.parametrize(("suffix", "bits"), STORED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_once(tmp_path, orientation, suffix, bits):
    path = tmp_path / f"a.{suffix}"
    lying = np.asarray(scene(1))
    if suffix == "tif":
        lying = lying if bits == 8 else lying.astype(np.uint16) * 251
        tag = (274, 3, 1, orientation, True)
        tifffile.imwrite(path, lying, photometric="rgb", metadata=None, extratags=[tag])
    elif bits == 16:
        lying = lying.astype(np.uint16) * 251
        exif = Directory(">")
        exif.put(274, 3, orientation)
        blank = Photo(lying, "PNG", metadata=Metadata(texts=(("Title", "a"),)))
        with path.open("w+b") as file:
            write_photo(file, lying, blank)
        content = bytearray(path.read_bytes())
        body = b"eXIf" + b"MM\0*\0\0\0\x08" + exif.pack(8)
        chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
        path.write_bytes(content[:33] + chunk + content[33:])
    else:
        exif = Image.Exif()
        exif[0x0112] = orientation
        options = {"lossless": True} if suffix == "webp" else {"quality": 95}
        scene(1).save(path, exif=exif, **options)
    photo = read_photo(path)
    assert photo.pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    truth = UPRIGHT[orientation](lying)
    assert photo.pixels.shape == truth.shape
    error = np.abs(photo.pixels.astype(int) - truth).mean()
    assert error == 0 if suffix in ("png", "tif", "webp") else error < 8
    write_photo(tmp_path / f"b.{suffix}", photo.pixels, like=photo)
    again = read_photo(tmp_path / f"b.{suffix}")
    assert again.pixels.shape == truth.shape
    if suffix in ("png", "tif"):
        assert np.array_equal(again.pixels, truth)
    with Image.open(tmp_path / f"b.{suffix}") as image:
        assert image.size == truth.shape[1::-1]
        assert image.getexif().get(0x0112, 1) == 1


def test_a_large_photo_is_reduced_and_a_small_one_left_alone(tmp_path):
    scene(6, 300, 500).save(tmp_path / "a.jpg")
    assert read_rgb(tmp_path / "a.jpg", shortest_side=60).size == (100, 60)
    assert read_rgb(tmp_path / "a.jpg", shortest_side=400).size == (500, 300)


GREY = np.asarray(scene(9).convert("L"))


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "avif"])
def test_a_grey_photo_stored_in_colour_is_read_as_grey(tmp_path, suffix):
    Image.fromarray(GREY).convert("RGB").save(tmp_path / f"a.{suffix}")
    pixels = read_photo(tmp_path / f"a.{suffix}").pixels
    assert pixels.shape == GREY.shape
    if suffix in ("png", "tif", "bmp", "gif"):
        assert np.array_equal(pixels, GREY)
    if suffix == "jpg":  # the luma that the file holds, not what a trip through RGB makes of it
        with Image.open(tmp_path / "a.jpg") as image:
            image.draft("L", image.size)
            assert np.array_equal(pixels, np.asarray(image))


def test_a_grey_jpeg_that_only_pillow_decodes_keeps_its_scans(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    expected = read_photo(tmp_path / "a.jpg", with_scans=True)
    monkeypatch.setattr(read, "decode_jpeg_without_pillow", lambda *_: None)
    by_pillow = read_photo(tmp_path / "a.jpg", with_scans=True)
    assert by_pillow.scans == expected.scans
    assert expected.scans
    assert np.array_equal(by_pillow.pixels, expected.pixels)


def test_one_pixel_of_colour_makes_a_photo_a_coloured_one(tmp_path):
    image = Image.fromarray(GREY).convert("RGB")
    image.putpixel((63, 47), (10, 11, 10))
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, np.asarray(image))


def test_inverted_cmyk_is_read_as_what_it_shows_and_written_without_its_profile(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # a mistake
    scene(1).convert("CMYK").save(tmp_path / "a.jpg", quality=95, icc_profile=profile)
    photo = read_photo(tmp_path / "a.jpg")
    assert np.abs(photo.pixels.astype(int) - np.asarray(scene(1))).mean() < 4
    assert photo.metadata.icc_profile == b""
    write_photo(tmp_path / "b.jpg", photo.pixels, like=photo)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.mode == "RGB"


def test_broken_exif_does_not_cost_the_photo(tmp_path):
    scene(7).save(tmp_path / "a.webp", exif=b"Exif\0\0no EXIF at all")
    assert read_photo(tmp_path / "a.webp").pixels.shape == (48, 64, 3)
    assert read_rgb(tmp_path / "a.webp").size == (64, 48)


def test_what_is_transparent_is_white_to_the_training(tmp_path):
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    image.save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png").getpixel((5, 5)) == (255, 255, 255)


@pytest.mark.parametrize("change", ["turned", "other greys", "colour"])
def test_scans_are_those_of_untouched_grey_jpegs_only(tmp_path, change):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"turned": {"exif": exif}, "other greys": {"icc_profile": grey_srgb_profile()}}
    image = scene(0).convert("RGB" if change == "colour" else "L")
    image.save(tmp_path / "a.jpg", **options.get(change, {}))
    photo = read_photo(tmp_path / "a.jpg", with_scans=True)
    assert photo.scans is None
    assert photo.note == ("" if change == "colour" else "its luma is not kept bit for bit")
    assert read_photo(tmp_path / "a.jpg").note == ""
    scene(0).convert("L").save(tmp_path / "b.jpg")
    assert read_photo(tmp_path / "b.jpg", with_scans=True).scans
    assert read_photo(tmp_path / "b.jpg").scans is None


@pytest.mark.parametrize("add", ["add_text", "add_itxt"])
def test_a_png_whose_exif_is_a_text_is_read_and_what_is_written_of_it_too(tmp_path, add):
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x01\0\0\0\0\0\0"
    texts = PngInfo()
    getattr(texts, add)("exif", exif.decode("latin-1"))
    texts.add_text("Title", "A house")
    Image.new("L", (8, 8), 100).save(tmp_path / "in.png", pnginfo=texts)
    photo = read_photo(tmp_path / "in.png")
    assert photo.metadata.exif == exif[6:]
    write_photo(tmp_path / "out.png", np.zeros((8, 8, 3), np.uint8), photo)
    metadata = read_photo(tmp_path / "out.png").metadata
    assert metadata.exif.startswith(b"MM\0*")
    assert metadata.texts == (("Title", "A house"),)


def test_many_photos_are_read_in_order_by_threads_that_are_set_up_first(album):
    (album / "broken.png").write_bytes(b"")
    ready = threading.local()

    def size_of(path: Path) -> tuple[int, int]:
        assert ready.now
        if path.name == "photo1.png":
            raise MemoryError
        return read_rgb(path).size

    paths = find_photos(album)
    results = list(map_photos(paths, size_of, lambda: setattr(ready, "now", True)))
    assert [path for path, _ in results] == paths
    failed = {path.name: str(result) for path, result in results if result != (64, 48)}
    assert list(failed) == ["broken.png", "photo1.png"]
    assert failed["photo1.png"] == "MemoryError"
    assert all(isinstance(r, PhotoError) for p, r in results if p.name in failed)


@pytest.mark.parametrize(
    ("file_format", "options"),
    [
        ("PNG", {}),
        ("JPEG", {}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("GIF", {}),
        ("BMP", {}),
        ("AVIF", {}),
    ],
)
def test_a_file_that_lacks_pixels_is_refused_by_every_reader(file_format, options):
    file = io.BytesIO()
    scene(0, 80, 112).save(file, file_format, **options)
    content = file.getvalue()
    for part in (0.35, 0.6, 0.9):
        cut = io.BytesIO(content[: int(part * len(content))])
        for reader in (read_photo, read_rgb):
            with pytest.raises(PhotoError):
                reader(cut)


def test_a_png_whose_pixels_are_damaged_is_refused():
    file = io.BytesIO()
    scene(0, 80, 112).save(file, "PNG")
    content, middle = file.getvalue(), len(file.getvalue()) // 2
    damaged = content[:middle] + bytes(8) + content[middle + 8 :]
    for reader in (read_photo, read_rgb):
        with pytest.raises(PhotoError):
            reader(io.BytesIO(damaged))
