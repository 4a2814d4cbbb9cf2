"""photo.py: what is read is what was there, what is written is whole."""

import io
import random
import struct
import sys
import time
import types
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from support.scenes import scene

from colourizer.photos import read
from colourizer.photos.decode import decode_jpeg_without_pillow, open_image
from colourizer.photos.encode import save_image
from colourizer.photos.errors import PhotoError, SeveralPicturesError
from colourizer.photos.exif import Directory
from colourizer.photos.files import FORMAT_OF, find_photos, written_name
from colourizer.photos.icc import grey_srgb_profile
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.pillow_limits import MAX_PIXELS
from colourizer.photos.read import read_photo, read_rgb
from colourizer.photos.write import write_jpeg, write_photo
from colourizer.runtime.atomic_file import write_whole

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


# What undoes each orientation, of an array.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


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


def test_what_cannot_be_opened_says_why(tmp_path):
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(PhotoError, match="cannot be read \\(is a directory\\)"):
        read_photo(tmp_path / "folder.jpg")
    with pytest.raises(PhotoError, match="no such file"):
        read_photo(tmp_path / "nowhere.jpg")


def test_a_truncated_jpeg_raises_photo_error(tmp_path):
    scene(5).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhotoError, match=r"(?i)truncated"):
        read_photo(tmp_path / "a.jpg")


def png_of(width: int, height: int, *extra: tuple[bytes, bytes], pixels: bytes = b"") -> bytes:
    """Write a PNG that claims a size, whatever it holds."""
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)), *extra]
    chunks += [(b"IDAT", zlib.compress(pixels or bytes(10**6))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )  # fmt: skip


def bombs() -> dict[str, bytes]:
    """Files of some kB that claim to be enormous."""
    tiff = Directory("<")
    for tag, values in {256: [40_000], 257: [40_000], 258: [8] * 3, 259: [8], 262: [2]}.items():
        tiff.put(tag, 4, *values)
    for tag, value in {273: 8, 277: 3, 278: 40_000, 279: 1000}.items():
        tiff.put(tag, 4, value)
    jpeg = io.BytesIO()
    scene(0).save(jpeg, "JPEG")
    start = bytearray(jpeg.getvalue())
    place = start.index(b"\xff\xc0") + 5
    start[place : place + 4] = struct.pack(">2H", 65_500, 65_500)
    screen = struct.pack("<2H3B", 65_535, 65_535, 0, 0, 0)
    frame = b"," + struct.pack("<4HB", 0, 0, 65_535, 65_535, 0) + b"\2\2\x4c\1\0;"
    bmp = struct.pack("<IHHIIiiHHIIiiII", 999, 0, 0, 54, 40, 40_000, 40_000, 1, 24, *[0] * 6)
    return {
        "a.png": png_of(40_000, 40_000),
        "below-the-limit.png": png_of(20_000, 20_000),
        "a.tif": struct.pack("<2sHI", b"II", 42, 1008) + bytes(1000) + tiff.pack(1008),
        "a.jpg": bytes(start),
        "a.gif": b"GIF89a" + screen + frame,
        "a.bmp": b"BM" + bmp + bytes(945),
    }


@pytest.mark.parametrize("name", bombs())
def test_a_decompression_bomb_is_refused_before_it_is_decoded(tmp_path, name):
    (tmp_path / name).write_bytes(bombs()[name])
    begun = time.monotonic()
    for read_it in (read_photo, read_rgb):
        with pytest.raises(PhotoError, match="more pixels than is safe"):
            read_it(tmp_path / name)
    assert time.monotonic() - begun < 1


def test_a_scan_of_several_hundred_megapixels_is_no_bomb(tmp_path):
    side = 20_000
    assert side * side < MAX_PIXELS
    (tmp_path / "scan.png").write_bytes(png_of(side, side))
    with (tmp_path / "scan.png").open("ab") as file:
        file.truncate(10_000_000)  # bytes enough for so many pixels
    with open_image(tmp_path / "scan.png") as opened:  # decoding it would take gigabytes
        assert opened.size == (side, side)


ABSURD = {
    "large profile": (b"iCCP", b"x\0\0" + zlib.compress(bytes(5 * 10**6))),
    "profile bomb": (b"iCCP", b"x\0\0" + zlib.compress(bytes(10**8), 1)),
    "no profile": (b"iCCP", b"x"),
    "broken profile": (b"iCCP", b"x\0\0broken"),
    "large text": (b"zTXt", b"x\0\0" + zlib.compress(b"a" * 5 * 10**6)),
    "text bomb": (b"zTXt", b"x\0\0" + zlib.compress(bytes(10**8), 1)),
    "large XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<a>" * 10**6),
    "large EXIF": (b"eXIf", b"II*\0\x08\0\0\0\0\0" + bytes(3 * 10**6)),
    "broken EXIF": (b"eXIf", b"junk" * 1000),
    "EXIF beyond its end": (b"eXIf", b"II*\0\xff\xff\xff\xff"),
    "broken resolution": (b"pHYs", struct.pack(">2IB", 0, 2**32 - 1, 1)),
}


