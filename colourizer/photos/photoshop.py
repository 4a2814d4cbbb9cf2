"""Photoshop's image resources, among them IPTC; read without the thumbnail."""

SIGNATURE = b"Photoshop 3.0\0"  # which a JPEG's APP13 segment begins with; a TIFF's tag has none
BLOCK = b"8BIM"
THUMBNAILS = (1033, 1036)  # resource numbers; Adobe Photoshop File Formats, "Image resource IDs"


def remove_thumbnails(resources: bytes) -> bytes:
    """Return image resources without the thumbnails, which show the picture as it was.

    Args:
        resources: a JPEG's APP13 segment or a TIFF's tag 34377; returned as it is if it is of
            another kind, or is cut off within a resource.
    """
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
        if number not in THUMBNAILS:
            kept.append(resources[place:end])
        place = end
    return b"".join(kept)
