"""decode.py: what is no photograph, damaged or a bomb is refused; pixels are the file's."""

import io
import os
import random
import re
import struct
import sys
import time
import types
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms
from support.heif_file import box, heif
from support.scenes import scene

from colourizer.inference.colourizer import Colourizer
from colourizer.photos.decode import decode_jpeg_without_pillow, open_image
from colourizer.photos.errors import PhotoError, SeveralPicturesError
from colourizer.photos.exif import Directory
from colourizer.photos.files import find_photos, written_name
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.pillow_limits import MAX_PIXELS
from colourizer.photos.read import read_photo, read_rgb
from colourizer.photos.write import write_photo

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
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(PhotoError, match="is empty"):
        read_photo(tmp_path / "empty.jpg")


@pytest.mark.parametrize("file_format", ["PNG", "GIF", "WEBP", "AVIF", "TIFF", "JPEG"])
def test_of_a_file_whose_beginning_is_damaged_it_is_not_said_that_it_is_no_image(file_format):
    file = io.BytesIO()
    scene(0).save(file, file_format)
    with pytest.raises(PhotoError, match="cannot be decoded"):
        read_photo(io.BytesIO(file.getvalue()[:30]))


def test_a_truncated_jpeg_raises_photo_error(tmp_path):
    scene(5).save(tmp_path / "a.jpg")
    data = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(PhotoError, match=r"(?i)truncated"):
        read_photo(tmp_path / "a.jpg")


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_whose_scans_lack_a_part_is_refused_though_it_has_an_end(mode, options):
    file = io.BytesIO()
    scene(5, 80, 112).convert(mode).save(file, "JPEG", quality=90, **options)
    content = file.getvalue()
    assert not read_photo(io.BytesIO(content)).note
    scans = [found.start() for found in re.finditer(b"\xff\xda", content)]
    middle = (scans[-1] + len(content)) // 2
    with pytest.raises(PhotoError, match="cannot be decoded"):
        read_photo(io.BytesIO(content[:middle] + b"\xff\xd9"))
    for scan in scans[1:]:  # of progressive ones
        photo = read_photo(io.BytesIO(content[:scan] + b"\xff\xd9"))
        assert photo.note == "lacks scans of its finer details"


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
    write_photo(tmp_path / "b", photo.pixels, like=photo, target=target, provenance="us")
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
        write_photo(file, deep, Photo(deep, file_format, deep[..., 0], metadata), provenance="us")
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
        write_photo(io.BytesIO(), rgb, photo, provenance="us")
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


GREY = np.asarray(scene(9).convert("L"))


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


@pytest.mark.parametrize("marker", [True, False])
def test_a_jpeg_that_holds_rgb_is_not_taken_for_ycbcr(tmp_path, marker):
    scene(1).save(tmp_path / "a.jpg", quality=95, keep_rgb=True)
    content = (tmp_path / "a.jpg").read_bytes()
    adobe = content.index(b"\xff\xee")
    if not marker:  # then only the names of the components tell
        (tmp_path / "a.jpg").write_bytes(content[:adobe] + content[adobe + 16 :])
    error = np.abs(read_photo(tmp_path / "a.jpg").pixels.astype(int) - np.asarray(scene(1)))
    assert error.mean() < 4


def test_of_an_mpo_the_first_picture_is_taken(tmp_path):
    scene(0).save(tmp_path / "a.mpo", format="MPO", save_all=True, append_images=[scene(1)])
    photo = read_photo(tmp_path / "a.mpo")
    assert np.abs(photo.pixels.astype(int) - np.asarray(scene(0))).mean() < 8
    write_photo(tmp_path / written_name(tmp_path / "a.mpo"), photo.pixels, like=photo)
    with Image.open(tmp_path / "a.mpo.jpg") as image:
        assert image.format == "JPEG"


