"""Command: resize photographs to 256x256, and add copies, rotated and at other scales."""

from colourizer.runtime import early_interrupt  # noqa: F401 - first: the imports take seconds

# isort: split
import argparse
import itertools
import json
import math
import os
import random
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from colourizer.curation.derived_copies import ROTATED, SCALED
from colourizer.curation.rejected_list import REJECTED_LIST, read_rejected
from colourizer.photos.decode import open_image
from colourizer.photos.errors import PhotoError
from colourizer.photos.files import find_photos, is_photo_name
from colourizer.photos.pictures import to_jpeg
from colourizer.photos.read import map_photos, read_large_enough
from colourizer.runtime.atomic_file import (
    DISK_FULL,
    discard_part_files,
    remove_leftovers,
    write_bytes,
)
from colourizer.runtime.cli import at_least, print_error, print_note, progress, run_command
from colourizer.runtime.errors import reason_of
from colourizer.runtime.interrupt import PATIENCE, Interrupt
from colourizer.runtime.parallel import map_ordered

RESIZED_FOLDER = "resized"
ROTATED_FOLDER, SCALED_FOLDER = RESIZED_FOLDER + ROTATED, RESIZED_FOLDER + SCALED
RESULT_FOLDERS = (RESIZED_FOLDER, ROTATED_FOLDER, SCALED_FOLDER)
SETTINGS = "transformed.json"  # beside them
# The path of a result; the one group that matches is what result_stem returned.
RESULT_PATH = re.compile(
    f"{RESIZED_FOLDER}/(.+)[.]jpg|{ROTATED_FOLDER}/(.+){ROTATED}_[0-9]+[.]jpg|"
    f"{SCALED_FOLDER}/(.+){SCALED}_[0-9]+[.]jpg",
    re.DOTALL,
)
COPY_JPEG_QUALITY = 95
# Least shorter side of a decoded photograph, times the side of its results. The finer side of a
# rotated copy needs 2 at most.
OVERSAMPLING = 2
WRITERS = 4  # threads that write files
HINT_OUTPUT = "choose another OUTPUT folder"


@dataclass(frozen=True)
class TransformOptions:
    """What is made of each photograph.

    output: the folder that gets the folders of results.
    size: sides of the resized and of the rotated results, in pixels.
    fit: squash the whole photograph into the square; else cut out the largest square.
    rotations: rotated copies of each photograph.
    scales: sides of more copies, in pixels.
    seed: decides the angles.
    """

    output: Path
    size: int
    fit: bool
    rotations: int
    scales: tuple[int, ...]
    seed: int


class Result(NamedTuple):
    """A file that is made of a photograph.

    file: below the output folder, with slashes.
    side: its sides, in pixels.
    angle: degrees by which the photograph is rotated.
    min_side: the least shorter side of the photograph, in pixels.
    """

    file: str
    side: int
    angle: int = 0
    min_side: int = 0


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
    """Return the largest upright rectangle inside a rotated one, around the same centre.

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
        fit: the rectangle of the largest area, not the largest square.

    Returns:
        Its (width, height).
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
    """Return the largest upright rectangle inside a rotated photograph, resized to a square.

    No pixel of the result lies outside the photograph.

    Args:
        image: the photograph.
        side: of the result, in pixels.
        angle: degrees.
        fit: as in `largest_rectangle`; else the rectangle is a square itself.
    """
    width, height = largest_rectangle(*image.size, angle, fit)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    # Its bounding box in the photograph, which rounding must not carry outside.
    across = min(image.width, width * abs(cos) + height * abs(sin))
    down = min(image.height, width * abs(sin) + height * abs(cos))
    left, top = (image.width - across) / 2, (image.height - down) / 2
    box = (left, top, left + across, top + down)
    if not angle:
        return image.resize((side, side), Image.Resampling.LANCZOS, box, OVERSAMPLING)
    # Downscale before rotating, so that the finer side of the result is sampled about 1:1 and
    # nothing aliases; the other side is sampled more densely and downscaled in the end.
    unit = max(1.0, min(width, height) / side)  # pixels of the photograph
    columns, rows = max(side, round(width / unit)), max(side, round(height / unit))
    zoom_x = zoom_y = 1.0
    if unit > 1:
        reduced = math.ceil(across / unit), math.ceil(down / unit)
        image = image.resize(reduced, Image.Resampling.LANCZOS, box, OVERSAMPLING)
        zoom_x, zoom_y = image.width / across, image.height / down
    # Affine map from (x, y) of the result to the photograph's, both around their centres.
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
    """Return the angles of a photograph's copies, whole degrees; more copies keep the first."""
    rng = random.Random(os.fsencode(f"{seed} {name}"))
    angles = list(range(1, 360))
    for i in range(count):
        j = rng.randrange(i, len(angles))
        angles[i], angles[j] = angles[j], angles[i]
    return angles[:count]


