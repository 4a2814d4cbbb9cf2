"""heif_boxes.py: of an AVIF's or HEIF's properties those of its primary picture are obeyed."""

import io

import numpy as np
import pytest
from PIL import Image
from support.heif_file import box, codes, heif
from support.scenes import scene

from colourizer.photos.decode import turn_upright
from colourizer.photos.heif_boxes import read_properties, read_stored_orientation
from colourizer.photos.tone import PRIMARIES, read_tone


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("wide", [0, 1])
def test_only_the_primary_picture_s_properties_count(version, wide):
    content = heif([codes(9, 16), codes(12, 13)], [2], version, wide)
    assert read_properties(io.BytesIO(content)) == [(b"colr", codes(12, 13)[8:])]
    image = Image.new("L", (1, 1))
    image.format = "AVIF"  # type: ignore[misc]
    tone = read_tone(io.BytesIO(content), image)
    assert tone and tone.primaries == PRIMARIES[12]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("mirrored_first", [False, True])
def test_a_picture_s_orientation_does_what_its_properties_say(turns, axis, mirrored_first):
    properties = [box(b"irot", bytes((turns,)))]
    shown = np.asarray(scene(0))
    steps = [lambda values: np.rot90(values, turns)]
    if axis is not None:
        properties.append(box(b"imir", bytes((axis,))))
        steps.append(lambda values: np.flip(values, axis))
    for step in steps[::-1] if mirrored_first else steps:
        shown = step(shown)
    own = [1, 2][: len(properties)]
    content = heif(properties, own[::-1] if mirrored_first else own)
    orientation = read_stored_orientation(io.BytesIO(content))
    assert np.array_equal(turn_upright(np.asarray(scene(0)), orientation), shown)


def test_a_damaged_file_has_no_properties_or_some_of_them():
    content = heif([codes(9, 16), box(b"irot", b"\1")], [2, 1])
    for end in range(len(content)):
        assert read_properties(io.BytesIO(content[:end])) == []
    for place in range(20, len(content)):
        read_properties(io.BytesIO(content[:place] + b"\xff" + content[place + 1 :]))
