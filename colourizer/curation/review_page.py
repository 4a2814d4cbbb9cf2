"""The page on which photographs are marked: review_page.html with photographs in it."""

import base64
import json
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from colourizer.curation.rejected_list import (
    HEADER,
    MARKED,
    REJECTED_LIST,
    SAVED,
    UNMARKED,
    to_line,
)

TEMPLATE = Path(__file__).with_name("review_page.html")
PLACEHOLDER = "DATA</script>"  # in the template, for the page's content as JSON


@dataclass(frozen=True)
class Thumbnail:
    """A photograph on a page.

    path: of the photograph.
    jpeg: its thumbnail; empty if it is broken.
    why: why it is broken.
    """

    path: Path
    jpeg: bytes
    why: str = ""


def make_page(
    source: Path,
    thumbnails: Iterable[Thumbnail],
    rejected: set[Path],
    pages: list[str],
    page: int,
) -> bytes:
    """Return a page as HTML.

    Args:
        source: the folder that all photographs lie below.
        thumbnails: those of this page; those of one folder are consecutive.
        rejected: the photographs that are marked, those of other pages included.
        pages: the names of all pages.
        page: the index of this one.
    """
    others = set(rejected)
    folders = []
    for folder, inside in groupby(thumbnails, key=lambda thumbnail: thumbnail.path.parent):
        rows = []
        for thumbnail in inside:
            others.discard(thumbnail.path)
            jpeg = base64.b64encode(thumbnail.jpeg).decode()
            line = to_line(thumbnail.path, source)
            rows.append([line, thumbnail.path in rejected, jpeg, thumbnail.why])
        folders.append([name_folder(folder, source), rows])
    command = f"python review.py {shlex.quote(str(source))} --merge ~/Downloads/{REJECTED_LIST}"
    content = {
        "source": str(source),
        "command": command,
        "header": HEADER + SAVED,
        "marked": MARKED,
        "unmarked": UNMARKED,
        "pages": pages,
        "page": page,
        "folders": folders,
        "others": sorted(to_line(path, source) for path in others),
    }
    # JSON in ASCII; < is escaped too, which could end the script element.
    text = json.dumps(content, separators=(",", ":")).replace("<", r"\u003c")
    return (
        TEMPLATE.read_text("utf-8").replace(PLACEHOLDER, PLACEHOLDER.replace("DATA", text)).encode()
    )


def name_folder(folder: Path, source: Path) -> str:
    """Return a folder's path below the source, with slashes; for the source itself, its name."""
    below = folder.relative_to(source)
    return below.as_posix() if below.parts else source.resolve().name