def result_stem(photo: str) -> str:
    """Return the stem of the files that are made of a photograph; no two photographs share one.

    It depends on the photograph's name alone, not on what lies beside it: a for a.jpg, a.png for
    a.png, and a.png.jpg for a.png.jpg.

    Args:
        photo: a path below the source folder.

    Returns:
        The path below a folder of results, without ".jpg".
    """
    stem = photo.removesuffix(".jpg")
    return photo if is_photo_name(Path(stem)) else stem


def list_results(photo: str, options: TransformOptions) -> list[Result]:
    """Return what is to be made of a photograph, a path below the source folder."""
    stem, size = result_stem(photo), options.size
    angles = pick_angles(photo, options.rotations, options.seed)
    return [
        Result(f"{RESIZED_FOLDER}/{stem}.jpg", size),
        *(Result(f"{ROTATED_FOLDER}/{stem}{ROTATED}_{a}.jpg", size, a) for a in angles),
        *(Result(f"{SCALED_FOLDER}/{stem}{SCALED}_{s}.jpg", s, 0, s) for s in options.scales),
    ]


def find_results(output: Path) -> set[str]:
    """Return the files in the folders of results, as paths below the output with slashes.

    Part files that killed runs left there are removed.
    """
    existing: set[str] = set()
    folders = [output]
    for folder in RESULT_FOLDERS:
        for top, _, files in os.walk(output / folder):
            folders.append(Path(top))
            below = folders[-1].relative_to(output).as_posix()
            existing |= {f"{below}/{file}" for file in files if not file.startswith(".")}
    remove_leftovers(folders)
    return existing


def check_settings(options: TransformOptions, existing: set[str]) -> str:
    """Write the settings beside the first results; return an error if the results have others."""

    def describe(settings: dict[str, int | bool]) -> str:
        return f"--size {settings['size']}" + " --fit" * bool(settings["fit"])

    output, file = options.output, options.output / SETTINGS
    settings = {"size": options.size, "fit": options.fit}
    if not file.exists():
        if existing:
            return f"{output}: has results, but no {SETTINGS} that says how they were made"
        write_bytes(file, f"{json.dumps(settings)}\n".encode())
        return ""
    try:
        before = describe(json.loads(file.read_bytes()))
    except (ValueError, TypeError, KeyError):
        return f"{file}: not what this command writes"
    now = describe(settings)
    return "" if before == now else f"{output}: was made with {before}, not with {now}"


def remove_results(photos: Iterable[str], existing: set[str], output: Path) -> int:
    """Remove what was made of photographs, at any size, angle and scale; return how many files.

    Args:
        photos: paths below the source folder.
        existing: the files in the folders of results, from `find_results`.
        output: where those folders lie.
    """
    stems = {result_stem(photo) for photo in photos}
    if not stems:
        return 0
    matches = [match for file in existing if (match := RESULT_PATH.fullmatch(file))]
    removed = {match[0] for match in matches if match[match.lastindex or 0] in stems}
    for file in removed:
        (output / file).unlink(missing_ok=True)
    return len(removed)


