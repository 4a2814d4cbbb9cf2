"""Command: resize photographs to 256x256, and add copies, rotated and at other scales."""

import argparse
import io
import itertools
import json
import math
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from colourizer.curation.derived_copies import ROTATED, SCALED
from colourizer.curation.rejected_list import REJECTED_LIST, read_rejected
from colourizer.photos.decode import open_image
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos, is_photo_name
from colourizer.photos.read import each_photo, read_large_enough
from colourizer.runtime.atomic_file import DISK_FULL, give_up_writing, remove_leftovers, write_bytes
from colourizer.runtime.cli import (
    PATIENCE,
    Interrupt,
    at_least,
    print_error,
    print_note,
    progress,
    run_command,
)
from colourizer.runtime.parallel import map_ordered

RESIZED_FOLDER = "resized"
ROTATED_FOLDER, SCALED_FOLDER = RESIZED_FOLDER + ROTATED, RESIZED_FOLDER + SCALED
RESULT_FOLDERS = (RESIZED_FOLDER, ROTATED_FOLDER, SCALED_FOLDER)
SETTINGS = "transformed.json"  # beside them
# The path of a result; the only group that matches is what name_result gave.
OF_A_RESULT = re.compile(
    f"{RESIZED_FOLDER}/(.+)[.]jpg|{ROTATED_FOLDER}/(.+){ROTATED}_[0-9]+[.]jpg|"
    f"{SCALED_FOLDER}/(.+){SCALED}_[0-9]+[.]jpg",
    re.DOTALL,
)
JPEG_QUALITY = 95
# Times the side of a result: what a photograph's shorter side is decoded to at least. The finer
# side of a rotated copy needs 2 at most.
ENOUGH = 2
WRITERS = 4  # threads that wait for the disk while others compute
ELSEWHERE = "choose another OUTPUT folder"


