"""web/src: metadata of a picture that was turned upright are those of the program."""

import io
import zlib

import pytest
from PIL import ExifTags, Image, JpegImagePlugin, PngImagePlugin
from support.node import run_javascript
from support.scenes import scene

from colourizer.photos.photoshop import SIGNATURE, keep_true_resources
from colourizer.photos.upright_exif import upright_exif

STORED = (160, 240)  # (H, W)
SOFTWARE = "colourized with Image Colourizer"
RESOURCE = b"8BIM\4%c\0\0\0\0\0\4IPTC"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
MERGE = """
const { %(read)s: read, %(put)s: put } = await modules("%(module)s");
const parts = put(given.coloured, given.original, true, given.metadata);
const all = Buffer.concat(parts);
return [await read(given.original), new Uint8Array(all)];
"""


def exif(order: str, orientation: int) -> bytes:
    tags = Image.Exif()
    tags.endian = order
    tags[0x0112], tags[0x010F], tags[282], tags[283] = orientation, "Zeiss", 300.0, 150.0
    camera = tags.get_ifd(ExifTags.IFD.Exif)
    camera[0xA002], camera[0xA003] = STORED[::-1]
    camera[0xA20E], camera[0xA20F] = 1000.0, 500.0
    camera[0x9214], camera[0xA214] = (60, 80, 24, 16), (60, 80)
    return tags.tobytes().removeprefix(b"Exif\0\0")


def values(content: bytes) -> tuple[dict[int, object], dict[int, object]]:
    tags = Image.Exif()
    tags.load(b"Exif\0\0" + content)
    return dict(tags), dict(tags.get_ifd(ExifTags.IFD.Exif))


def encoded(image: Image.Image, file_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, file_format, **options)
    return file.getvalue()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_turned_as_by_the_program(orientation):
    size = STORED if orientation < 5 else STORED[::-1]
    before = [exif(order, orientation) for order in "<>"]
    made = run_javascript(
        """const { readOrientation, updateExif } = await modules("exif");
        return given.exif.map((exif) =>
          updateExif(exif, readOrientation(exif), given.size, given.software));""",
        {"exif": before, "size": size, "software": SOFTWARE},
    )
    for old, new in zip(before, made, strict=True):
        first, camera = values(upright_exif(old, orientation, size))
        del first[34665]  # where the directory lies
        found = values(new)
        assert {tag: found[0][tag] for tag in first} == {**first, 0x0112: 1}
        assert found[0][0x131] == SOFTWARE
        assert found[1] == camera


def test_the_orientation_of_xmp_counts_where_exif_has_none():
    xmp = b'<rdf:Description tiff:Orientation="8"/>'
    as_element = xmp.replace(b'="8"', b">6</tiff:Orientation>")
    made = run_javascript(
        """const { readOrientation } = await modules("exif");
        return given.map(([exif, xmp]) => readOrientation(exif ?? undefined, xmp ?? undefined));""",
        [(exif("<", 3), xmp), (exif(">", 1), xmp), (None, xmp), (None, as_element),
         (exif("<", 6)[:9], xmp), (None, b"<x/>"), (None, None)],
    )  # fmt: skip
    assert made == [3, 1, 8, 6, 8, 1, 1]


@pytest.mark.parametrize("options", [{}, {"lossless": True}, {"exif": exif("<", 6)}])
def test_a_webp_s_size_and_metadata_are_read(options):
    content = encoded(scene(1, *STORED), "WEBP", **options)
    size, metadata, torn = run_javascript(
        """const { readWebpSize, readWebpMetadata } = await modules("webp");
        const torn = given.subarray(0, 21);
        return [readWebpSize(given), readWebpMetadata(given), readWebpSize(torn)];""",
        content,
    )
    assert (size["width"], size["height"]) == STORED[::-1]
    assert metadata.get("exif") == options.get("exif")
    assert torn == {}


@pytest.mark.parametrize("is_compressed", [False, True])
def test_exif_in_a_text_of_a_png_is_read_and_not_kept_as_it_was(is_compressed):
    digits = (b"Exif\0\0" + exif("<", 6)).hex()
    lines = [digits[n : n + 72] for n in range(0, len(digits), 72)]
    raw = "\n".join(["", "exif", f"{len(digits) // 2:8}", *lines, ""])
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Raw profile type exif", raw, zip=is_compressed)
    texts.add_text("Title", "Ann")
    given = {
        "coloured": encoded(scene(1, *STORED[::-1]), "PNG"),
        "original": encoded(scene(1, *STORED), "PNG", pnginfo=texts),
        "metadata": {"exif": exif("<", 1), "orientation": 6},
    }
    names = {"read": "readPngMetadata", "put": "withMetadataOfPng", "module": "png"}
    read, made = run_javascript(MERGE % names, given)
    assert read["exif"] == exif("<", 6)
    assert Image.open(io.BytesIO(made)).text == {"Title": "Ann"}


