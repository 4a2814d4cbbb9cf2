"""encode.py: every format holds the pixels, the alpha and what is said, as far as it can."""

import io
from xml.etree import ElementTree

import numpy as np
import pytest
import tifffile
from PIL import ExifTags, Image, ImageCms
from support.scenes import scene

from colourizer.photos.encode import encode
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import TARGETS
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.read import read_photo
from colourizer.photos.write import write_jpeg, write_photo

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "AVIF", "BMP")
EXACT = ("PNG", "TIFF", "BMP")
RGB = np.asarray(scene(0))
DEEP = np.random.default_rng(0).integers(0, 65536, (48, 64, 3), dtype=np.uint16)
ALPHA = np.asarray(Image.linear_gradient("L").resize((64, 48)))
DEEP_ALPHA = np.random.default_rng(1).integers(0, 65536, (48, 64), dtype=np.uint16)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
TAG = "colourized with Image Colourizer, model best, version 0123abcd"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-'
    b'syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" '
    b'dc:source="box 12"/></rdf:RDF></x:xmpmeta>'
)


def described() -> Metadata:
    exif = Image.Exif()
    exif[0x010E] = "aunt Mary, 1931"
    exif.get_ifd(ExifTags.IFD.Exif)[0x927C] = b"maker's note" * 9
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    content = exif.tobytes().removeprefix(b"Exif\0\0")
    return Metadata(content, XMP, PROFILE, dpi=(300.0, 300.0))


def encoded(strips, like: Photo, **options) -> io.BytesIO:
    file = io.BytesIO()
    write_photo(file, strips, like, **options)
    file.seek(0)
    return file


def cut(values: np.ndarray, *heights: int) -> list[np.ndarray]:
    return np.split(values, np.cumsum(heights))


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_strips_of_any_heights_make_the_same_file_as_one(file_format, dtype):
    pixels = RGB if dtype == np.uint8 else DEEP
    like = Photo(pixels, file_format, metadata=described())
    whole = encoded(pixels, like, provenance=TAG).getvalue()
    if dtype == np.uint8 or file_format != "PNG":  # a deep PNG's are compressed one by one
        assert encoded(iter(cut(pixels, 1, 30, 7)), like, provenance=TAG).getvalue() == whole
    strips = encoded(iter(cut(pixels, 1, 30, 7)), like, provenance=TAG)
    for name in ("pixels", "metadata"):
        one, other = (getattr(read_photo(f), name) for f in (io.BytesIO(whole), strips))
        assert np.array_equal(one, other) if name == "pixels" else one == other


@pytest.mark.parametrize("file_format", EXACT)
def test_pixels_come_back_exactly(file_format):
    photo = read_photo(encoded(RGB, Photo(RGB, file_format)))
    assert np.array_equal(photo.pixels, RGB)
    assert photo.format == file_format


@pytest.mark.parametrize("file_format", FORMATS)
def test_sixteen_bits_stay_or_are_rounded(file_format):
    ramp = np.linspace(0, 65535, 64 * 48 * 3).round().astype(np.uint16).reshape(48, 64, 3)
    ramp[..., 2] //= 2
    photo = read_photo(encoded(ramp, Photo(ramp, file_format)))
    if file_format in ("PNG", "TIFF"):
        assert np.array_equal(photo.pixels, ramp)
    else:
        assert photo.pixels.dtype == np.uint8
        assert np.abs(photo.pixels / 255 - ramp / 65535).mean() < 0.51 / 255 + 0.02
    if file_format == "BMP":
        assert np.abs(photo.pixels / 255 - ramp / 65535).max() < 0.501 / 255


@pytest.mark.parametrize("alpha", [ALPHA, DEEP_ALPHA], ids=["8", "16"])
@pytest.mark.parametrize("file_format", ["PNG", "TIFF", "WEBP", "AVIF"])
@pytest.mark.parametrize("pixels", [RGB, DEEP], ids=["8", "16"])
def test_alpha_stays_identical_in_as_many_bits_as_there_are(file_format, pixels, alpha):
    photo = read_photo(encoded(pixels, Photo(pixels, file_format, alpha)))
    if file_format in ("PNG", "TIFF") and pixels is DEEP:
        truth = alpha if alpha is DEEP_ALPHA else alpha.astype(np.uint16) * 257
    else:
        truth = alpha if alpha is ALPHA else (alpha / 257).round().astype(np.uint8)
    assert np.array_equal(photo.alpha, truth)
    assert photo.alpha.dtype == truth.dtype


@pytest.mark.parametrize("file_format", ["JPEG", "BMP"])
def test_alpha_is_left_out_where_there_is_no_room(file_format):
    assert read_photo(encoded(RGB, Photo(RGB, file_format, ALPHA))).alpha is None


