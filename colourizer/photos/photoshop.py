"""Photoshop's image resources, among them IPTC; read without what is untrue of the result."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from colourizer.photos.app_segments import MAX_SEGMENT

SIGNATURE = b"Photoshop 3.0\0"  # which a JPEG's APP13 segment begins with; a TIFF's tag has none
BLOCK = b"8BIM"
# Resource numbers; Adobe Photoshop File Formats, "Image resource IDs".
THUMBNAILS = (1033, 1036)
# Working path, guides, slices, counted points, saved paths, the clipping path's name.
POSITIONS = (1025, 1032, 1050, 1080, *range(2000, 3000))
IPTC = 1028  # captions, places and names
IPTC_TAG = b"\x1c"  # begins each of its records
SEGMENT_BYTES = MAX_SEGMENT - len(SIGNATURE)  # of resources in a JPEG's segment


def join_segments(segments: Iterable[bytes]) -> bytes:
    """Return the image resources of a JPEG's APP13 segments, which go on from one to the next."""
    ours = (body for body in segments if body.startswith(SIGNATURE))
    return b"".join(body.removeprefix(SIGNATURE) for body in ours)


def split_segments(resources: bytes) -> list[bytes]:
    """Return image resources as the bodies of a JPEG's APP13 segments."""
    starts = range(0, len(resources), SEGMENT_BYTES)
    return [SIGNATURE + resources[start : start + SEGMENT_BYTES] for start in starts]


def wrap_iptc(content: bytes) -> bytes:
    """Return IPTC as an image resource; an image resource as it is; b"" for anything else."""
    if not content.startswith(IPTC_TAG):
        return content if content.startswith(BLOCK) else b""
    size = len(content).to_bytes(4, "big")
    return BLOCK + IPTC.to_bytes(2, "big") + bytes(2) + size + content + bytes(len(content) % 2)


def find_iptc(resources: bytes) -> bytes:
    """Return the IPTC among image resources; b"" if there is none."""
    return next(
        (bytes(found.content) for found in _iterate(resources) if found.number == IPTC), b""
    )


def keep_true_resources(resources: bytes, turned: bool) -> bytes:
    """Return image resources without the thumbnails, which show the picture as it was.

    Args:
        resources: as in a TIFF's tag 34377 or a JPEG's APP13 segment; returned as they are if they
            are cut off, or of another kind.
        turned: whether the picture is; positions in it are left out then.
    """
    left_out = (*THUMBNAILS, *POSITIONS) if turned else THUMBNAILS
    prefix = SIGNATURE if resources.startswith(SIGNATURE) else b""
    found = list(_iterate(resources.removeprefix(SIGNATURE)))
    if len(prefix) + sum(len(each.whole) for each in found) != len(resources):
        return resources
    return prefix + b"".join(each.whole for each in found if each.number not in left_out)


class _Resource(NamedTuple):
    number: int
    content: bytes
    whole: bytes


def _iterate(resources: bytes) -> Iterator[_Resource]:
    """Yield image resources, to their end or to where they are cut off or of another kind."""
    place = 0
    while resources[place : place + 4] == BLOCK:
        number = int.from_bytes(resources[place + 4 : place + 6], "big")
        name_end = place + 7 + int.from_bytes(resources[place + 6 : place + 7], "big")
        name_end += (name_end - place) % 2  # names and contents are padded to even lengths
        start = name_end + 4
        size = int.from_bytes(resources[name_end:start], "big")
        end = start + size + size % 2
        if end > len(resources) + size % 2:
            return
        yield _Resource(number, resources[start : start + size], resources[place:end])
        place = end
