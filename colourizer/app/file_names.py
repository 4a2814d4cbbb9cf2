"""Names of uploaded photographs: relative paths that can be unpacked on every system."""

import unicodedata
from pathlib import PurePath, PurePosixPath

MAX_NAME_BYTES = 200  # of a file's or folder's name
MAX_SUFFIX_LENGTH = 20
MAX_FOLDERS = 8  # the innermost, the file's name included
NAMELESS = "photograph"
# What Windows takes for a device, whatever suffix follows.
DEVICES = {"con", "prn", "aux", "nul", "clock$", "conin$", "conout$"}
DEVICES |= {f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"}


def safe_name(text: str) -> str:
    """Return a name from a browser as a relative path that cannot lead out of a folder.

    No part of it is a device's name, ends with a dot or a space, or has characters that some
    system forbids in names or does not show.
    """
    parts = [_safe_part(part) for part in text.replace("\\", "/").split("/")]
    return "/".join([part for part in parts if part][-MAX_FOLDERS:]) or NAMELESS


def _safe_part(text: str) -> str:
    """Return a file's or folder's name; empty for "." and the like."""
    cleaned = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in text)
    path = PurePosixPath(cleaned.strip().rstrip(". "))
    suffix = path.suffix[:MAX_SUFFIX_LENGTH]
    stem = path.stem.encode()[: MAX_NAME_BYTES - len(suffix.encode())].decode(errors="ignore")
    name = f"{stem}{suffix}".rstrip(". ")
    return f"_{name}" if name.split(".")[0].strip().lower() in DEVICES else name


def comparison_key(path: PurePath) -> str:
    """Return a key that is equal for paths which some system takes for the same."""
    # Windows and macOS ignore case, macOS the two ways to encode an accent.
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
