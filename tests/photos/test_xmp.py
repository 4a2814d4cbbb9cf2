"""xmp.py: packets stay as they were, but for what changed."""

from xml.etree import ElementTree

import pytest

from colourizer.photos.xmp import convert_to_utf8, update_xmp

MADE_BY = "colourized with Image Colourizer, model M & N, version 0123abcd"


LIGHTROOM = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"
 xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"
 tiff:Orientation="8" xmp:CreatorTool="Lightroom" xmp:Rating="4">
<xmpMM:History><rdf:Seq><rdf:li stEvt:action="derived"/></rdf:Seq></xmpMM:History>
</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>""".encode()


ELEMENT = (
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
    b'rdf:about="" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"><tiff:Orientation>6'
    b"</tiff:Orientation></rdf:Description></rdf:RDF>"
)


BARE = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"/>'


TIFF_NAME = "{http://ns.adobe.com/tiff/1.0/}Orientation"


@pytest.mark.parametrize("before", [b"", LIGHTROOM, ELEMENT, BARE])
def test_xmp_stays_xml_and_names_the_maker_once(before):
    after = update_xmp(before, MADE_BY)
    root = ElementTree.fromstring(after)
    texts = [element.text for element in root.iter() if element.tag.endswith("parameters")]
    assert texts == [MADE_BY]
    assert update_xmp(after, MADE_BY) == after
    types = [element.text for element in root.iter() if element.tag.endswith("SourceType")]
    assert len(types) == 1
    assert types[0].endswith("compositeWithTrainedAlgorithmicMedia")


def test_xmp_keeps_what_was_there_and_says_upright():
    after = update_xmp(LIGHTROOM, MADE_BY)
    for part in (b'xmp:CreatorTool="Lightroom"', b'xmp:Rating="4"', b'stEvt:action="derived"'):
        assert part in after
    assert b"<xmp:CreatorTool>" not in after
    root = ElementTree.fromstring(after)
    assert [e.attrib[TIFF_NAME] for e in root.iter() if TIFF_NAME in e.attrib] == ["1"]
    subjects = {v for e in root.iter() for k, v in e.attrib.items() if k.endswith("about")}
    assert subjects == {"uuid:1"}  # another would make it another thing's description
    steps = next(e for e in root.iter() if e.tag.endswith("Seq"))
    assert len(steps) == 2
    assert next(ElementTree.fromstring(update_xmp(ELEMENT, None)).iter(TIFF_NAME)).text == "1"
    assert update_xmp(LIGHTROOM, None) == LIGHTROOM.replace(b'tion="8"', b'tion="1"')


@pytest.mark.parametrize(
    "said",
    [
        b'<d xmlns:t="http://ns.adobe.com/tiff/1.0/" t:Orientation="6"/>',
        b'<d><tiff:Orientation xml:lang="x">6</tiff:Orientation></d>',
    ],
)
def test_an_orientation_is_reset_under_any_prefix_and_with_attributes(said):
    assert update_xmp(said, None) == said.replace(b"6", b"1")


@pytest.mark.parametrize("said", [b'<d dc:format="{}"/>', b"<d><dc:format>{}</dc:format></d>"])
def test_the_format_is_that_of_the_file_that_is_written(said):
    before, after = (said.replace(b"{}", b"image/" + name) for name in (b"heic", b"jpeg"))
    assert update_xmp(before, None, "image/jpeg") == after
    assert update_xmp(before, None) == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-16-be", "utf-32", "latin-1"])
def test_a_packet_of_any_encoding_becomes_utf_8(encoding):
    text = '<?xml version="1.0" encoding="{}"?><x:xmpmeta xmlns:x="adobe:ns:meta/">é</x:xmpmeta>'
    found = convert_to_utf8(text.format(encoding).encode(encoding))
    assert ElementTree.fromstring(found).text == "é"
    assert convert_to_utf8(found) == found


def test_a_packet_of_utf_8_that_says_otherwise_can_be_read():
    for name in ("x-unknown", "utf-16"):
        found = convert_to_utf8(f"<?xml version='1.0' encoding='{name}' ?><a>é</a>".encode())
        assert ElementTree.fromstring(found).text == "é"
    assert convert_to_utf8(b"<?xml" + b" " * 1_000_000)


@pytest.mark.parametrize("broken", [b"\xff\xfe<\0x\0", b"<x:xmpmeta", b"hello"])
def test_xmp_that_is_none_stays_as_it_is(broken):
    assert update_xmp(broken, MADE_BY) == broken


def test_xmp_of_megabytes_made_to_be_slow_is_not():
    prefixes = (f'xmlns:a{n}="http://ns.adobe.com/tiff/1.0/" ' for n in range(40_000))
    assert update_xmp("".join(prefixes).encode(), None)
    for part in (b"<xmpMM:History><rdf:Seq>", b'tiff:Orientation="', b"<rdf:RDF ", b"rdf:about "):
        assert update_xmp(part * 100_000 + b"</rdf:RDF>", MADE_BY)


def test_of_no_xmp_and_no_maker_comes_nothing():
    assert update_xmp(b"", None) == b""
