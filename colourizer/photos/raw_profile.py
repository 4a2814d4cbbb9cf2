"""Metadata as texts of a PNG: ImageMagick's raw profiles, of hexadecimal digits."""

from PIL import Image

from colourizer.photos.app_segments import EXIF, XMP

RAW_PROFILE = "Raw profile type"  # begins the keyword, which ends with the profile's name


def parse_raw_profile(text: object) -> bytes:
    """Return the content of a raw profile: name and size in lines, then digits; b"" if broken."""
    try:
        return bytes.fromhex("".join(str(text).split("\n")[3:]))
    except ValueError:
        return b""


def format_raw_profile(name: str, content: bytes) -> str:
    """Return a raw profile as a text."""
    digits = content.hex()
    lines = (digits[start : start + 72] for start in range(0, len(digits), 72))
    return "\n".join(("", name, f"{len(content):8}", *lines, ""))


def adopt_raw_profiles(image: Image.Image) -> None:
    """Put an opened PNG's EXIF and XMP, also those of a JPEG's segment, where Pillow finds them."""
    for name in ("APP1", "app1", "xmp"):
        text = image.info.get(f"{RAW_PROFILE} {name}")
        content = parse_raw_profile(text)
        if content.startswith(EXIF):
            image.info.setdefault(f"{RAW_PROFILE} exif", text)
        elif content.removeprefix(XMP).startswith(b"<"):
            image.info.setdefault("xmp", content.removeprefix(XMP))
