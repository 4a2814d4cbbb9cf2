"""photo.py: what is read is what was there, what is written is whole."""

import numpy as np
import pytest
from conftest import scene
from PIL import Image

from photo import (
    Photo,
    PhotoError,
    find_photos,
    read_photo,
    read_rgb,
    square,
    write_photo,
    written_name,
)

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


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_upright_once(tmp_path, orientation):
    image = scene(1)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png")
    assert photo.pixels.shape[:2] == ((48, 64) if orientation < 5 else (64, 48))
    write_photo(tmp_path / "b.png", photo.pixels, like=photo)
    assert np.array_equal(read_photo(tmp_path / "b.png").pixels, photo.pixels)


def test_exif_dpi_colour_profile_and_alpha_survive(tmp_path):
    from PIL import ImageCms

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


BROKEN = {
    "text.jpg": b"dear aunt Mary",
    "empty.png": b"",
    "script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_photo_raises_photo_error(tmp_path, name):
    (tmp_path / name).write_bytes(BROKEN[name])
    with pytest.raises(PhotoError, match="not an image"):
        read_photo(tmp_path / name)


def test_a_truncated_jpeg_raises_photo_error(tmp_path):
    scene(5).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhotoError, match=r"(?i)truncated"):
        read_photo(tmp_path / "a.jpg")


def test_a_decompression_bomb_is_refused(tmp_path):
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    with pytest.raises(PhotoError, match="more pixels"):
        read_photo(tmp_path / "bomb.png")


def test_a_failed_write_leaves_what_was_there_and_no_rest(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    impossible = Photo(np.zeros((4, 4), np.uint8), "PNG", metadata={"icc_profile": 12})
    with pytest.raises(PhotoError):
        write_photo(target, np.zeros((4, 4, 3), np.uint8), like=impossible)
    assert target.read_bytes() == b"precious"
    assert list(tmp_path.iterdir()) == [target]


def test_photos_are_found_in_subfolders_in_order_but_not_in_the_output(album):
    (album / "out").mkdir()
    scene(0).save(album / "out" / "done.png")
    (album / ".hidden.png").write_bytes(b"")
    (album / "notes.txt").write_text("")
    found = find_photos(album, without=album / "out")
    assert len(found) == 12
    assert found == find_photos(album, without=album / "out")
    assert {p.parent.name for p in found} == {"album", "sub"}


def test_a_large_photo_is_reduced_and_a_small_one_left_alone(tmp_path):
    scene(6, 300, 500).save(tmp_path / "a.jpg")
    assert read_rgb(tmp_path / "a.jpg", shortest_side=60).size == (100, 60)
    assert read_rgb(tmp_path / "a.jpg", shortest_side=400).size == (500, 300)
    assert square(scene(6, 30, 50), 20).size == (20, 20)


def test_broken_exif_does_not_cost_the_photo(tmp_path):
    scene(7).save(tmp_path / "a.webp", exif=b"Exif\0\0no EXIF at all")
    assert read_photo(tmp_path / "a.webp").pixels.shape == (48, 64, 3)
    assert read_rgb(tmp_path / "a.webp").size == (64, 48)


def test_what_is_transparent_is_white_to_the_training(tmp_path):
    image = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    image.save(tmp_path / "a.png")
    assert read_rgb(tmp_path / "a.png").getpixel((5, 5)) == (255, 255, 255)


def test_hidden_folders_are_left_alone(album):
    (album / ".thumbnails").mkdir()
    scene(0).save(album / ".thumbnails" / "a.png")
    assert len(find_photos(album)) == 12
