"""photoshop.py: image resources lose what is not true of the result, and nothing else."""

import pytest

from colourizer.photos.photoshop import SIGNATURE, keep_true_resources


def resource(number: int, content: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    named += b"\0" * (len(named) % 2)
    padded = content + b"\0" * (len(content) % 2)
    return b"8BIM" + number.to_bytes(2, "big") + named + len(content).to_bytes(4, "big") + padded


IPTC, CAPTION = resource(1028, b"\x1c\x02\x78\0\3Ann"), resource(1008, b"odd", b"name")
THUMBNAIL = resource(1036, b"grey and not turned")


@pytest.mark.parametrize("prefix", [SIGNATURE, b""])
def test_the_thumbnail_goes_and_captions_stay(prefix):
    for turned in (False, True):
        found = keep_true_resources(prefix + IPTC + THUMBNAIL + CAPTION, turned)
        assert found == prefix + IPTC + CAPTION
        assert keep_true_resources(prefix + IPTC, turned) == prefix + IPTC


@pytest.mark.parametrize("number", [1032, 2000, 2999])
def test_places_in_a_picture_that_is_turned_go(number):
    places = resource(number, b"a path around Ann")
    assert keep_true_resources(IPTC + places + CAPTION, turned=True) == IPTC + CAPTION
    assert keep_true_resources(IPTC + places, turned=False) == IPTC + places


@pytest.mark.parametrize("other", [b"", b"Ducky\0\1", SIGNATURE + THUMBNAIL[:20], SIGNATURE])
def test_what_is_cut_off_or_of_another_kind_stays_as_it_is(other):
    assert keep_true_resources(other, turned=True) == other
