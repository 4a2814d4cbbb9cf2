"""Command: draw pages and contact sheets of photographs, to mark those that are not wanted."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import io
import re
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from PIL import Image

from colourizer.curation.contact_sheets import PER_SHEET, SIDE, Tile, draw_contact_sheet
from colourizer.curation.rejected_list import (
    REJECTED_LIST,
    SavedList,
    read_list,
    to_line,
    write_rejected,
)
from colourizer.curation.review_page import Thumbnail, make_page, name_folder
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos
from colourizer.photos.pictures import to_jpeg
from colourizer.photos.read import map_photos, read_rgb
from colourizer.runtime.atomic_file import remove_leftovers, write_bytes
from colourizer.runtime.cli import (
    list_hints,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from colourizer.runtime.errors import reason_of

OUTPUT_SUFFIX = "_review"  # the default output is SOURCE_review
PER_PAGE = 5000  # photographs; such a page has about 30 MB
THUMBNAIL_QUALITY, SHEET_QUALITY = 70, 88
# Stands within the first bytes of every file that this command writes, and identifies it.
OURS, BEGINNING = b"Image Colourizer's review.py", 1024
OUR_NAMES = re.compile(r"review(_\d+)?\.html|.*_\d+\.jpg", re.DOTALL)


@dataclass(frozen=True)
class Sheet:
    """A contact sheet: where it goes, what stands above it, and what it shows."""

    path: Path
    title: str
    photos: list[Path]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Draw all photographs of a folder on a web page, on which those that are not "
        f"wanted can be marked, and on contact sheets, on which those in SOURCE/{REJECTED_LIST} "
        "are crossed out. Run it again to draw what has changed.",
        epilog=f"The page saves a {REJECTED_LIST}, which names what was marked before as well. Of "
        "a single page, it can be put into SOURCE as it is. --merge also takes lists of several "
        "pages, or of a page from before others were merged: what was marked or unmarked on the "
        "page is marked or unmarked, nothing else changes, and of lists that disagree the one "
        "saved last decides. Of any other list of paths all are marked. exit codes: 0 all done, "
        "1 some failed, 2 bad usage, 130 interrupted",
    )
    add = parser.add_argument
    add("source", nargs="?", type=Path, default=Path("data/raw"), metavar="SOURCE",
        help="a folder of photographs; subfolders too (default: %(default)s)")  # fmt: skip
    add("-o", "--output", type=Path, metavar="DIR",
        help="where the page and the sheets go, in place of those of an earlier run; outside "
        f"SOURCE (default: beside it, SOURCE{OUTPUT_SUFFIX})")  # fmt: skip
    add("--merge", nargs="+", type=Path, metavar="LIST",
        help=f"draw nothing; bring SOURCE/{REJECTED_LIST} up to date with lists that were saved "
        "from pages")  # fmt: skip
    args = parser.parse_args(argv)
    if args.merge and args.output:
        parser.error("--output: has no meaning with --merge, which draws nothing")
    return args


def merge(source: Path, rejected: set[Path], lists: list[Path]) -> int:
    """Merge saved lists into rejected.txt; return the exit code.

    Args:
        source: the folder that rejected.txt lies in.
        rejected: the photographs that it lists so far.
        lists: the saved lists' files; where they disagree, the one saved last decides.
    """
    read: list[tuple[float, SavedList]] = []
    for path in lists:
        try:
            read.append((path.stat().st_mtime, read_list(path, source)))
        except (OSError, ValueError) as error:
            what = f"{path}: {reason_of(error)}; nothing of it was merged"
            print_error(what, *list_hints(error))
    after = set(rejected)
    for _, saved in sorted(read, key=lambda timed: timed[0]):
        after = (after | saved.marked) - saved.unmarked
    if after != rejected:
        write_rejected(source, after)
        print_result(source / REJECTED_LIST)
    absent = sum(not path.exists() for path in after - rejected)
    if absent:
        print_note(f"note: {absent} of the added ones are not in {source}")
    added, removed = len(after - rejected), len(rejected - after)
    print_note(f"{added} added, {removed} removed, {len(after)} rejected")
    return 1 if len(read) < len(lists) else 0


def plan_sheets(photos: list[Path], source: Path, output: Path) -> list[Sheet]:
    """Return the contact sheets of photographs, a series for each folder.

    Args:
        photos: those of one folder come after each other.
        source: the folder that they lie below.
        output: where the sheets go.
    """
    sheets = []
    taken: set[str] = set()
    for folder, group in groupby(photos, key=lambda photo: photo.parent):
        inside = list(group)
        name = name_folder(folder, source)
        stem = name.replace("/", "_")
        while stem.casefold() in taken:  # a/b and a_b; some file systems take A for a
            stem += "_"
        taken.add(stem.casefold())
        for n, start in enumerate(range(0, len(inside), PER_SHEET), start=1):
            part = inside[start : start + PER_SHEET]
            title = f"{name}: {start + 1} to {start + len(part)} of {len(inside)}"
            sheets.append(Sheet(output / f"{stem}_{n}.jpg", title, part))
    return sheets


def plan_pages(photos: list[Path], output: Path) -> dict[Path, list[Path]]:
    """Return each page's path and photographs; if there are several, they are numbered."""
    parts = [photos[start : start + PER_PAGE] for start in range(0, len(photos), PER_PAGE)]
    if len(parts) == 1:
        return {output / "review.html": photos}
    return {output / f"review_{n}.html": part for n, part in enumerate(parts, start=1)}


