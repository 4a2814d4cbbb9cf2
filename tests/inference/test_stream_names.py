"""stream_names.py: names that are chosen without a list of all photographs."""

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from colourizer.inference import stream_names
from colourizer.inference.output_plan import FoundPhoto, OutputOptions
from colourizer.inference.stream_names import distinct_name, name_part, plan_alone
from colourizer.photos.files import is_photo_name
from colourizer.storage.address import parse_location

PARTS = ("a", ".gif", ".png", ".JPG", "_2", "_3", "_02", "_1", "_variant2", "_compared",
         "_variant3", "_confidence", "_2_variants", ".heic", ".webp", "é" * 100)  # fmt: skip
NAMES = st.lists(st.sampled_from(PARTS), min_size=1, max_size=6).map("".join)
OPTIONS = OutputOptions(parse_location("s3://out"), None, 3, True, True)


def plan(name: str, options: OutputOptions = OPTIONS):
    source = parse_location("s3://scans") / name
    return plan_alone(FoundPhoto(source, PurePosixPath(name), False), options)


@settings(max_examples=100, deadline=None)
@given(st.sets(NAMES, min_size=2, max_size=8), st.sampled_from([None, "png", "jpeg"]))
@example({"a.gif", "a.gif.png", "a.gif_2.png", "a.gif_02.png"}, None)
@example({"a.jpg", "a.png", "a_variant2.jpg", "a.jpg_compared.jpg", "contact_sheet.jpg"}, None)
@example({"é" * 126 + "a.gif", "é" * 126 + "b.gif"}, None)
def test_no_two_photographs_share_a_file_whatever_their_names_are(names, target):
    names = {name if is_photo_name(PurePosixPath(name)) else f"{name}.jpg" for name in names}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream_names, "_find_format", lambda source: stream_names.FORMAT_OF.get(
            source.suffix.lower(), "JPEG"))  # fmt: skip
        options = OutputOptions(OPTIONS.output, target, 3, True, True)
        files = [str(path) for name in names for path in plan(name, options).targets()]
    assert len(set(files)) == len(files)


def test_most_names_stay_as_they_are():
    for name in ("a.jpg", "scan_0002.tif", "a.tif.jpg", "a.2020.png", "a_variant.png"):
        assert distinct_name(name) == name
    assert distinct_name("a.gif.png") == "a.gif_2.png"
    assert distinct_name("a.tif.jpg", "jpeg") == "a.tif_2.jpg"


@given(st.sets(st.lists(st.sampled_from(("%", "25", "2E", "."))).map("".join), min_size=2))
def test_parts_of_keys_get_different_names_and_none_that_no_folder_may_have(parts):
    names = {name_part(part) for part in parts}
    assert len(names) == len(parts)
    assert not names & {"", ".", ".."}