@pytest.mark.parametrize("pixels", [RGB, DEEP], ids=["8", "16"])
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("tag", [None, TAG])
def test_all_that_was_said_is_said_again(file_format, pixels, tag):
    file = encoded(pixels, Photo(pixels, file_format, metadata=described()), provenance=tag)
    photo = read_photo(file)
    if file_format in ("WEBP", "AVIF"):
        with Image.open(file) as image:
            assert [image.getexif()[tag] for tag in (0x011A, 0x011B, 0x0128)] == [300, 300, 2]
    else:
        assert photo.metadata.dpi == pytest.approx((300, 300), rel=1e-4)
    if file_format == "BMP":
        return
    assert photo.metadata.icc_profile == PROFILE
    with Image.open(file) as image:
        exif = image.getexif()
        assert exif[0x010E] == "aunt Mary, 1931"
        assert exif.get(0x0131) == tag
        assert exif.get_ifd(ExifTags.IFD.Exif)[0x927C] == b"maker's note" * 9
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[1] == "N"
        image.load()
        xmp = image.info["xmp"]
    if tag is None:
        assert xmp == XMP
    else:
        assert b'dc:source="box 12"' in xmp
        assert TAG in [element.text for element in ElementTree.fromstring(xmp).iter()]
    again = read_photo(encoded(pixels, photo, provenance=tag))  # a second time changes nothing
    assert again.metadata.xmp == photo.metadata.xmp
    with Image.open(file) as image:
        assert image.getexif()[0x010E] == "aunt Mary, 1931"


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_a_makers_note_stays_in_its_place(file_format):
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(ExifTags.IFD.Exif)[0x927C] = b"maker's note" * 9
    for tag in range(0x9290, 0x9293):  # digits of seconds, which Pillow would put elsewhere
        exif.get_ifd(ExifTags.IFD.Exif)[tag] = "0123456"
    before = exif.tobytes().removeprefix(b"Exif\0\0") + b"behind all directories"
    photo = read_photo(
        encoded(RGB, Photo(RGB, file_format, metadata=Metadata(before)), provenance=TAG)
    )
    after = photo.metadata.exif
    assert after.index(b"maker's note") == before.index(b"maker's note")
    assert b"behind all directories" in after  # where some makers' notes point to


def test_a_tag_needs_nothing_to_stand_on():
    for file_format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        photo = read_photo(encoded(RGB, Photo(RGB, file_format), provenance=TAG))
        assert TAG.encode() in photo.metadata.exif
        assert TAG.encode() in photo.metadata.xmp
        untagged = read_photo(encoded(RGB, Photo(RGB, file_format))).metadata
        assert untagged.exif == untagged.xmp == b""


def test_a_tag_leaves_the_pixels_alone():
    for file_format in FORMATS:
        one, other = (
            read_photo(encoded(RGB, Photo(RGB, file_format), provenance=tag)) for tag in (None, TAG)
        )
        assert np.array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("target", ["jpeg", "png", "webp", "tiff", "avif"])
def test_a_photo_can_be_written_in_another_format(target):
    photo = read_photo(
        encoded(RGB, Photo(RGB, "PNG", ALPHA, described()), target=target, provenance=TAG)
    )
    assert photo.format == target.upper()
    assert (photo.alpha is None) == (target == "jpeg")
    assert photo.metadata.icc_profile == PROFILE
    assert b"aunt Mary, 1931" in photo.metadata.exif


@pytest.mark.parametrize("target", TARGETS)
def test_a_format_that_pillow_has_not_yet_loaded_is_written_and_named(target, monkeypatch):
    monkeypatch.setattr(Image, "MIME", {})  # as in a new process, which has read a JPEG only
    xmp = b'<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/x"/>'
    photo = Photo(np.zeros((8, 8, 3), np.uint8), "JPEG", metadata=Metadata(xmp=xmp))
    file = io.BytesIO()
    write_photo(file, photo.pixels, photo, target=target)
    assert b'dc:format="image/%s"' % target.encode() in file.getvalue()


@pytest.mark.parametrize("alpha", [None, ALPHA])
def test_a_lossless_webp_stays_lossless(tmp_path, alpha):
    image = scene(0)
    if alpha is not None:
        image.putalpha(Image.fromarray(alpha))
    image.save(tmp_path / "a.webp", lossless=True, exact=True, icc_profile=PROFILE)
    photo = read_photo(encoded(RGB[::-1], read_photo(tmp_path / "a.webp")))
    assert np.array_equal(photo.pixels, RGB[::-1])
    image.save(tmp_path / "a.webp")
    assert not read_photo(tmp_path / "a.webp").metadata.lossless


