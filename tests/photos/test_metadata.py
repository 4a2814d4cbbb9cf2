"""metadata.py: what a file tells is read as true of the upright picture alone."""

import io
import struct

import numpy as np
import pytest
from PIL import ExifTags, Image, IptcImagePlugin, PngImagePlugin
from support.scenes import scene

from colourizer.photos.exif import parse_exif
from colourizer.photos.metadata import Metadata
from colourizer.photos.photo import Photo
from colourizer.photos.photoshop import split_segments, wrap_iptc
from colourizer.photos.raw_profile import format_raw_profile
from colourizer.photos.read import read_photo
from colourizer.photos.write import write_photo

REGION = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:m="http://ns.microsoft.com/photo/1.2/t/Region#" m:Rectangle="0.2, 0.4, 0.1, 0.2"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_metadata_is_turned_with_the_picture(file_format):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.Exif).update({0xA002: 48, 0xA003: 32})
    file = io.BytesIO()
    scene(0, 32, 48).save(file, file_format, exif=exif.tobytes(), xmp=REGION, dpi=(300, 150))
    photo = read_photo(file)
    assert photo.pixels.shape[:2] == (48, 32)
    camera = parse_exif(photo.metadata.exif).children[34665]
    assert (camera.numbers(0xA002), camera.numbers(0xA003)) == ((32,), (48,))
    if file_format in ("JPEG", "WEBP"):  # of the others Pillow writes none
        assert b'"0.4, 0.2, 0.2, 0.1"' in photo.metadata.xmp
    if photo.metadata.dpi:
        assert [round(value) for value in photo.metadata.dpi] == [150, 300]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "latin-1"])
def test_xmp_of_any_encoding_is_turned_with_the_picture(encoding):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    packet = REGION.decode().replace("m:Rect", 'm:Name="é" m:Rect').encode(encoding)
    file = io.BytesIO()
    scene(0, 32, 48).save(file, "JPEG", exif=exif.tobytes(), xmp=packet)
    found = read_photo(file).metadata.xmp.decode()
    assert 'm:Name="é"' in found
    assert '"0.4, 0.2, 0.2, 0.1"' in found


@pytest.mark.parametrize("file_format", ["JPEG", "TIFF"])
def test_of_photoshops_resources_the_captions_stay(file_format):
    caption = b"8BIM\x04\x04\0\0\0\0\0\x08\x1c\x02\x78\0\x03Ann"
    resources = b"8BIM\x04\x0c\0\0\0\0\0\x04grey" + caption + b"8BIM\x07\xd0\0\0\0\0\0\x04path"
    file, image = io.BytesIO(), scene(0, 32, 48)
    if file_format == "TIFF":
        image.save(file, "TIFF", tiffinfo={34377: resources, ExifTags.Base.Orientation: 6})
        found = read_photo(file).metadata.exif
        assert caption in found
        assert b"grey" not in found
        assert b"path" not in found
        return
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    image.save(file, "JPEG", exif=exif)
    body = b"Photoshop 3.0\0" + resources
    segment = b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body
    content = file.getvalue()
    photo = read_photo(io.BytesIO(content[:2] + segment + content[2:]))
    assert photo.metadata.photoshop == caption


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_pngs_texts_of_single_tags_go_when_it_is_turned(orientation):
    exif, texts = Image.Exif(), PngImagePlugin.PngInfo()
    exif[ExifTags.Base.Orientation] = orientation
    texts.add_text("exif:PixelXDimension", "48")
    texts.add_text("Title", "Ann")
    file = io.BytesIO()
    scene(0, 32, 48).save(file, "PNG", exif=exif, pnginfo=texts)
    found = dict(read_photo(file).metadata.texts)
    assert found.pop("Title") == "Ann"
    assert bool(found) == (orientation == 1)


CAPTION = wrap_iptc(b"\x1c\x02\x78\0\x03Ann")


def written(photo: Photo, target: str | None) -> io.BytesIO:
    file = io.BytesIO()
    write_photo(file, np.asarray(scene(0)), photo, target=target)
    return file


