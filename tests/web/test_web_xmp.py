"""web/: XMP of what the page writes is true of it, as that of the program."""

import base64
import io
from typing import Any
from xml.etree.ElementTree import canonicalize

import pytest
from PIL import Image
from support.browser_page import drop, save_download
from support.scenes import scene
from support.xmp_packets import (
    AREA,
    AREA_OF_ELEMENTS,
    FACE,
    GREY_SAMPLES,
    LEFT_OUT,
    MICROSOFT,
    SIZE,
    STORED,
    packet,
)

from colourizer.photos.orientation import turn_extent
from colourizer.photos.upright_xmp import upright_xmp
from colourizer.photos.xmp import convert_to_utf8, update_xmp

pytestmark = pytest.mark.browser
PACKETS = [
    *(packet(f'{attributes} xmp:Rating="4"', inner) for attributes, inner in LEFT_OUT),
    *(packet("", FACE.format(size=SIZE, area=area)) for area in (AREA, AREA_OF_ELEMENTS)),
    packet("", FACE.format(size='stDim:w="100" stDim:h="100"', area=AREA)),
    packet("", FACE.format(size=SIZE, area=AREA.replace("0.25", "left"))),
    packet("", FACE.format(size=SIZE, area=AREA.replace("normalized", "pixel"))),
    packet("", MICROSOFT),
    packet("", MICROSOFT.replace("0.2, ", "")),
    packet('exif:PixelXDimension="240" exif:SubjectLocation="60"'),
    packet("", "<tiff:ImageWidth>240</tiff:ImageWidth>"),
    packet('tiff:XResolution="300/1" crs:HasCrop="True" crs:Tint="1" GDepth:Data="iVBORw0KGgo="',
           "<tiff:YResolution>150/1</tiff:YResolution>"),
    packet('dcterms:provenance="Given by the family in 1950"'),
    packet('tiff:Orientation="6" photoshop:ColorMode="1"', GREY_SAMPLES.format(1)),
    packet("", "<tiff:Orientation> 8 </tiff:Orientation>" + GREY_SAMPLES.format(3)),
    packet('dc:title="größer &amp; &lt;schöner&gt;"'),
]  # fmt: skip
ENCODINGS = ["utf-8", "utf-16", "utf-16-be", "utf-32", "utf-32-be", "latin-1"]
BROKEN = [b"", b"hdrgm", b"<a ImageWidth='1'>", b"\xff\xfe<", b"<a><b:c/></a>", b"<a>" * 9]
UPRIGHT_XMP = """async (all) => {
    const { uprightXmp } = await import("./upright_xmp.js");
    return all.map(([text, orientation, size]) => {
        const xmp = Uint8Array.from(atob(text), c => c.charCodeAt(0));
        const made = uprightXmp(xmp, orientation, size);
        return made && btoa(String.fromCharCode(...made));
    });
}"""


def of_page(page: Any, packets: list[tuple[bytes, int, tuple[int, int]]]) -> list[bytes | None]:
    """Return what the page makes of packets, of some orientations and upright sizes (H, W)."""
    given = [[base64.b64encode(xmp).decode(), *rest] for xmp, *rest in packets]
    made = page.evaluate(UPRIGHT_XMP, given)
    return [base64.b64decode(text) if text is not None else None for text in made]


def test_packets_become_those_of_the_program(page):
    cases = [
        (xmp, orientation, turn_extent(orientation, *STORED))
        for xmp in PACKETS
        for orientation in (1, 3, 6, 8)
    ]
    for case, made in zip(cases, of_page(page, cases), strict=True):
        assert made is not None
        expected = update_xmp(upright_xmp(*case), None)
        assert canonicalize(made.decode().strip()) == canonicalize(expected.decode().strip())
        assert made.startswith(b"<?xpacket begin")
        assert made.endswith(b'<?xpacket end="w"?>')


def test_packets_of_other_encodings_become_utf_8(page):
    text = PACKETS[-1].decode().replace("\ufeff", "")
    text = text.replace("dc:title", 'tiff:ImageWidth="240" dc:title')
    text = f'<?xml version="1.0" encoding="odd"?>{text}'
    packets = [text.encode(encoding) for encoding in ENCODINGS]
    made = of_page(page, [(xmp, 6, STORED[::-1]) for xmp in packets])
    for xmp, found in zip(packets, made, strict=True):
        expected = upright_xmp(convert_to_utf8(xmp), 6, STORED[::-1])
        assert canonicalize(found.decode()) == canonicalize(expected.decode())


def test_packets_that_nobody_can_read_are_left_out(page):
    assert of_page(page, [(xmp, 6, STORED) for xmp in BROKEN]) == [None] * len(BROKEN)
    deep = b"<a>" * 20_000 + b"</a>" * 20_000
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "ImageWidth">{entities}]><a>&e12;</a>'.encode()
    assert of_page(page, [(xmp, 6, STORED) for xmp in (deep, bomb)]) == [None, None]
    page.context.wrong.clear()  # the browser's own page about an error breaks the policy


@pytest.mark.parametrize(("suffix", "encoding"), [("jpg", "utf-16"), ("png", "utf-8")])
def test_a_file_s_packet_is_turned_with_the_photograph(page, tmp_path, suffix, encoding):
    xmp = packet('tiff:Orientation="6"', FACE.format(size=SIZE, area=AREA)).decode()
    content = io.BytesIO()
    exif = Image.Exif()
    exif[0x112] = 6
    picture = scene(1, *STORED).convert("L")
    if suffix == "jpg":
        picture.save(content, "JPEG", exif=exif, xmp=xmp.encode(encoding))
    else:
        from PIL.PngImagePlugin import PngInfo

        texts = PngInfo()
        texts.add_itxt("XML:com.adobe.xmp", xmp, zip=True)
        picture.save(content, "PNG", exif=exif, pnginfo=texts)
    drop(page, {f"faces.{suffix}": content.getvalue()})
    page.get_by_text("1 of 1 coloured").wait_for()
    expected = update_xmp(upright_xmp(xmp.encode(), 6, STORED[::-1]), None).decode()
    with Image.open(save_download(page, "Download", tmp_path)) as image:
        image.load()
        assert image.size == STORED
        found = image.info["xmp"] if suffix == "jpg" else image.text["XML:com.adobe.xmp"].encode()
    assert canonicalize(found.decode()) == canonicalize(expected)
