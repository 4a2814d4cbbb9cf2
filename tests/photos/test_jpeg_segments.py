"""jpeg_segments.py: grey JPEGs become the components of one in colour, bit for bit."""

import io
import random
import re

import numpy as np
import pytest
from PIL import Image
from support.scenes import scene

from colourizer.photos.errors import PhotoError
from colourizer.photos.jpeg_segments import (
    DQT,
    DRI,
    MAX_EXIF,
    MAX_XMP,
    PROGRESSIVE,
    SOS,
    START,
    GreyScans,
    after_app_segments,
    append_end_marker,
    join_scans,
    lacks_scans,
    parse_grey_scans,
    write_app_segments,
)
from colourizer.photos.metadata import Metadata
from colourizer.photos.read import read_photo, read_rgb

KINDS = [{}, {"optimize": True}, {"progressive": True}, {"restart_marker_rows": 1}]


def jpeg(values: np.ndarray | Image.Image, **how) -> bytes:
    file = io.BytesIO()
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    image.save(file, "JPEG", **how)
    return file.getvalue()


def taken_apart(values: np.ndarray, **how) -> GreyScans:
    scans = parse_grey_scans(jpeg(values, **how))
    assert scans
    return scans


def noise(height: int, width: int, seed: int) -> np.ndarray:
    smooth = np.random.default_rng(seed).integers(0, 256, (3, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(smooth).resize((width, height), Image.Resampling.BICUBIC))


SEGMENTS = write_app_segments(Metadata(dpi=(300, 300), comment=b"aunt Mary"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"exif": b"MM\0*\0\0\0\x08" + bytes(6)},
        {"xmp": b"<x:xmpmeta/>", "comment": b"aunt Mary"},
        {"exif": b"e" * MAX_EXIF, "xmp": b"x" * MAX_XMP, "comment": b"c" * 65533},
        {"icc_profile": b"p" * 65519, "photoshop": b"8BIM" * 20_000},
        {"icc_profile": b"p" * 200_000},
    ],
    ids=lambda fields: " ".join(fields) or "nothing",
)
@pytest.mark.parametrize("dpi", [None, (300, 299)])
def test_app_segments_are_those_that_pillow_writes(fields, dpi):
    pillows = {name: content for name, content in fields.items() if name != "photoshop"}
    if "exif" in fields:
        pillows["exif"] = b"Exif\0\0" + fields["exif"]
    if "photoshop" in fields:
        resources, room = fields["photoshop"], 65533 - len(b"Photoshop 3.0\0")
        pieces = [b"Photoshop 3.0\0" + part for part in (resources[:room], resources[room:])]
        parts = [b"\xff\xed" + (len(c) + 2).to_bytes(2, "big") + c for c in pieces]
        pillows["extra"] = b"".join(parts)
    theirs = jpeg(Image.new("YCbCr", (1, 1)), **pillows, **({"dpi": dpi} if dpi else {}))
    ours = START + write_app_segments(Metadata(dpi=dpi, **fields))
    assert ours + bytes(after_app_segments(theirs)) == theirs


@pytest.mark.parametrize(
    "too_much", [{"comment": bytes(65534)}, {"icc_profile": bytes(17_000_000)}]
)
def test_what_has_no_room_is_refused(too_much):
    with pytest.raises((ValueError, OverflowError)):
        write_app_segments(Metadata(**too_much))