def test_exif_whose_inner_directory_is_cut_off_keeps_the_rest():
    broken = exif("<", 6)[:120]
    made = run_javascript(
        'return (await modules("exif")).updateExif(given.exif, 6, [240, 160], "x");',
        {"exif": broken},
    )
    assert b"Zeiss" in made


def test_photoshop_s_resources_lose_what_they_lose_in_the_program():
    thumbnail, caption = (RESOURCE.replace(b"%c", bytes([n])) for n in (12, 4))
    path = RESOURCE.replace(b"\4%c", b"\7\xd0")
    segments = [
        SIGNATURE + caption + thumbnail + caption,
        SIGNATURE + thumbnail[:-1],
        SIGNATURE + thumbnail[:9],
        SIGNATURE + thumbnail.replace(b"\4IPTC", b"\3IPT\0"),
        SIGNATURE + caption + b"else",
        SIGNATURE + caption + path,
        thumbnail,
        b"",
    ]
    for turned in (False, True):
        made = run_javascript(
            'const { keepTrueResources: keep } = await modules("photoshop");'
            "return given.segments.map((segment) => keep(segment, given.turned));",
            {"segments": segments, "turned": turned},
        )
        assert made == [keep_true_resources(each, turned) for each in segments]


def jpeg_of(content: bytes) -> JpegImagePlugin.JpegImageFile:
    image = Image.open(io.BytesIO(content))
    assert isinstance(image, JpegImagePlugin.JpegImageFile)
    return image


def test_a_jpeg_gets_the_turned_metadata_and_no_more_of_the_old():
    def segment(content: bytes) -> bytes:
        return b"\xff\xe1" + (len(content) + 2).to_bytes(2, "big") + content

    picture = scene(1, *STORED).convert("L")
    plain = encoded(picture, "JPEG", dpi=(300, 150), exif=b"Exif\0\0" + exif("<", 6), xmp=b"<old/>")
    extended = segment(b"http://ns.adobe.com/xmp/extension/\0<promised/>")
    given = {
        "coloured": encoded(scene(1, *STORED[::-1]), "JPEG"),
        "original": plain[:20] + extended + plain[20:],
        "metadata": {"exif": exif("<", 1), "xmp": b"<new/>", "orientation": 6},
    }
    names = {"read": "readJpegMetadata", "put": "withMetadataOfJpeg", "module": "jpeg"}
    read, made = run_javascript(MERGE % names, given)
    assert read["xmp"] == b"<old/>"
    assert b"promised" not in made
    assert jpeg_of(made).info["dpi"] == (150, 300)
    assert jpeg_of(made).info["xmp"] == b"<new/>"
    given["metadata"]["xmp"] = b"<long/>" + b" " * 65_600
    _, made = run_javascript(MERGE % names, given)
    assert "xmp" not in jpeg_of(made).info


@pytest.mark.parametrize("is_compressed", [False, True])
def test_a_png_gets_the_turned_metadata_and_no_more_of_the_old(is_compressed):
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", "<old/>", zip=is_compressed)
    texts.add_itxt("Title", "Ann", zip=is_compressed)
    texts.add(b"cICP", bytes((1, 13, 0, 1)))
    picture = scene(1, *STORED).convert("L")
    given = {
        "coloured": encoded(scene(1, *STORED[::-1]), "PNG"),
        "original": encoded(picture, "PNG", dpi=(300, 150), pnginfo=texts),
        "metadata": {"exif": exif("<", 1), "xmp": b"<new/>", "orientation": 6},
    }
    names = {"read": "readPngMetadata", "put": "withMetadataOfPng", "module": "png"}
    read, made = run_javascript(MERGE % names, given)
    assert read["xmp"] == b"<old/>"
    image = Image.open(io.BytesIO(made))
    assert image.info["dpi"] == pytest.approx((150, 300), abs=0.1)
    assert (image.text["XML:com.adobe.xmp"], image.text["Title"]) == ("<new/>", "Ann")
    assert b"<old/>" not in made
    assert zlib.compress(b"<old/>") not in made
    assert b"cICP\1\x0d\0\1" in made
