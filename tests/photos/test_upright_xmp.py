"""upright_xmp.py: XMP is true of a picture that is upright and alone in its file."""

from xml.etree import ElementTree

import pytest
from support.xmp_packets import (
    AREA,
    AREA_OF_ELEMENTS,
    FACE,
    GREY_SAMPLES,
    LEFT_OUT,
    MICROSOFT,
    NAMESPACES,
    SIZE,
    STORED,
    UPRIGHT,
    packet,
)

from colourizer.photos.upright_xmp import upright_xmp


def properties(xmp: bytes) -> dict[str, str]:
    """Values of all attributes and elements with text, by prefixed name."""
    prefixes = {f"{{{uri}}}": f"{prefix}:" for prefix, uri in NAMESPACES.items()}
    found = {}
    for element in ElementTree.fromstring(xmp.strip()).iter():
        for name, value in (*element.attrib.items(), (element.tag, (element.text or "").strip())):
            for uri, prefix in prefixes.items():
                name = name.replace(uri, prefix)
            found[name] = value
    return found


@pytest.mark.parametrize(("attributes", "inner"), LEFT_OUT)
def test_what_is_not_written_is_not_promised_and_the_rest_stays(attributes, inner):
    after = upright_xmp(packet(attributes + ' xmp:Rating="4"', inner), 1, STORED)
    found = properties(after)
    gone = (
        "MotionPhoto",
        "MicroVideo",
        "Version",
        "provenance",
        "Container",
        "Item",
        "Extended",
        "GDepth",
    )
    assert not [name for name in found if any(part in name for part in (*gone, "Thumbnails"))]
    assert found["xmp:Rating"] == "4"
    assert found["dc:source"] == 'an "album"'
    assert after.startswith(b"<?xpacket begin")
    assert after.endswith(b'<?xpacket end="w"?>')


@pytest.mark.parametrize(("mode", "stays"), [("1", False), ("4", False), ("3", True)])
def test_what_is_in_colour_no_longer_says_that_it_is_grey(mode, stays):
    said = f'photoshop:ColorMode="{mode}" photoshop:ICCProfile="Dot" photoshop:City="Bern"'
    before = packet(said, GREY_SAMPLES.format(mode))
    after = upright_xmp(before, 1, STORED)
    named = ("ColorMode", "ICCProfile", "SamplesPerPixel", "BitsPerSample")
    assert not stays or after == before
    assert [name in after.decode() for name in named] == [stays] * len(named)
    assert properties(after)["photoshop:City"] == "Bern"


@pytest.mark.parametrize("area", [AREA, AREA_OF_ELEMENTS])
def test_a_face_stays_on_the_face(area):
    found = properties(upright_xmp(packet("", FACE.format(size=SIZE, area=area)), 6, UPRIGHT))
    assert (found["stDim:w"], found["stDim:h"]) == ("160", "240")
    named = {name: float(found[f"stArea:{name}"]) for name in "xywh"}
    assert named == {"x": 0.5, "y": 0.25, "w": 0.2, "h": 0.1}
    assert found["mwg-rs:Name"] == "Ann"


def test_a_face_of_microsofts_schema_stays_on_the_face():
    found = properties(upright_xmp(packet("", MICROSOFT), 6, UPRIGHT))
    assert found["MPReg:Rectangle"] == "0.4, 0.2, 0.2, 0.1"


def test_in_an_upright_picture_faces_stay_byte_for_byte():
    xmp = packet("", FACE.format(size=SIZE, area=AREA) + MICROSOFT)
    assert upright_xmp(xmp, 1, STORED) == xmp


@pytest.mark.parametrize(
    ("size", "area"),
    [
        ('stDim:w="100" stDim:h="100"', AREA),  # of a picture that was cropped since
        (SIZE, AREA.replace("0.25", "left")),
        (SIZE, AREA.replace("normalized", "pixel")),
    ],
)
def test_faces_that_cannot_be_turned_are_left_out(size, area):
    xmp = packet('xmp:Rating="4"', FACE.format(size=size, area=area))
    found = properties(upright_xmp(xmp, 6, UPRIGHT))
    assert not [name for name in found if name.startswith(("mwg-rs", "stArea", "stDim"))]
    assert found["xmp:Rating"] == "4"


def test_sizes_are_the_upright_pictures():
    sizes = 'exif:PixelXDimension="240" exif:PixelYDimension="160"'
    xmp = packet(sizes, "<tiff:ImageWidth>240</tiff:ImageWidth>")
    found = properties(upright_xmp(xmp, 8, UPRIGHT))
    assert (found["exif:PixelXDimension"], found["exif:PixelYDimension"]) == ("160", "240")
    assert found["tiff:ImageWidth"] == "160"
    assert upright_xmp(xmp, 1, STORED) == xmp


def test_positions_of_other_schemas_are_left_out_of_a_turned_picture():
    xmp = packet('exif:SubjectLocation="60" xmp:Rating="4"')
    assert "exif:SubjectLocation" in properties(upright_xmp(xmp, 1, STORED))
    found = properties(upright_xmp(xmp, 3, STORED))
    assert "exif:SubjectLocation" not in found
    assert found["xmp:Rating"] == "4"


def test_a_text_about_provenance_stays():
    before = packet('dcterms:provenance="Given by the family in 1950"')
    assert upright_xmp(before, 1, STORED) == before


def test_crops_and_depths_of_the_stored_picture_are_left_out_of_a_turned_one():
    said = 'crs:HasCrop="True" crs:CropTop="0.1" crs:Contrast2012="20" GDepth:Data="iVBORw0KGgo="'
    before = packet(said)
    assert upright_xmp(before, 1, STORED) == before
    found = properties(upright_xmp(before, 6, UPRIGHT))
    assert [name for name in found if name.startswith(("crs:", "GDepth:"))] == ["crs:Contrast2012"]


@pytest.mark.parametrize(("orientation", "across"), [(3, "300/1"), (6, "150/1")])
def test_resolutions_are_the_upright_pictures(orientation, across):
    before = packet('tiff:XResolution="300/1"', "<tiff:YResolution>150/1</tiff:YResolution>")
    found = properties(upright_xmp(before, orientation, UPRIGHT))
    both = found["tiff:XResolution"], found["tiff:YResolution"]
    assert both == (across, {"300/1": "150/1", "150/1": "300/1"}[across])


@pytest.mark.parametrize(
    "broken",
    [b"", b"hdrgm hdr-gain-map", b"\xff\xfe<ImageWidth", b"<a ImageWidth='1'>", b"<a>" * 5],
)
def test_xmp_that_is_none_stays_as_it_is(broken):
    assert upright_xmp(broken, 6, UPRIGHT) == broken


def test_xmp_made_to_be_slow_or_deep_is_neither():
    deep = b"<a>" * 20_000 + b"ImageWidth" + b"</a>" * 20_000
    assert upright_xmp(deep, 6, UPRIGHT) == deep
    entities = "".join(f'<!ENTITY e{n + 1} "{f"&e{n};" * 10}">' for n in range(12))
    bomb = f'<!DOCTYPE a [<!ENTITY e0 "ImageWidth">{entities}]><a>&e12;</a>'.encode()
    assert upright_xmp(bomb, 6, UPRIGHT) == bomb
