"""metadata.py: what a file tells is read as true of the upright picture alone."""

import io

import pytest
from PIL import ExifTags, Image, PngImagePlugin
from support.scenes import scene

from colourizer.photos.exif import parse_exif
from colourizer.photos.read import read_photo

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
    assert photo.metadata.photoshop == (b"Photoshop 3.0\0" + caption,)


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