@pytest.mark.parametrize("how", KINDS, ids=lambda how: " ".join(how) or "baseline")
@pytest.mark.parametrize("size", [(1, 1), (8, 8), (9, 31), (17, 16), (70, 45)])
def test_each_component_decodes_as_the_grey_jpeg_that_it_was(size, how):
    half = [(side + 1) // 2 for side in size]
    luma = noise(*size, 0)
    chromas = [60 * seed + noise(*half, seed) // 8 for seed in (1, 2)]
    like = {"progressive": "progressive" in how}
    table = [[3] * 64]
    planes = (taken_apart(luma, quality=60, **how),)
    planes += tuple(taken_apart(c, qtables=table, **like) for c in chromas)
    with Image.open(io.BytesIO(join_scans(SEGMENTS, planes))) as image:
        assert (image.size, image.mode) == (size[::-1], "RGB")
        assert image.info["comment"] == b"aunt Mary"
        assert image.info["dpi"] == (300, 300)
        image.draft("L", None)
        assert np.array_equal(image, Image.open(io.BytesIO(jpeg(luma, quality=60, **how))))
    with Image.open(io.BytesIO(join_scans(SEGMENTS, planes))) as image:
        image.draft("YCbCr", image.size)
        stored = np.asarray(image)[::2, ::2, 1:].astype(int)
    assert np.abs(stored - np.stack(chromas, axis=-1)).max() <= 8  # a decoder makes them smooth


def test_a_file_without_colour_is_what_it_was_before():
    """Whoever throws the chroma away has the grey file's very scans again."""
    luma = np.asarray(scene(0).convert("L"))
    chroma = np.full((24, 32), 128, np.uint8)
    parts = [taken_apart(values) for values in (luma, chroma, chroma)]
    joined = join_scans(SEGMENTS, tuple(parts))
    (compressed,) = (body for marker, body in parts[0].rest if marker == SOS)
    assert compressed[6:] in joined


@pytest.mark.parametrize(
    "other",
    [
        jpeg(scene(0)),  # in colour
        jpeg(Image.new("CMYK", (9, 9))),
        b"",
        b"\xff\xd8",
        b"GIF89a",
    ],
    ids=["colour", "cmyk", "empty", "start", "gif"],
)
def test_what_is_not_a_grey_jpeg_is_not_taken_apart(other):
    assert parse_grey_scans(other) is None


@pytest.mark.parametrize(
    ("place", "value"),
    [(1, 0xC3), (1, 0xC9), (4, 12), (6, 0)],  # of the frame's header
    ids=["lossless", "arithmetic", "12 bits", "height said later"],
)
def test_rare_kinds_are_not_taken_apart(place, value):
    content = bytearray(jpeg(noise(9, 9, 0)))
    assert parse_grey_scans(bytes(content))
    content[content.index(b"\xff\xc0") + place] = value
    assert parse_grey_scans(bytes(content)) is None


def test_a_torn_file_is_not_taken_apart_wherever_it_is_torn():
    content = jpeg(noise(40, 40, 0), restart_marker_rows=1)
    assert all(parse_grey_scans(content[:n]) is None for n in range(len(content)))
    assert parse_grey_scans(content + b"what a phone adds") == parse_grey_scans(content)


def test_what_decodes_of_a_damaged_file_is_the_luma_of_the_joined_one():
    chance = random.Random(0)
    whole = [jpeg(scene(3).convert("L"), quality=80, **how) for how in KINDS]
    table, chroma = [[3] * 64], np.full((24, 32), 100, np.uint8)
    alike = 0
    for _ in range(300):
        content = bytearray(chance.choice(whole))
        for _ in range(chance.choice((1, 2, 4))):
            place, length = chance.randrange(2, len(content)), chance.randrange(1, 9)
            content[place : place + chance.choice((1, length))] = chance.randbytes(length)
        try:
            expected = np.asarray(Image.open(io.BytesIO(content), formats=["JPEG"]))
        except Exception:  # as Pillow raises seven kinds of it
            continue
        luma = parse_grey_scans(bytes(content))
        if luma is None or luma.size != (48, 64):
            continue
        like = {"progressive": luma.frame == PROGRESSIVE}
        colours = taken_apart(chroma, qtables=table, **like)
        with Image.open(io.BytesIO(join_scans(SEGMENTS, (luma, colours, colours)))) as image:
            image.draft("L", None)
            assert np.array_equal(image, expected)
        alike += 1
    assert alike > 50


def test_planes_that_do_not_belong_together_are_refused():
    luma, half = taken_apart(noise(16, 16, 0)), taken_apart(noise(8, 8, 0))
    with pytest.raises(ValueError, match="half the luma's size"):
        join_scans(SEGMENTS, (luma, luma, half))
    progressive = taken_apart(noise(8, 8, 0), progressive=True)
    with pytest.raises(ValueError, match="progressive"):
        join_scans(SEGMENTS, (luma, half, progressive))


def test_a_quantization_table_of_another_number_and_restarts_stay_the_lumas():
    content = jpeg(noise(40, 24, 0), restart_marker_rows=1)
    table = content.index(bytes((0xFF, DQT))) + 4
    frame = content.index(b"\xff\xc0") + 12
    renumbered = bytearray(content)
    renumbered[table], renumbered[frame] = 2, 2
    luma = parse_grey_scans(bytes(renumbered))
    assert luma and luma.table == 2
    chroma = taken_apart(np.full((20, 12), 90, np.uint8))
    joined = join_scans(SEGMENTS, (luma, chroma, chroma))
    assert joined.count(bytes((0xFF, DRI))) == 2  # on, and off again for the chromas
    with Image.open(io.BytesIO(joined)) as image:
        image.draft("L", None)
        assert np.array_equal(image, Image.open(io.BytesIO(content)))


def scene_jpeg(mode: str = "RGB", **options: object) -> bytes:
    file = io.BytesIO()
    scene(0, 80, 112).convert(mode).save(file, "JPEG", quality=90, **options)
    return file.getvalue()


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 4}])
def test_a_jpeg_that_lacks_only_its_end_marker_has_all_its_pixels(missing, mode, options):
    content = scene_jpeg(mode, **options)
    whole, cut = read_photo(io.BytesIO(content)), read_photo(io.BytesIO(content[:-missing]))
    assert not whole.note
    assert cut.note
    assert np.array_equal(whole.pixels, cut.pixels)
    rgb = read_rgb(io.BytesIO(content[:-missing]))
    assert rgb.tobytes() == read_rgb(io.BytesIO(content)).tobytes()


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_pixels_is_refused(mode, progressive):
    content = scene_jpeg(mode, progressive=progressive)
    for missing in (12, len(content) // 3):
        with pytest.raises(PhotoError, match="truncated"):
            read_photo(io.BytesIO(content[:-missing]))


def test_a_jpeg_that_ends_between_two_scans_is_refused():
    content = scene_jpeg(progressive=True)
    last_scan = content.rindex(b"\xff\xda")
    tables = content.rindex(b"\xff\xc4", 0, last_scan)
    assert append_end_marker(content[:tables]) is None
    with pytest.raises(PhotoError, match="truncated"):
        read_photo(io.BytesIO(content[:tables]))


@pytest.mark.parametrize("content", [b"", b"\xff\xd8", b"\xff\xd8\xff", b"GIF89a", scene_jpeg()])
def test_no_end_marker_is_put_where_none_is_missing(content):
    assert append_end_marker(content) is None


def test_fill_bytes_before_a_marker_are_passed_over():
    content = scene_jpeg("L", progressive=True)
    filled = re.sub(rb"\xff[\xc2\xc4\xda\xdb\xe0]", lambda found: b"\xff\xff" + found[0], content)
    assert filled != content
    scans = parse_grey_scans(filled)
    assert scans
    assert scans.size == (80, 112)
    assert read_photo(io.BytesIO(filled), with_scans=True).note == ""


def test_of_a_rare_kind_it_is_not_said_that_scans_are_missing():
    content = scene_jpeg("L", progressive=True)
    cut = content[: content.rindex(b"\xff\xda")] + b"\xff\xd9"
    assert lacks_scans(cut)
    assert not lacks_scans(content)
    assert not lacks_scans(cut.replace(b"\xff\xc2", b"\xff\xca"))  # arithmetic coding