def test_of_an_mpo_whose_first_picture_is_the_smaller_one_none_is_taken(tmp_path):
    small = scene(0, 24, 32)
    small.save(tmp_path / "a.mpo", format="MPO", save_all=True, append_images=[scene(0)])
    with pytest.raises(SeveralPicturesError, match="smaller than another"):
        read_photo(tmp_path / "a.mpo")
    scene(0).save(tmp_path / "b.mpo", format="MPO", save_all=True, append_images=[small, small])
    assert read_photo(tmp_path / "b.mpo").pixels.shape == (48, 64, 3)
    broken = (tmp_path / "b.mpo").read_bytes()
    second = broken.rindex(b"\xff\xd8")
    (tmp_path / "b.mpo").write_bytes(broken[:second] + bytes(100))
    assert read_photo(tmp_path / "b.mpo").pixels.shape == (48, 64, 3)


def test_of_a_motion_photograph_the_still_is_taken(tmp_path):
    scene(0).save(tmp_path / "a.jpg", quality=95)
    still = read_photo(tmp_path / "a.jpg").pixels
    film = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(3000)
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes() + film)
    assert np.array_equal(read_photo(tmp_path / "a.jpg").pixels, still)


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (4, b"\x0c", "of 12 bits"),
        (5, b"\0\0", "without a height"),
        (1, b"\xc3", "of a lossless kind"),
        (1, b"\xc5", "of a hierarchical kind"),
    ],
)
def test_a_jpeg_of_a_rare_kind_is_refused_in_words(tmp_path, at, value, words):
    scene(0).save(tmp_path / "a.jpg")
    content = bytearray((tmp_path / "a.jpg").read_bytes())
    place = content.index(b"\xff\xc0") + at
    content[place : place + len(value)] = value
    (tmp_path / "a.jpg").write_bytes(content)
    for read in (read_photo, read_rgb):
        with pytest.raises(PhotoError, match=words):
            read(tmp_path / "a.jpg")


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
    properties = [box(b"irot", b"\1")]  # which turns; the plugin obeys it
    path.write_bytes(heif(properties, [], content=scene(0).tobytes()))
    try:
        photo = read_photo(path)
        assert not photo.note
        FakeHeif.n_frames = 2
        assert read_photo(path).note == "has 2 pictures, of which the primary one was taken"
        assert not photo.converted
        path.write_bytes(heif(properties, [1], content=scene(0).tobytes()))
        turned = read_photo(path)
        assert turned.converted == ("turned upright",)
        assert np.array_equal(turned.pixels, photo.pixels)
    finally:
        Image.OPEN.pop("HEIF", None)
        Image.ID.remove("HEIF")
    assert np.array_equal(photo.pixels, np.asarray(scene(0)))
    write_photo(tmp_path / written_name(path), photo.pixels, like=photo)
    with Image.open(tmp_path / "a.heic.jpg") as image:
        assert image.format == "JPEG"


UPRIGHT = {
    5: lambda stored: stored.T,
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: np.rot90(stored, 2).T,
    8: lambda stored: np.rot90(stored),
}


@pytest.fixture(scope="module")
def colourizer() -> Colourizer:
    return Colourizer.load(device="cpu")


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16"])
def test_an_uncompressed_tiff_that_lies_on_its_side_is_read_upright(
    tmp_path, colourizer, mode, orientation
):
    stored = np.tile(np.arange(0, 240, 5, dtype=np.uint8), (32, 1))  # (32, 48)
    stored[4:9, 4:30] = 250
    image = Image.fromarray(stored)
    if mode == "I;16":
        image = Image.fromarray(stored.astype(np.uint16) * 257)
    elif mode == "CMYK":
        nothing = Image.new("L", image.size)
        image = Image.merge("CMYK", (nothing, nothing, nothing, Image.fromarray(255 - stored)))
    elif mode != "L":
        image = image.convert(mode)
    image.save(tmp_path / "a.tif", tiffinfo={ExifTags.Base.Orientation: orientation})
    expected = UPRIGHT[orientation](stored).astype(float)
    with Image.open(tmp_path / "a.tif") as opened:
        by_library = colourizer.colourize(opened)
    found = read_photo(tmp_path / "a.tif").pixels
    if found.dtype == np.uint16:
        found = found / 257
    assert found.shape[:2] == by_library.shape[:2] == expected.shape
    assert np.abs(found.reshape(*expected.shape, -1).mean(axis=2) - expected).mean() < 10


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_no_photograph_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.jpg")
    with pytest.raises(PhotoError, match="not a file"):
        read_photo(tmp_path / "a.jpg")
