"""colourize.py: what a file says of itself is true of the coloured one, or is left out."""

import hashlib
import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image
from support.scenes import scene
from support.xmp_packets import AREA, FACE, SIZE, STORED, packet

XMP = b"http://ns.adobe.com/xap/1.0/\0"
FILM = b"\0\0\0\x18ftypmp42" + bytes(2012)
GAIN_MAP = (
    '<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource"><Container:Item '
    'Item:Semantic="GainMap" Item:Length="{}"/></rdf:li></rdf:Seq></Container:Directory>'
)


def segment(content: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


def jpeg(**options: object) -> bytes:
    file = io.BytesIO()
    scene(1, *STORED).convert("L").save(file, "JPEG", **options)
    return file.getvalue()


def coloured(run, folder: Path, content: bytes) -> Path:
    """Return the coloured file of a JPEG."""
    (folder / "photo.jpg").write_bytes(content)
    code, (path,), _ = run(folder / "photo.jpg", "-o", folder / "out")
    assert code == 0
    return Path(path)


def motion_photo() -> bytes:
    said = f'GCamera:MotionPhoto="1" GCamera:MicroVideo="1" GCamera:MicroVideoOffset="{len(FILM)}"'
    return jpeg(xmp=packet(said)) + FILM


def gain_map() -> bytes:
    small = jpeg(quality=30)
    xmp = packet('hdrgm:Version="1.0"', GAIN_MAP.format(len(small)))
    return jpeg(xmp=xmp) + small


def extended_xmp() -> bytes:
    rest = packet(f'GDepth:Data="{"A" * 50_000}"')
    name = hashlib.md5(rest).hexdigest().upper()
    head = b"http://ns.adobe.com/xmp/extension/\0" + name.encode()
    extension = segment(head + struct.pack(">II", len(rest), 0) + rest)
    content = jpeg(xmp=packet(f'xmpNote:HasExtendedXMP="{name}"'))
    return content[:2] + extension + content[2:]


@pytest.mark.parametrize("make", [motion_photo, gain_map, extended_xmp])
def test_what_stands_behind_a_picture_and_is_not_written_is_not_promised(run, tmp_path, make):
    content = make()
    promises = (
        rb"MotionPhoto=|MicroVideo\w*=|GainMap|hdrgm:Version|HasExtendedXMP=|ftyp|GDepth:Data"
    )
    assert re.search(promises, content)
    path = coloured(run, tmp_path, content)
    assert not re.search(promises, path.read_bytes())
    assert b"an &quot;album&quot;" in path.read_bytes()  # the rest of the packet


def test_a_face_of_a_photograph_on_its_side_stays_on_the_face(run, tmp_path):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    camera = exif.get_ifd(ExifTags.IFD.Exif)
    camera[0xA002], camera[0xA003] = STORED[::-1]
    xmp = packet('tiff:Orientation="6"', FACE.format(size=SIZE, area=AREA))
    with Image.open(coloured(run, tmp_path, jpeg(exif=exif, xmp=xmp))) as image:
        assert image.size == STORED
        found = image.getexif()
        assert found[ExifTags.Base.Orientation] == 1
        camera = found.get_ifd(ExifTags.IFD.Exif)
        assert (camera[0xA002], camera[0xA003]) == STORED
        said = image.info["xmp"].decode()
    assert 'tiff:Orientation="1"' in said
    area = {name: float(re.search(f'stArea:{name}="([^"]*)"', said)[1]) for name in "xywh"}
    assert area == {"x": 0.5, "y": 0.25, "w": 0.2, "h": 0.1}
    assert re.search('stDim:w="160" stDim:h="240"', said)


def test_a_jpeg_without_its_end_marker_is_coloured_with_a_note_and_a_torn_one_refused(
    run, tmp_path
):
    content = jpeg(quality=92)
    (tmp_path / "whole.jpg").write_bytes(content)
    for missing in (1, 2, 20):
        (tmp_path / f"cut{missing}.jpg").write_bytes(content[:-missing])
    code, written, said = run(tmp_path, "-o", tmp_path / "out")
    assert code == 1
    assert sorted(Path(path).name for path in written) == ["cut1.jpg", "cut2.jpg", "whole.jpg"]
    assert said.count("lacks its end marker; all its pixels are there") == 2
    assert re.search(r"error: \S*cut20.jpg: cannot be decoded", said)
    pictures = [np.asarray(Image.open(path)) for path in written]
    assert all(np.array_equal(picture, pictures[0]) for picture in pictures)