def make_thumbnail(path: Path) -> bytes:
    """Return a JPEG of a photograph, no side longer than SIDE."""
    image = read_rgb(path, shortest_side=SIDE)
    image.thumbnail((SIDE, SIDE))
    return to_jpeg(image, THUMBNAIL_QUALITY)


def draw(sheet: Sheet, thumbnails: dict[Path, Thumbnail], rejected: set[Path]) -> bytes:
    """Return a contact sheet as a JPEG."""
    tiles = []
    for path in sheet.photos:
        jpeg = thumbnails[path].jpeg
        image = Image.open(io.BytesIO(jpeg)) if jpeg else None
        tiles.append(Tile(path.name, image, path in rejected))
    return to_jpeg(draw_contact_sheet(sheet.title, tiles), SHEET_QUALITY, OURS)


def is_ours(path: Path) -> bool:
    """Return whether this command wrote a file, and so may replace or remove it."""
    if not OUR_NAMES.fullmatch(path.name):
        return False
    try:
        with path.open("rb") as file:
            return OURS in file.read(BEGINNING)
    except OSError:  # a folder, or not to be read
        return False


def find_listable(source: Path) -> tuple[list[Path], int]:
    """Find the photographs that rejected.txt can list, and print errors for all others.

    Returns:
        The photographs, and the number of errors, those of unreadable folders among them.
    """
    unreadable: list[OSError] = []
    found = find_photos(source, unreadable=unreadable)
    for folder in unreadable:
        print_error(f"{folder.filename}: {reason_of(folder)}")
    photos = []
    for path in found:
        try:
            to_line(path, source)
        except ValueError as error:
            print_error(error, "rename it; it is left out here")
        else:
            photos.append(path)
    return photos, len(unreadable) + len(found) - len(photos)


def read_thumbnails(photos: list[Path], rejected: set[Path]) -> tuple[dict[Path, Thumbnail], int]:
    """Read photographs, and print errors for broken ones.

    Returns:
        The thumbnails, and the number of errors; a broken photograph that is rejected is none.
    """
    thumbnails, failed = {}, 0
    for path, result in progress(map_photos(photos, make_thumbnail), "reading", len(photos)):
        if isinstance(result, PhotoError):
            thumbnails[path] = Thumbnail(path, b"", str(result))
            if path not in rejected:
                failed += 1
                print_error(f"{path}: {result}", *list_hints(result))
        else:
            thumbnails[path] = Thumbnail(path, result)
    return thumbnails, failed


def review(source: Path, rejected: set[Path], output: Path) -> int:
    """Write pages and contact sheets; return the exit code."""
    photos, failed = find_listable(source)
    if not photos:
        print_error(f"{source}: no photographs there", "download some: python dataset.py")
        return 2
    pages, sheets = plan_pages(photos, output), plan_sheets(photos, source, output)
    output.mkdir(parents=True, exist_ok=True)
    remove_leftovers([output])
    ours = {path for path in output.iterdir() if is_ours(path)}
    targets = {*pages, *(sheet.path for sheet in sheets)}
    foreign = [path for path in sorted(targets - ours) if path.exists()]
    for path in foreign:
        print_error(f"{path}: is there and not of review.py", "move it, or name another --output")
    if foreign:
        return 2
    thumbnails, broken = read_thumbnails(photos, rejected)
    failed += broken
    names = [path.name for path in pages]
    for n, (path, shown) in enumerate(pages.items()):
        on_page = [thumbnails[photo] for photo in shown]
        write_bytes(path, make_page(source, on_page, rejected, names, n))
        print_result(path)
    for sheet in progress(sheets, "drawing", unit="sheet"):
        write_bytes(sheet.path, draw(sheet, thumbnails, rejected))
        print_result(sheet.path)
    for path in ours - targets:  # of photographs that are gone
        path.unlink()
    crossed = sum(photo in rejected for photo in photos)
    print_note(f"{len(photos)} photographs shown, {crossed} of them rejected, {failed} failed")
    return 1 if failed else 0


def default_output(source: Path) -> Path:
    """Return the folder beside the source where the results go without --output."""
    named = source if source.name not in ("", "..") else source.resolve()
    return named.parent / f"{named.name}{OUTPUT_SUFFIX}"


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    source: Path = args.source
    if not source.is_dir():
        print_error(f"{source}: no such folder", "download photographs: python dataset.py")
        return 2
    output: Path = args.output or default_output(source)
    if output.resolve().is_relative_to(source.resolve()):
        what = f"{output}: is inside {source}, where the sheets would be taken for photographs"
        print_error(what, "name another folder with --output")
        return 2
    listed = source / REJECTED_LIST
    try:
        rejected = read_list(listed, source).listed if listed.exists() else set()
    except (OSError, ValueError) as error:
        print_error(f"{listed}: {reason_of(error)}", *list_hints(error))
        return 2
    try:
        if args.merge:
            return merge(source, rejected, args.merge)
        return review(source, rejected, output)
    except OSError as error:
        print_error(f"{error.filename or output}: {reason_of(error)}")
        return 2


if __name__ == "__main__":
    run_command(main)