@pytest.mark.parametrize("source", ["jpeg", "tiff", "png"])
@pytest.mark.parametrize("target", ["jpeg", "tiff", "png"])
def test_captions_go_from_format_to_format(source, target):
    pixels = np.asarray(scene(0))
    photo = read_photo(written(Photo(pixels, "BMP", metadata=Metadata(photoshop=CAPTION)), source))
    file = written(photo, target)
    assert read_photo(file).metadata.photoshop == CAPTION
    with Image.open(file) as image:
        found = IptcImagePlugin.getiptcinfo(image) if target != "png" else None
        assert target == "png" or (found and found[2, 120] == b"Ann")


@pytest.mark.parametrize("others", [b"", b"8BIM\x03\xf0\0\0\0\0\0\2ab"])
def test_captions_that_a_tiff_has_beside_photoshops_resources_go_too(others):
    file = io.BytesIO()
    tags = {33723: b"\x1c\x02\x78\0\x03Ann", **({34377: others} if others else {})}
    scene(0).save(file, "TIFF", tiffinfo=tags)
    made = read_photo(written(read_photo(file), "jpeg"))
    assert made.metadata.photoshop == others + CAPTION


def test_resources_that_go_on_in_another_segment_lose_their_thumbnail():
    thumbnail = b"8BIM\x04\x0c\0\0" + (70_000).to_bytes(4, "big") + bytes(70_000)
    file = io.BytesIO()
    segments = [
        b"\xff\xed" + (len(body) + 2).to_bytes(2, "big") + body
        for body in split_segments(thumbnail + CAPTION)
    ]
    assert len(segments) == 2
    scene(0).save(file, "JPEG", extra=b"".join(segments))
    assert read_photo(file).metadata.photoshop == CAPTION


def test_every_comment_of_a_jpeg_stays():
    file = io.BytesIO()
    scene(0).save(file, "JPEG", comment=b"Graz, 1931", extra=b"\xff\xfe\0\5Ann")
    photo = read_photo(file)
    assert photo.metadata.comment == b"Ann\nGraz, 1931"
    with Image.open(written(photo, "png")) as image:
        assert image.text == {"Comment": "Ann\nGraz, 1931"}


@pytest.mark.parametrize("comment", ["Tante Gr\u00fc\u00df".encode(), b"Tante Gr\xfc\xdf"])
def test_a_gifs_comment_becomes_a_text(comment):
    file = io.BytesIO()
    scene(0).convert("L").save(file, "GIF", comment=comment)
    with Image.open(written(read_photo(file), "png")) as image:
        assert image.text == {"Comment": "Tante Gr\u00fc\u00df"}


@pytest.mark.parametrize(("orientation", "aspect"), [(1, (1, 2)), (6, (2, 1))])
def test_the_shape_of_pixels_stays_where_there_is_no_resolution(orientation, aspect):
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = orientation
    scene(0).save(file, "JPEG", exif=exif)
    header = b"JFIF\0\1\1\0" + struct.pack(">2H", 1, 2)  # no unit
    content = file.getvalue()
    photo = read_photo(io.BytesIO(content[:6] + header + content[6 + len(header) :]))
    assert photo.metadata.dpi is None
    pixels = np.asarray(photo.pixels)
    for target in ("jpeg", "png"):
        with io.BytesIO() as made:
            write_photo(made, pixels, photo, target=target)
            assert read_photo(made).metadata.aspect == aspect


def test_exif_and_xmp_in_a_pngs_raw_profiles_are_found():
    exif, texts = Image.Exif(), PngImagePlugin.PngInfo()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Artist] = 6, "Ann"
    texts.add_text("Raw profile type APP1", format_raw_profile("APP1", exif.tobytes()), zip=True)
    texts.add_text("Raw profile type xmp", format_raw_profile("xmp", REGION), zip=True)
    file = io.BytesIO()
    scene(0, 32, 48).save(file, "PNG", pnginfo=texts)
    photo = read_photo(file)
    assert photo.pixels.shape[:2] == (48, 32)
    assert b"Ann" in photo.metadata.exif
    assert b'"0.4, 0.2, 0.2, 0.1"' in photo.metadata.xmp
    assert not photo.metadata.texts


def test_a_pngs_text_keeps_its_language():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Title", "Tante Gr\u00fc\u00df", "de", "Titel")
    file = io.BytesIO()
    scene(0).save(file, "PNG", pnginfo=texts)
    with Image.open(written(read_photo(file), None)) as image:
        title = image.text["Title"]
        assert (title, title.lang, title.tkey) == ("Tante Gr\u00fc\u00df", "de", "Titel")
