"""write.py: what is written is whole, or not there."""

import io
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.scenes import scene

from colourizer.photos.encode import save_image
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import written_name
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.read import read_photo
from colourizer.photos.write import write_jpeg, write_photo
from colourizer.runtime.atomic_file import write_atomically


def test_exif_dpi_colour_profile_and_alpha_survive(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x010E] = "aunt Mary, 1931"
    image = scene(2).convert("RGBA")
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    image.save(tmp_path / "a.png", exif=exif, dpi=(300, 300), icc_profile=profile)
    photo = read_photo(tmp_path / "a.png")
    write_photo(tmp_path / "b.png", photo.pixels[..., ::-1].copy(), like=photo)
    with Image.open(tmp_path / "a.png") as before, Image.open(tmp_path / "b.png") as after:
        assert after.getexif()[0x010E] == "aunt Mary, 1931"
        assert after.info["dpi"] == before.info["dpi"]
        assert after.info["icc_profile"] == profile
        assert after.getchannel("A").tobytes() == before.getchannel("A").tobytes()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "avif"])
def test_a_photo_keeps_its_format_unless_the_format_has_no_room_for_colour(tmp_path, suffix):
    path = tmp_path / f"photo.{suffix}"
    scene(3).save(path)
    photo = read_photo(path)
    target = tmp_path / "out" / written_name(path)
    target.parent.mkdir()
    rgb = np.asarray(scene(4))
    write_photo(target, rgb, like=photo)
    with Image.open(target) as written:
        assert written.format == ("PNG" if suffix == "gif" else photo.format)
        assert target.name == ("photo.gif.png" if suffix == "gif" else path.name)
        assert np.abs(np.asarray(written.convert("RGB")).astype(int) - rgb).mean() < 12


def test_a_failed_write_leaves_what_was_there_and_no_rest(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    impossible = Photo(np.zeros((4, 4), np.uint8), "PNG", metadata=Metadata(icc_profile=12))
    with pytest.raises(PhotoError):
        write_photo(target, np.zeros((4, 4, 3), np.uint8), like=impossible)
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [target]


def test_a_photo_can_come_from_an_open_file_and_go_to_one(tmp_path):
    file = io.BytesIO()
    scene(0).save(file, "PNG")
    photo = read_photo(file)
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    out = io.BytesIO()
    write_photo(out, photo.pixels, photo)
    assert np.array_equal(np.asarray(Image.open(out)), photo.pixels)
    assert not file.closed


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Limit the size of files within the context, as if the disk were full."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "avif"])
@pytest.mark.parametrize("missing", [1, 1000])
def test_a_write_that_a_full_disk_cuts_short_is_noticed(tmp_path, suffix, missing):
    scene(0, 200, 150).convert("L").save(tmp_path / f"a.{suffix}")
    photo = read_photo(tmp_path / f"a.{suffix}")
    rgb = np.asarray(scene(0, 200, 150))
    write_photo(tmp_path / "there", rgb, photo)
    with disk_of((tmp_path / "there").stat().st_size - missing):
        with pytest.raises(PhotoError, match="cannot be written"):
            write_photo(tmp_path / "b", rgb, photo)
        if suffix == "jpg":
            with pytest.raises(PhotoError, match="cannot be written"):
                write_jpeg(tmp_path / "b", rgb[..., 0], rgb[::2, ::2, :2].transpose(2, 0, 1), photo)
    assert {path.name for path in tmp_path.iterdir()} == {f"a.{suffix}", "there"}


@pytest.mark.parametrize("file_format", ["JPEG", "BMP", "PNG"])
def test_pillows_last_write_that_a_full_disk_cuts_short_is_noticed(tmp_path, file_format):
    image = scene(0, 200, 150)
    write_atomically(tmp_path / "a", lambda file: save_image(image, file, file_format))
    image.save(tmp_path / "b", file_format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with disk_of((tmp_path / "a").stat().st_size - 1), pytest.raises(OSError, match="large"):
        write_atomically(tmp_path / "c", lambda file: save_image(image, file, file_format))
    assert not (tmp_path / "c").exists()