class Result(NamedTuple):
    """A file that is made of a photograph.

    file: below the output folder, with slashes.
    side: its sides, in pixels.
    angle: degrees by which the photograph is rotated.
    least: pixels that the photograph's shorter side must have.
    """

    file: str
    side: int
    angle: int = 0
    least: int = 0


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Make photographs square and resize them, and add rotated copies. What is "
        f"there already is left alone. What SOURCE/{REJECTED_LIST} names is left out, and what was "
        "made of it is removed.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 or 143 interrupted",
    )
    add = parser.add_argument
    add("source", nargs="?", type=Path, default=Path("data/raw"), metavar="SOURCE",
        help="a folder of photographs; subfolders too (default: %(default)s)")  # fmt: skip
    add("output", nargs="?", type=Path, default=Path("data/transformed"), metavar="OUTPUT",
        help=f"gets {RESIZED_FOLDER}/, {ROTATED_FOLDER}/ and {SCALED_FOLDER}/ "
        "(default: %(default)s)")  # fmt: skip
    add("--size", type=at_least(1), default=256, metavar="PIXELS",
        help="side of the results (default: %(default)s)")  # fmt: skip
    add("--fit", action="store_true",
        help="squash the whole photograph into the square (default: cut the largest square out of "
        "its middle)")  # fmt: skip
    add("--rotations", type=int, default=1, metavar="N",
        help="rotated copies of each photograph (default: %(default)s)")  # fmt: skip
    add("--scales", type=at_least(1), nargs="+", default=[], metavar="PIXELS",
        help="copies of each photograph with these sides too, as far as it need not be enlarged "
        "(default: none)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N",
        help="decides the angles; another adds other copies (default: %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    if not 0 <= args.rotations < 360:
        parser.error("--rotations: from 0 to 359")
    if args.size in args.scales:
        parser.error(f"--scales {args.size}: is what --size makes")
    args.scales = list(dict.fromkeys(args.scales))
    return args


def largest_rectangle(width: int, height: int, angle: float, fit: bool) -> tuple[float, float]:
    """Find the largest upright rectangle inside a rotated one, around the same centre.

    Turn the picture until the outer rectangle is upright: now the inner one, a x b, is rotated, and
    the box around it has the sides a |cos| + b |sin| and a |sin| + b |cos|. It fits as long as that
    box does. (No other centre gives a larger one: half-way between a rectangle and its mirror image
    through the middle lies one of the same sides.)

    A square, a = b, is limited by the shorter side S alone. Of all rectangles with p a + q b = S,
    the one of a = S / 2p, b = S / 2q has the largest area. Where it also fits into the longer side
    L, which is where S <= 2 |sin cos| L, nothing can be larger. Elsewhere the largest touches all
    four sides: both conditions are equations then, and have one solution.

    Args:
        width: of the rotated rectangle.
        height: of it.
        angle: degrees.
        fit: look for the rectangle of the largest area, not for the largest square.

    Returns:
        Its width and height.
    """
    cos, sin = abs(math.cos(math.radians(angle))), abs(math.sin(math.radians(angle)))
    shorter, longer = min(width, height), max(width, height)
    if not fit:
        return (shorter / (cos + sin),) * 2
    if shorter <= 2 * sin * cos * longer * (1 + 1e-9):  # 45 degrees, a square: both are equal
        across, down = (cos, sin) if width < height else (sin, cos)
        return shorter / (2 * across), shorter / (2 * down)
    determinant = cos * cos - sin * sin
    return (width * cos - height * sin) / determinant, (height * cos - width * sin) / determinant


def cut(image: Image.Image, side: int, angle: float, fit: bool) -> Image.Image:
    """Rotate a photograph, cut the largest upright rectangle out of it, and make that a square.

    No pixel of the result lies outside the photograph.

    Args:
        image: the photograph.
        side: of the result, in pixels.
        angle: degrees.
        fit: as of `largest_rectangle`; else the rectangle is a square itself.
    """
    width, height = largest_rectangle(*image.size, angle, fit)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    # The box around it, in the photograph as it lies; rounding may not carry it outside.
    across = min(image.width, width * abs(cos) + height * abs(sin))
    down = min(image.height, width * abs(sin) + height * abs(cos))
    left, top = (image.width - across) / 2, (image.height - down) / 2
    box = (left, top, left + across, top + down)
    if not angle:
        return image.resize((side, side), Image.Resampling.LANCZOS, box, ENOUGH)
    # Reduce first: then about one pixel becomes one pixel along the finer side of the result, and
    # nothing aliases. Along the other side more pixels are taken, and reduced in the end.
    unit = max(1.0, min(width, height) / side)  # pixels of the photograph
    columns, rows = max(side, round(width / unit)), max(side, round(height / unit))
    zoom_x = zoom_y = 1.0
    if unit > 1:
        reduced = math.ceil(across / unit), math.ceil(down / unit)
        image = image.resize(reduced, Image.Resampling.LANCZOS, box, ENOUGH)
        zoom_x, zoom_y = image.width / across, image.height / down
    # One affine map: (x, y) of the result -> of the photograph, which turn around their centres.
    step_x, step_y = width / columns, height / rows
    a, b = zoom_x * cos * step_x, -zoom_x * sin * step_y
    d, e = zoom_y * sin * step_x, zoom_y * cos * step_y
    c = image.width / 2 - a * columns / 2 - b * rows / 2
    f = image.height / 2 - d * columns / 2 - e * rows / 2
    bicubic = Image.Resampling.BICUBIC
    image = image.transform((columns, rows), Image.Transform.AFFINE, (a, b, c, d, e, f), bicubic)
    if image.size == (side, side):
        return image
    return image.resize((side, side), Image.Resampling.LANCZOS)


def pick_angles(name: str, count: int, seed: int) -> list[int]:
    """Pick the angles of a photograph's copies, whole degrees; more copies keep the first ones."""
    chance = random.Random(os.fsencode(f"{seed} {name}"))
    angles = list(range(1, 360))
    for i in range(count):
        j = chance.randrange(i, len(angles))
        angles[i], angles[j] = angles[j], angles[i]
    return angles[:count]


def name_result(photo: str) -> str:
    """Name what is made of a photograph; no two photographs share a name.

    Only its own name decides, so that no other one that comes or goes changes it: of a.jpg it is a,
    of a.png it is a.png, and of a.png.jpg, which may lie beside, a.png.jpg.

    Args:
        photo: a path below the source folder.

    Returns:
        The path below a folder of results, without ".jpg".
    """
    stem = photo.removesuffix(".jpg")
    return photo if is_photo_name(Path(stem)) else stem


def list_results(photo: str, args: argparse.Namespace) -> list[Result]:
    """List what is to be made of a photograph, a path below the source folder."""
    name = name_result(photo)
    angles = pick_angles(photo, args.rotations, args.seed)
    return [
        Result(f"{RESIZED_FOLDER}/{name}.jpg", args.size),
        *(Result(f"{ROTATED_FOLDER}/{name}{ROTATED}_{a}.jpg", args.size, a) for a in angles),
        *(Result(f"{SCALED_FOLDER}/{name}{SCALED}_{s}.jpg", s, 0, s) for s in args.scales),
    ]


def find_results(output: Path) -> set[str]:
    """Find what is in the folders of results, as paths below the output with slashes.

    What killed runs left half written there is removed.
    """
    there: set[str] = set()
    folders = [output]
    for folder in RESULT_FOLDERS:
        for top, _, files in os.walk(output / folder):
            folders.append(Path(top))
            below = folders[-1].relative_to(output).as_posix()
            there |= {f"{below}/{file}" for file in files if not file.startswith(".")}
    remove_leftovers(folders)
    return there


def check_settings(args: argparse.Namespace, there: set[str]) -> str:
    """Write the settings beside the first results; later, say what is wrong if they are others."""

    def say(settings: dict[str, int | bool]) -> str:
        return f"--size {settings['size']}" + " --fit" * bool(settings["fit"])

    file = args.output / SETTINGS
    settings = {"size": args.size, "fit": args.fit}
    if not file.exists():
        if there:
            return f"{args.output}: has results, but no {SETTINGS} that says how they were made"
        write_bytes(file, f"{json.dumps(settings)}\n".encode())
        return ""
    try:
        before = say(json.loads(file.read_bytes()))
    except (ValueError, TypeError, KeyError):
        return f"{file}: not what this command writes"
    now = say(settings)
    return "" if before == now else f"{args.output}: was made with {before}, not with {now}"


def remove_results(photos: Iterable[str], there: set[str], output: Path) -> int:
    """Remove what was made of photographs, at any size, angle and scale.

    Args:
        photos: paths below the source folder.
        there: the files in the folders of results.
        output: where those folders lie.

    Returns:
        How many files.
    """
    names = {name_result(photo) for photo in photos}
    matches = [match for file in there if (match := OF_A_RESULT.fullmatch(file))] if names else []
    removed = {match[0] for match in matches if match[match.lastindex or 0] in names}
    for file in removed:
        (output / file).unlink(missing_ok=True)
    return len(removed)


def transform(photo: Path, wanted: list[Result], args: argparse.Namespace) -> dict[Result, bytes]:
    """Make files of a photograph, less those that it would have to be enlarged for.

    Raises:
        PhotoError: it cannot be read.
    """
    if any(result.least for result in wanted):
        with open_image(photo) as image:
            shortest = min(image.size)
        wanted = [result for result in wanted if result.least <= shortest]
    if not wanted:
        return {}
    # The same for all results, whichever are there already: it decides their pixels.
    enough = ENOUGH * max([args.size, *args.scales])
    pixels = read_large_enough(photo, enough)
    if (factor := min(pixels.size) // enough) > 1:
        pixels = pixels.reduce(factor)
    return {r: to_jpeg(cut(pixels, r.side, r.angle, args.fit)) for r in wanted}


def to_jpeg(image: Image.Image) -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def transform_all(todo: dict[Path, list[Result]], args: argparse.Namespace) -> Counter[str]:
    """Transform photographs, several at the same time; say what went wrong.

    Args:
        todo: of each photograph, what is not there yet.
        args: the command line.

    Returns:
        How many were transformed, skipped and failed, and the exit code of a run that was stopped.
    """
    counts: Counter[str] = Counter()
    too_small: Counter[int] = Counter()  # by scale
    disk_full = False

    def write(made: tuple[Path, dict[Result, bytes] | PhotoError]) -> None:
        _, files = made
        if isinstance(files, PhotoError):
            raise files
        for result, content in files.items():
            write_bytes(args.output / result.file, content)

    with Interrupt(PATIENCE, give_up_writing) as stop:
        photos = itertools.takewhile(lambda _: not (stop.exit_code or disk_full), todo)
        made = each_photo(photos, lambda photo: transform(photo, todo[photo], args))
        written = map_ordered(made, write, WRITERS, ahead=2 * WRITERS)
        for (photo, files), error in progress(written, "transforming", len(todo)):
            if isinstance(error, PhotoError):
                counts["failed"] += 1
                print_error(f"{photo}: {error}")
            elif error:
                counts["failed"] += 1
                print_error(f"{photo}: cannot be written ({reason(error)})")
                disk_full |= getattr(error, "errno", None) in DISK_FULL
            else:
                counts["transformed" if files else "skipped"] += 1
                too_small.update(result.side for result in todo[photo] if result not in files)
    for scale, number in sorted(too_small.items()):
        print_note(f"{number} smaller than {scale} pixels, left out of --scales {scale}")
    if disk_full:
        print_error(f"{args.output}: the disk is full", "make room and run this again")
    counts["stopped"] = stop.exit_code
    return counts


def reason(error: Exception) -> str:
    """Say what went wrong with a file, less the file's name."""
    return (getattr(error, "strerror", None) or str(error)).lower()


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if not args.source.is_dir():
        print_error(f"{args.source}: no such folder", "download photographs: python dataset.py")
        return 2
    results = [args.output / folder for folder in RESULT_FOLDERS]
    if args.source.resolve() in [folder.resolve() for folder in (args.output, *results)]:
        print_error(f"{args.output}: is where the photographs are", ELSEWHERE)
        return 2
    photos = find_photos(args.source, without=args.output)
    if not photos:
        print_error(f"{args.source}: no photographs there", "download some: python dataset.py")
        return 2
    try:
        rejected = read_rejected(args.source)
    except OSError as error:
        print_error(f"{args.source / REJECTED_LIST}: {reason(error)}")
        return 2
    try:
        there = find_results(args.output)
        if wrong := check_settings(args, there):
            print_error(wrong, ELSEWHERE)
            return 2
        unwanted = [p.relative_to(args.source) for p in rejected if p.is_relative_to(args.source)]
        removed = remove_results((path.as_posix() for path in unwanted), there, args.output)
    except OSError as error:
        print_error(f"{error.filename}: {reason(error)}", ELSEWHERE)
        return 2
    wanted = [photo for photo in photos if photo not in rejected]
    todo = {}
    for photo in wanted:
        missing = list_results(photo.relative_to(args.source).as_posix(), args)
        if missing := [result for result in missing if result.file not in there]:
            todo[photo] = missing
    counts = transform_all(todo, args)
    skipped = len(wanted) - len(todo) + counts["skipped"]
    print(
        f"{counts['transformed']} transformed, {skipped} skipped, {len(photos) - len(wanted)} left "
        f"out, {removed} files removed, {counts['failed']} failed",
        file=sys.stderr,
    )
    return counts["stopped"] or (1 if counts["failed"] else 0)


if __name__ == "__main__":
    run_command(main)
