"""Photoshop's image resources, among them IPTC; read without what is untrue of the result."""

SIGNATURE = b"Photoshop 3.0\0"  # which a JPEG's APP13 segment begins with; a TIFF's tag has none
BLOCK = b"8BIM"
# Resource numbers; Adobe Photoshop File Formats, "Image resource IDs".
THUMBNAILS = (1033, 1036)
# Working path, guides, slices, counted points, saved paths, the clipping path's name.
POSITIONS = (1025, 1032, 1050, 1080, *range(2000, 3000))


def keep_true_resources(resources: bytes, turned: bool) -> bytes:
    """Return image resources without the thumbnails, which show the picture as it was.

    Args:
        resources: a JPEG's APP13 segment or a TIFF's tag 34377; returned as it is if it is of
            another kind, or is cut off within a resource.
        turned: whether the picture is; positions in it are left out then.
    """
    left_out = (*THUMBNAILS, *POSITIONS) if turned else THUMBNAILS
    prefix = SIGNATURE if resources.startswith(SIGNATURE) else b""
    place, kept = len(prefix), [prefix]
    while place < len(resources):
        if resources[place : place + 4] != BLOCK:
            return resources
        number = int.from_bytes(resources[place + 4 : place + 6], "big")
        name_end = place + 7 + int.from_bytes(resources[place + 6 : place + 7], "big")
        name_end += (name_end - place) % 2  # names and contents are padded to even lengths
        size = int.from_bytes(resources[name_end : name_end + 4], "big")
        end = name_end + 4 + size + size % 2
        if end > len(resources) + size % 2:
            return resources
        if number not in left_out:
            kept.append(resources[place:end])
        place = end
    return b"".join(kept)
