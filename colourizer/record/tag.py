"""The tag: the sentence in a file's metadata that says what coloured it, written and found."""

import os
import re
from dataclasses import dataclass
from html import unescape
from typing import BinaryIO

from colourizer import __version__
from colourizer.record.row import DIGITS, Settings, parse_settings

MADE_BY = "colourized with Image Colourizer"
# Tags of before 2.1 have no version and no settings.
PATTERN = re.compile(
    re.escape(MADE_BY).encode() + rb"(?: (?P<version>[\w.]{1,40}))?"
    rb"(?: \((?P<checkpoint>[^\0\r\n]{1,400}?), sha256 (?P<network>[0-9a-f]{12})"
    rb"(?:; (?P<settings>[^()<>\0\r\n]{0,2000}))?\))?"
)
# Metadata lies at the beginning or at the end of a file; a JPEG's is found by the first read.
START_BYTES, MAX_BYTES = 1 << 14, 1 << 18
LONGEST = 2600  # bytes of a tag


@dataclass(frozen=True)
class Tag:
    """What a file says of how it was made.

    version: of the program; empty before 2.1.
    settings: their network is the first digits of its hash; None where the tag does not tell them.
    """

    version: str
    network: str
    settings: Settings | None


def write_tag(checkpoint: str, settings: Settings) -> str:
    """Return the tag for a file's metadata.

    Args:
        checkpoint: the file's name; empty if the network was in none.
        settings: the colours were made with.
    """
    made_by = f"{MADE_BY} {__version__}"
    if not checkpoint:
        return made_by
    said = settings.as_text()
    return f"{made_by} ({checkpoint}, sha256 {settings.network[:DIGITS]}{said and f'; {said}'})"


def find_tag(content: bytes) -> Tag | None:
    """Return the tag in a file's content, or in a part of it; the last one, if there are several.

    A photograph that was coloured twice has two.
    """
    found = list(PATTERN.finditer(content))
    if not found:
        return None
    version, network, settings = (
        (found[-1][name] or b"").decode("latin-1") for name in ("version", "network", "settings")
    )
    try:
        parsed = parse_settings(unescape(settings), network) if settings else None
    except ValueError:
        parsed = None
    return Tag(version, network, parsed)


def read_tag(file: BinaryIO) -> Tag | None:
    """Return the tag of an open file, None without one.

    At most the first and the last MAX_BYTES are read; of most files the first START_BYTES.
    """
    file.seek(0)
    start = file.read(START_BYTES)
    if not 0 <= start.rfind(MADE_BY.encode()) < len(start) - LONGEST:  # else it may go on
        start += file.read(MAX_BYTES - len(start))
    tag = find_tag(start)
    if not tag:
        file.seek(max(len(start), file.seek(0, os.SEEK_END) - MAX_BYTES))
        tag = find_tag(file.read())
    return tag
