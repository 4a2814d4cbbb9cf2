"""What a JPEG's app segments of metadata begin with, and how long a segment may be."""

EXIF, XMP, PROFILE = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
MAX_SEGMENT = 65533  # bytes; its length, a number of 16 bits, counts its own two