def transform(photo: Path, wanted: list[Result], options: TransformOptions) -> dict[Result, bytes]:
    """Return JPEGs made of a photograph, less those that it would have to be enlarged for.

    Raises:
        PhotoError: it cannot be read.
    """
    if any(result.min_side for result in wanted):
        with open_image(photo) as image:
            shortest = min(image.size)
        wanted = [result for result in wanted if result.min_side <= shortest]
    if not wanted:
        return {}
    # The same for all results, whichever exist already: it decides their pixels.
    enough = OVERSAMPLING * max((options.size, *options.scales))
    pixels = read_large_enough(photo, enough)
    if (factor := min(pixels.size) // enough) > 1:
        pixels = pixels.reduce(factor)
    return {
        r: to_jpeg(cut(pixels, r.side, r.angle, options.fit), COPY_JPEG_QUALITY) for r in wanted
    }


def transform_all(todo: dict[Path, list[Result]], options: TransformOptions) -> Counter[str]:
    """Transform photographs, several at the same time, and print what went wrong.

    Args:
        todo: what is missing of each photograph.
        options: the same for all.

    Returns:
        How many were "transformed", "skipped" and "failed"; "stopped" is the exit code of a run
        that was interrupted, or 0.
    """
    counts: Counter[str] = Counter()
    too_small: Counter[int] = Counter()  # by scale
    disk_full = False

    def write(made: tuple[Path, dict[Result, bytes] | PhotoError]) -> None:
        _, files = made
        if isinstance(files, PhotoError):
            raise files
        for result, content in files.items():
            write_bytes(options.output / result.file, content)

    with Interrupt(PATIENCE, discard_part_files) as stop:
        photos = itertools.takewhile(lambda _: not (stop.exit_code or disk_full), todo)
        made = map_photos(photos, lambda photo: transform(photo, todo[photo], options))
        written = map_ordered(made, write, WRITERS, ahead=2 * WRITERS)
        for (photo, files), error in progress(written, "transforming", len(todo)):
            if isinstance(error, PhotoError):
                counts["failed"] += 1
                print_error(f"{photo}: {error}")
            elif error:
                counts["failed"] += 1
                print_error(f"{photo}: cannot be written ({reason_of(error)})")
                disk_full |= getattr(error, "errno", None) in DISK_FULL
            else:
                counts["transformed" if files else "skipped"] += 1
                too_small.update(result.side for result in todo[photo] if result not in files)
    for scale, number in sorted(too_small.items()):
        print_note(f"{number} smaller than {scale} pixels, left out of --scales {scale}")
    if disk_full:
        print_error(f"{options.output}: the disk is full", "make room and run this again")
    counts["stopped"] = stop.exit_code
    return counts


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    source, output = args.source, args.output
    options = TransformOptions(
        output=output,
        size=args.size,
        fit=args.fit,
        rotations=args.rotations,
        scales=tuple(args.scales),
        seed=args.seed,
    )
    if not source.is_dir():
        print_error(f"{source}: no such folder", "download photographs: python dataset.py")
        return 2
    results = [output / folder for folder in RESULT_FOLDERS]
    if source.resolve() in [folder.resolve() for folder in (output, *results)]:
        print_error(f"{output}: is where the photographs are", HINT_OUTPUT)
        return 2
    unreadable: list[OSError] = []
    photos = find_photos(source, output, unreadable)
    for error in unreadable:
        print_error(f"{error.filename}: {reason_of(error)}")
    if not photos:
        print_error(f"{source}: no photographs there", "download some: python dataset.py")
        return 2
    try:
        rejected = read_rejected(source)
    except OSError as error:
        print_error(f"{source / REJECTED_LIST}: {reason_of(error)}")
        return 2
    try:
        existing = find_results(output)
        if wrong := check_settings(options, existing):
            print_error(wrong, HINT_OUTPUT)
            return 2
        unwanted = [p.relative_to(source) for p in rejected if p.is_relative_to(source)]
        removed = remove_results((path.as_posix() for path in unwanted), existing, output)
    except OSError as error:
        print_error(f"{error.filename}: {reason_of(error)}", HINT_OUTPUT)
        return 2
    wanted = [photo for photo in photos if photo not in rejected]
    todo = {}
    for photo in wanted:
        planned = list_results(photo.relative_to(source).as_posix(), options)
        if missing := [result for result in planned if result.file not in existing]:
            todo[photo] = missing
    counts = transform_all(todo, options)
    skipped = len(wanted) - len(todo) + counts["skipped"]
    failed = counts["failed"] + len(unreadable)
    print_note(
        f"{counts['transformed']} transformed, {skipped} skipped, {len(photos) - len(wanted)} left "
        f"out, {removed} files removed, {failed} failed"
    )
    return counts["stopped"] or (1 if failed else 0)


if __name__ == "__main__":
    run_command(main)
