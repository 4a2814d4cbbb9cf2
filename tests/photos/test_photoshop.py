"""photoshop.py: image resources lose the thumbnail and nothing else."""

import pytest

from colourizer.photos.photoshop import SIGNATURE, remove_thumbnails


def resource(number: int, content: bytes, name: bytes = b"") -> bytes:
    named = bytes([len(name)]) + name
    named += b"\0" * (len(named) % 2)
    padded = content + b"\0" * (len(content) % 2)
    return b"8BIM" + number.to_bytes(2, "big") + named + len(content).to_bytes(4, "big") + padded


IPTC, CAPTION = resource(1028, b"\x1c\x02\x78\0\3Ann"), resource(1008, b"odd", b"name")
THUMBNAIL = resource(1036, b"grey and not turned")


@pytest.mark.parametrize("prefix", [SIGNATURE, b""])
def test_the_thumbnail_goes_and_captions_stay(prefix):
    assert remove_thumbnails(prefix + IPTC + THUMBNAIL + CAPTION) == prefix + IPTC + CAPTION
    assert remove_thumbnails(prefix + IPTC) == prefix + IPTC


@pytest.mark.parametrize("other", [b"", b"Ducky\0\1", SIGNATURE + THUMBNAIL[:20], SIGNATURE])
def test_what_is_cut_off_or_of_another_kind_stays_as_it_is(other):
    assert remove_thumbnails(other) == other