@pytest.mark.parametrize("what", ABSURD)
@pytest.mark.parametrize("target", [None, "jpeg", "tiff"])
def test_absurd_metadata_never_stops_a_photo(tmp_path, what, target):
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(scene(0)))
    (tmp_path / "a.png").write_bytes(png_of(64, 48, ABSURD[what], pixels=rows))
    photo = read_photo(tmp_path / "a.png")
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    write_photo(tmp_path / "b", photo.pixels, like=photo, target=target, tag="us")
    assert read_photo(tmp_path / "b").pixels.shape == (48, 64, 3)


def mutated(content: bytes, seed: int) -> bytes:
    """Damage a file: flip some bytes, cut a piece out, double one, or cut the end off."""
    dice = random.Random(seed)
    damaged = bytearray(content)
    for _ in range(dice.choice((1, 3, 30))):
        damaged[dice.randrange(len(damaged))] = dice.randrange(256)
    a, b = sorted(dice.randrange(len(damaged)) for _ in range(2))
    b = min(b, a + 200)
    how = dice.randrange(4)
    if how == 1:
        del damaged[a:b]
    elif how == 2:
        damaged[a:a] = damaged[a:b]
    elif how == 3:
        del damaged[b:]
    return bytes(damaged)


def originals() -> dict[str, bytes]:
    """A small file of every format, with metadata, and one of each with 16 bits."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "aunt Mary", 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = {}
    for file_format in ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF"):
        file = io.BytesIO()
        scene(0, 24, 32).save(file, file_format, exif=exif.tobytes(), icc_profile=profile)
        files[file_format] = file.getvalue()
    metadata = Metadata(exif.tobytes()[6:], icc_profile=profile)
    deep = np.asarray(scene(0, 24, 32)).astype(np.uint16) * 250
    for file_format in ("PNG", "TIFF"):
        file = io.BytesIO()
        write_photo(file, deep, Photo(deep, file_format, deep[..., 0], metadata), tag="us")
        files[f"{file_format} 16"] = file.getvalue()
    file = io.BytesIO()
    scene(0, 24, 32).save(file, "TIFF", compression="tiff_lzw")
    files["TIFF"] = file.getvalue()
    return files


def mutate(kind: str, numbers: range) -> int:
    content, whole = originals()[kind], 0
    for seed in numbers:
        try:
            photo = read_photo(io.BytesIO(mutated(content, seed)))
        except PhotoError:
            continue
        whole += 1
        rgb = photo.pixels if photo.pixels.ndim == 3 else np.stack([photo.pixels] * 3, axis=2)
        write_photo(io.BytesIO(), rgb, photo, tag="us")
    return whole


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", originals())
def test_damaged_files_are_photos_or_photo_errors(kind):
    mutate(kind, range(200))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", originals())
def test_thousands_of_damaged_files_are_photos_or_photo_errors(kind):
    assert 0 < mutate(kind, range(1000, 6000)) < 5000


def test_a_failed_write_leaves_what_was_there_and_no_rest(tmp_path):
    target = tmp_path / "a.png"
    target.write_bytes(b"precious")
    impossible = Photo(np.zeros((4, 4), np.uint8), "PNG", metadata=Metadata(icc_profile=12))
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


@pytest.mark.parametrize(("chroma", "grey"), [(129, True), (131, False)])
def test_a_jpegs_chroma_counts_from_more_than_one_level(tmp_path, chroma, grey):
    planes = np.full((48, 64, 3), 128, np.uint8)
    planes[..., 0] = GREY
    planes[:16, :16, 1] = chroma
    image = Image.frombytes("YCbCr", (64, 48), planes.tobytes())
    image.save(tmp_path / "a.jpg", quality=100, subsampling="4:4:4")
    pixels = read_photo(tmp_path / "a.jpg").pixels
    assert (pixels.ndim == 2) == grey
    if grey:
        assert np.abs(pixels.astype(int) - GREY).max() <= 1


@pytest.mark.parametrize("side", [4, 7])
def test_a_small_spot_of_colour_makes_a_jpeg_a_coloured_one(tmp_path, side):
    image = Image.fromarray(GREY).convert("RGB")
    image.paste((200, 40, 40), (21, 13, 21 + side, 13 + side))
    image.save(tmp_path / "a.jpg", quality=90)
    assert read_photo(tmp_path / "a.jpg").pixels.ndim == 3


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_a_thin_line_of_colour_makes_a_jpeg_a_coloured_one(tmp_path, subsampling):
    image = Image.fromarray(GREY).convert("RGB")
    image.paste((200, 40, 40), (33, 0, 36, 48))
    image.save(tmp_path / "a.jpg", quality=100, subsampling=subsampling)
    assert read_photo(tmp_path / "a.jpg").pixels.ndim == 3


def test_a_grey_jpeg_that_only_pillow_decodes_keeps_its_scans(tmp_path, monkeypatch):
    Image.fromarray(GREY).save(tmp_path / "a.jpg")
    expected = read_photo(tmp_path / "a.jpg", with_scans=True)
    monkeypatch.setattr(read, "decode_jpeg_without_pillow", lambda *_: None)
    by_pillow = read_photo(tmp_path / "a.jpg", with_scans=True)
    assert by_pillow.scans == expected.scans
    assert expected.scans
    assert np.array_equal(by_pillow.pixels, expected.pixels)


JPEGS = {
    "grey": {"mode": "L"},
    "progressive": {"mode": "L", "progressive": True},
    "half chroma": {"mode": "RGB", "subsampling": "4:2:0"},
    "whole chroma": {"mode": "RGB", "subsampling": "4:4:4", "progressive": True},
    "of red, green and blue": {"mode": "RGB", "keep_rgb": True},
}


@pytest.mark.parametrize("how", JPEGS)
def test_a_jpegs_pixels_are_those_that_pillow_finds_in_it(tmp_path, how):
    options = dict(JPEGS[how])
    scene(1, 67, 45).convert(options.pop("mode")).save(tmp_path / "a.jpg", quality=90, **options)
    with Image.open(tmp_path / "a.jpg") as image:
        assert decode_jpeg_without_pillow(image) is not None  # Pillow was not asked
        assert np.array_equal(read_photo(tmp_path / "a.jpg").pixels, np.asarray(image))


def test_of_a_jpeg_that_is_cut_off_pillow_says_so(tmp_path):
    scene(1, 200, 150).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(content[: len(content) // 2])
    with Image.open(tmp_path / "a.jpg") as image:
        assert decode_jpeg_without_pillow(image) is None
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(tmp_path / "a.jpg")


def test_one_pixel_of_colour_makes_a_photo_a_coloured_one(tmp_path):
    image = Image.fromarray(GREY).convert("RGB")
    image.putpixel((63, 47), (10, 11, 10))
    image.save(tmp_path / "a.png")
    assert np.array_equal(read_photo(tmp_path / "a.png").pixels, np.asarray(image))


@pytest.mark.parametrize("marker", [True, False])
def test_a_jpeg_that_holds_rgb_is_not_taken_for_ycbcr(tmp_path, marker):
    scene(1).save(tmp_path / "a.jpg", quality=95, keep_rgb=True)
    content = (tmp_path / "a.jpg").read_bytes()
    adobe = content.index(b"\xff\xee")
    if not marker:  # then only the names of the components tell
        (tmp_path / "a.jpg").write_bytes(content[:adobe] + content[adobe + 16 :])
    error = np.abs(read_photo(tmp_path / "a.jpg").pixels.astype(int) - np.asarray(scene(1)))
    assert error.mean() < 4


def test_inverted_cmyk_is_read_as_what_it_shows_and_written_without_its_profile(tmp_path):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()  # a mistake
    scene(1).convert("CMYK").save(tmp_path / "a.jpg", quality=95, icc_profile=profile)
    photo = read_photo(tmp_path / "a.jpg")
    assert np.abs(photo.pixels.astype(int) - np.asarray(scene(1))).mean() < 4
    assert photo.metadata.icc_profile == b""
    write_photo(tmp_path / "b.jpg", photo.pixels, like=photo)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.mode == "RGB"


def test_of_an_mpo_the_first_picture_is_taken(tmp_path):
    scene(0).save(tmp_path / "a.mpo", format="MPO", save_all=True, append_images=[scene(1)])
    photo = read_photo(tmp_path / "a.mpo")
    assert np.abs(photo.pixels.astype(int) - np.asarray(scene(0))).mean() < 8
    write_photo(tmp_path / written_name(tmp_path / "a.mpo"), photo.pixels, like=photo)
    with Image.open(tmp_path / "a.mpo.jpg") as image:
        assert image.format == "JPEG"


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "avif", "tif"])
def test_several_pages_or_frames_are_refused_with_the_reason(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    scene(0).save(path, save_all=True, append_images=[scene(1), scene(2)])
    with pytest.raises(SeveralPicturesError, match=r"3 pages|animation"):
        read_photo(path)
    assert read_rgb(path).size == (64, 48)  # the training takes the first


def test_heic_names_the_package_that_it_needs(tmp_path, monkeypatch):
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    assert find_photos(tmp_path) == [path]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PhotoError, match="pillow-heif") as error:
        read_photo(path)
    assert error.value.__notes__ == ["hint: pip install pillow-heif"]


def test_heic_is_read_where_the_package_is_and_written_as_jpeg(tmp_path, monkeypatch):
    from PIL import ImageFile

    class FakeHeif(ImageFile.ImageFile):
        format = "HEIF"

        def _open(self):
            self._size, self._mode = (64, 48), "RGB"
            self.tile = [ImageFile._Tile("raw", (0, 0, 64, 48), 32, "RGB")]

    def register():
        Image.register_open("HEIF", FakeHeif, lambda start: start[4:12] == b"ftypheic")

    package = types.SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", package)
    path = tmp_path / "a.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic".ljust(32, b"\0") + scene(0).tobytes())
    try:
        photo = read_photo(path)
        FakeHeif.n_frames = 2
        with pytest.raises(SeveralPicturesError, match="2 pictures"):
            read_photo(path)
    finally:
        Image.OPEN.pop("HEIF", None)
        Image.ID.remove("HEIF")
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    write_photo(tmp_path / written_name(path), photo.pixels, like=photo)
    with Image.open(tmp_path / "a.heic.jpg") as image:
        assert image.format == "JPEG"


def test_a_photo_can_come_from_an_open_file_and_go_to_one(tmp_path):
    file = io.BytesIO()
    scene(0).save(file, "PNG")
    photo = read_photo(file)
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    out = io.BytesIO()
    write_photo(out, photo.pixels, photo)
    assert np.array_equal(np.asarray(Image.open(out)), photo.pixels)
    assert not file.closed


@pytest.mark.parametrize(
    ("name", "target", "written"),
    [
        ("a.jpg", None, "a.jpg"),
        ("a.JPEG", "jpeg", "a.JPEG"),
        ("a.gif", None, "a.gif.png"),
        ("a.heic", None, "a.heic.jpg"),
        ("a.tif", "tiff", "a.tif"),
        ("a.jpg", "webp", "a.jpg.webp"),
        ("a.png", "avif", "a.png.avif"),
        ("a.bmp", "tiff", "a.bmp.tif"),
    ],
)
def test_a_result_is_named_for_its_format(name, target, written):
    assert written_name(Path(name), target) == written
    assert (
        FORMAT_OF[Path(written).suffix.lower()]
        == (target or FORMAT_OF[Path(written).suffix.lower()]).upper()
    )


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


@pytest.mark.parametrize("change", ["turned", "other greys", "colour"])
def test_scans_are_those_of_untouched_grey_jpegs_only(tmp_path, change):
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"turned": {"exif": exif}, "other greys": {"icc_profile": grey_srgb_profile()}}
    image = scene(0).convert("RGB" if change == "colour" else "L")
    image.save(tmp_path / "a.jpg", **options.get(change, {}))
    assert read_photo(tmp_path / "a.jpg", with_scans=True).scans is None
    scene(0).convert("L").save(tmp_path / "b.jpg")
    assert read_photo(tmp_path / "b.jpg", with_scans=True).scans
    assert read_photo(tmp_path / "b.jpg").scans is None


@contextmanager
def disk_of(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as if the disk had no more room."""
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
    write_whole(tmp_path / "a", lambda file: save_image(image, file, file_format))
    image.save(tmp_path / "b", file_format)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with disk_of((tmp_path / "a").stat().st_size - 1), pytest.raises(OSError, match="large"):
        write_whole(tmp_path / "c", lambda file: save_image(image, file, file_format))
    assert not (tmp_path / "c").exists()


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
