"""tag.py: what a file says of its settings is what it was made with."""

import io

import pytest

from colourizer.record.row import Settings, parse_settings
from colourizer.record.tag import LONGEST, MAX_BYTES, START_BYTES, find_tag, read_tag, write_tag

HASH = "0123456789ab" + "c" * 52
ALL = Settings(
    HASH, 0.25, -0.5, 1.5, 3, "1,2,#ff0000|3,4,#00ff00", "ef" * 32, True, "cuda", "bfloat16", True
)


@pytest.mark.parametrize("settings", [Settings(HASH), Settings(HASH, 0.6, device="cpu"), ALL])
def test_settings_are_read_from_their_text(settings):
    parsed = parse_settings(settings.as_text(), settings.network)
    assert parsed.differences(settings) == []
    assert (parsed.device, parsed.precision) == (settings.device, settings.precision)


def test_settings_say_where_they_are_others():
    other = Settings("f" * 64, 0.5, -0.5, 1.5, 3, "1,2,#ff0000", "", False, "cpu", "float32")
    assert other.differences(ALL) == [
        "network ffffffffffff, not 0123456789ab",
        "vividness 0.5, not 0.25",
        "hints 1,2,#ff0000, not 1,2,#ff0000|3,4,#00ff00",
        "reference none, not efefefefefef",
        "keep luma False, not True",
        "album False, not True",
    ]  # the device and its precision are no difference that can be seen


def test_a_tag_is_found_wherever_it_lies():
    tag = write_tag("colour (new).pt", ALL).encode()
    assert len(tag) < LONGEST
    for before in (0, START_BYTES - 50, START_BYTES, MAX_BYTES - 2 * LONGEST):
        for after in (0, 100, 3 * MAX_BYTES):
            found = read_tag(io.BytesIO(bytes(before) + tag + bytes(after)))
            assert (found.settings.differences(ALL), found.network) == ([], HASH[:12])
    assert (
        read_tag(io.BytesIO(bytes(3 * MAX_BYTES) + tag + bytes(9))).settings
        == find_tag(tag).settings
    )
    assert read_tag(io.BytesIO(bytes(3 * MAX_BYTES))) is None
    assert read_tag(io.BytesIO(b"")) is None


def test_of_two_tags_the_last_one_counts():
    first, second = (write_tag("a.pt", Settings(HASH, value)) for value in (0.1, 0.2))
    assert find_tag(f"{first}; {second}\0".encode()).settings.vividness == 0.2


def test_a_tag_of_before_settings_tells_the_network_only():
    old = b"colourized with Image Colourizer (colourizer.pt, sha256 0123456789ab)"
    found = find_tag(b"\0" + old + b"\0")
    assert (found.network, found.settings, found.version) == (HASH[:12], None, "")
    bare = find_tag(b"colourized with Image Colourizer\0")
    assert (bare.network, bare.settings) == ("", None)


def test_a_damaged_tag_tells_no_settings():
    tag = write_tag("a.pt", ALL).replace("vividness=0.25", "vividness=0.x5").encode()
    assert find_tag(tag).settings is None