def decoded_ycbcr(file: io.BytesIO) -> np.ndarray:
    with Image.open(file) as image:
        image.draft("YCbCr", image.size)
        return np.asarray(image).astype(int)


def half_planes(luma: np.ndarray, *levels: int) -> np.ndarray:
    half = [(side + 1) // 2 for side in luma.shape]
    return np.stack([np.full(half, level, dtype=np.uint8) for level in levels])


@pytest.mark.parametrize("size", [(48, 64), (200, 150), (2, 16)])
def test_planes_become_the_very_jpeg_that_pillow_makes_of_them(size):
    luma = np.asarray(scene(0).convert("L").resize(size))
    chroma = np.stack([(luma[::2, ::2] // 2 + 60), 180 - luma[::2, ::2] // 2]).astype(np.uint8)
    file, pillows = io.BytesIO(), io.BytesIO()
    write_jpeg(file, luma, chroma, Photo(luma, "JPEG"))
    whole = np.stack([luma, *chroma.repeat(2, axis=1).repeat(2, axis=2)], axis=-1)
    Image.fromarray(whole, "YCbCr").save(pillows, "JPEG", quality=96, subsampling="4:2:0")
    assert np.array_equal(decoded_ycbcr(file), decoded_ycbcr(pillows))


@pytest.mark.parametrize("size", [(48, 64), (1, 1), (17, 33)])
def test_luma_and_chroma_go_into_a_jpeg_as_they_are(size):
    luma = np.asarray(scene(0).convert("L"))[: size[0], : size[1]]
    file = io.BytesIO()
    write_jpeg(
        file,
        luma,
        half_planes(luma, 90, 150),
        Photo(luma, "JPEG", metadata=described()),
        provenance=TAG,
    )
    stored = decoded_ycbcr(file)
    assert stored.shape == (*size, 3)
    assert np.abs(stored[..., 1:] - [90, 150]).max() <= 1
    assert np.abs(stored[..., 0] - luma).mean() < 2
    rgb = encoded(
        np.repeat(luma[..., None], 3, axis=2),
        Photo(luma, "JPEG", metadata=described()),
        provenance=TAG,
    )
    ours, pillows = (read_photo(io.BytesIO(f.getvalue())).metadata for f in (file, rgb))
    assert ours == pillows


@pytest.mark.parametrize("size", [(47, 64), (48, 63), (47, 63)])
def test_at_odd_sides_no_other_memory_gets_into_a_jpeg(size):
    luma, files = np.asarray(scene(0).convert("L"))[: size[0], : size[1]], set()
    for level in range(0, 256, 15):
        memory = np.full((100, 128), level, np.uint8)  # of which luma is a part
        ours = memory.reshape(-1)[: luma.size].reshape(size)
        ours[:] = luma
        file = io.BytesIO()
        write_jpeg(file, ours, half_planes(luma, 90, 150), Photo(luma, "JPEG"))
        files.add(file.getvalue())
    assert len(files) == 1


@pytest.mark.parametrize("how", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_grey_jpegs_own_luma_stays_bit_for_bit_in_colour(how):
    source, file = io.BytesIO(), io.BytesIO()
    scene(0).convert("L").save(source, "JPEG", quality=75, **how)
    photo = read_photo(source, with_scans=True)
    assert photo.scans
    write_jpeg(file, photo.scans, half_planes(photo.pixels, 90, 150), photo)
    with Image.open(file) as image:
        image.draft("L", None)
        assert np.array_equal(np.asarray(image), photo.pixels)
    assert np.abs(decoded_ycbcr(file)[..., 1:] - [90, 150]).max() <= 1


def test_a_resolution_per_centimetre_stays_one():
    metadata = Metadata(dpi=(118 * 2.54, 118 * 2.54), per_cm=True)
    file = encoded(RGB, Photo(RGB, "JPEG", metadata=metadata))
    with Image.open(file) as image:
        assert (image.info["jfif_unit"], image.info["jfif_density"]) == (2, (118, 118))
    assert read_photo(file).metadata.per_cm
    file = encoded(RGB, Photo(RGB, "TIFF", metadata=metadata))
    with tifffile.TiffFile(file) as tiff:
        assert tiff.pages[0].tags["ResolutionUnit"].value == 3
        assert tiff.pages[0].tags["XResolution"].value == (118, 1)


def test_no_resolution_is_made_up():
    for file_format in FORMATS:
        first = read_photo(encoded(RGB, Photo(RGB, file_format), provenance=TAG))
        assert first.metadata.dpi is None or file_format == "BMP"  # Pillow's BMP always says 96


def test_a_tiffs_own_tags_and_unit_come_back(tmp_path):
    extra = [(315, 2, 0, "uncle Fred", True), (65000, 7, 5, b"house", True)]
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", metadata=None, byteorder=">",
                     description="aunt Mary", resolution=(1234, 1234), resolutionunit=3,
                     extratags=extra, compression="zlib", rowsperstrip=5)  # fmt: skip
    photo = read_photo(tmp_path / "a.tif")
    write_photo(tmp_path / "b.tif", photo.pixels, photo, provenance=TAG)
    with tifffile.TiffFile(tmp_path / "b.tif") as tiff:
        assert tiff.byteorder == ">"
        tags = {tag.code: tag.value for tag in tiff.pages[0].tags}
        assert np.array_equal(np.asarray(Image.open(tmp_path / "b.tif")), RGB)
    assert (tags[270], tags[315], tags[65000]) == ("aunt Mary", "uncle Fred", b"house")
    assert tags[305].endswith(f"; {TAG}")
    assert (tags[282], tags[283], tags[296]) == ((1234, 1), (1234, 1), 3)


def test_comments_and_texts_and_iptc_stay(tmp_path):
    iptc = b"Photoshop 3.0\x008BIM\x04\x04\0\0\0\0\0\x0e\x1c\x02x\0\x09aunt Mary"
    scene(0).save(tmp_path / "a.jpg", comment=b"from the attic",
                  extra=b"\xff\xed" + (len(iptc) + 2).to_bytes(2, "big") + iptc)  # fmt: skip
    photo = read_photo(tmp_path / "a.jpg")
    write_photo(tmp_path / "b.jpg", photo.pixels, photo)
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["comment"] == b"from the attic"
        assert ("APP13", iptc) in image.applist
    for pixels in (RGB, DEEP):
        like = Photo(pixels, "PNG", metadata=Metadata(texts=(("Title", "aünt Mary"),)))
        assert read_photo(encoded(pixels, like)).metadata == like.metadata


def test_too_much_for_a_jpeg_is_left_out_and_the_tag_stays():
    big = b"II*\0\x08\0\0\0\x01\0\x0e\x01\x07\0" + (70_000).to_bytes(4, "little")
    big += b"\x1a\0\0\0\0\0\0\0" + bytes(70_000)
    metadata = Metadata(big, XMP.replace(b"box 12", b"box" * 30_000), dpi=(70.0, 70.0))
    photo = read_photo(encoded(RGB, Photo(RGB, "JPEG", metadata=metadata), provenance=TAG))
    assert TAG.encode() in photo.metadata.exif
    assert TAG.encode() in photo.metadata.xmp
    assert (
        len(read_photo(encoded(RGB, Photo(RGB, "PNG", metadata=metadata))).metadata.exif) > 70_000
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (13, 1), (17, 23)])
@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_size_is_written(file_format, size, dtype):
    pixels = np.full((*size, 3), 200, dtype)
    pixels[0, 0] = (10, 100, 200)
    photo = read_photo(encoded(pixels, Photo(pixels, file_format, pixels[..., 0])))
    assert photo.pixels.shape == pixels.shape or file_format in ("JPEG", "WEBP", "AVIF")
    assert photo.pixels.shape[:2] == size
    if file_format in EXACT and dtype == np.uint8:
        assert np.array_equal(photo.pixels, pixels)


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("strips", [[RGB[:40]], [RGB, RGB], [RGB[:, :60]], [], [RGB[..., 0]]],
                         ids=["short", "long", "narrow", "none", "grey"])  # fmt: skip
def test_strips_that_do_not_fit_are_refused_and_nothing_is_written(tmp_path, file_format, strips):
    with pytest.raises(PhotoError, match="cannot be written"):
        write_photo(tmp_path / "a", strips, Photo(RGB, file_format))
    assert list(tmp_path.iterdir()) == []


def test_an_error_among_the_strips_leaves_no_file(tmp_path):
    def strips():
        yield RGB[:10]
        raise RuntimeError("out of memory")

    for file_format in FORMATS:
        with pytest.raises(PhotoError, match="out of memory"):
            write_photo(tmp_path / "a", strips(), Photo(RGB, file_format))
    assert list(tmp_path.iterdir()) == []


def test_a_deep_photo_is_never_whole_in_memory_while_it_is_written(tmp_path):
    import tracemalloc

    strip = np.random.default_rng(0).integers(0, 65536, (8, 500, 3), dtype=np.uint16)
    like = Photo(np.zeros((2000, 500), dtype=np.uint8), "PNG")
    for file_format in ("PNG", "TIFF"):
        with (tmp_path / "a").open("w+b") as file:
            tracemalloc.start()
            encode(file, (strip for _ in range(250)), file_format, like)
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 2000 * 500 * 6 / 2
