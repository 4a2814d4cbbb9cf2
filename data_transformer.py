"""Command: resize photographs to 256x256 and add rotated copies."""

import argparse
import io
import math
import random
import sys
from collections import Counter
from pathlib import Path

from PIL import Image

from console import at_least, print_error, progress, run_command
from made_copies import ROTATED
from photo import PhotoError, each_photo, find_photos, read_rgb, square, write_bytes

RESIZED_FOLDER, ROTATED_FOLDER = "resized", "resized_rotated"
JPEG_QUALITY = 95
ENOUGH = 2  # times the size: a photograph's shorter side; a rotated copy needs sqrt(2) at most


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Cut photographs square, resize them, and add rotated copies. What is there "
        "already is left alone.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 interrupted",
    )
    add = parser.add_argument
    add("source", nargs="?", type=Path, default=Path("data/raw"), metavar="SOURCE",
        help="a folder of photographs; subfolders too (default: %(default)s)")  # fmt: skip
    add("output", nargs="?", type=Path, default=Path("data/transformed"), metavar="OUTPUT",
        help=f"gets {RESIZED_FOLDER}/ and {ROTATED_FOLDER}/ (default: %(default)s)")  # fmt: skip
    add("--size", type=at_least(1), default=256, metavar="PIXELS",
        help="side of the results (default: %(default)s)")  # fmt: skip
    add("--rotations", type=int, default=1, metavar="N",
        help="rotated copies of each photograph (default: %(default)s)")  # fmt: skip
    add("--seed", type=int, default=0, metavar="N",
        help="decides the angles; another adds other copies (default: %(default)s)")  # fmt: skip
    args = parser.parse_args(argv)
    if not 0 <= args.rotations < 360:
        parser.error("--rotations: from 0 to 359")
    return args


def largest_square(width: int, height: int, angle: float) -> float:
    """Side of the largest upright square inside a rotated rectangle, around the same centre.

    Turn the picture until the rectangle is upright: now the square is the rotated one, and the box
    around it has sides of side * (|cos| + |sin|). It fits as long as that box does.
    """
    radians = math.radians(angle)
    return min(width, height) / (abs(math.cos(radians)) + abs(math.sin(radians)))


def rotated_square(image: Image.Image, angle: float, size: int) -> Image.Image:
    """Rotate a photograph, cut the largest upright square out of it, and resize that.

    All three are one affine map from the pixels of the result to those of the photograph, so that
    they are interpolated only once. No pixel of the result lies outside the photograph.
    """
    # Reduce first: then about one pixel becomes one pixel, and nothing aliases.
    scale = size / largest_square(*image.size, angle)
    if scale < 1:
        width, height = (math.ceil(side * scale) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    # Pixels of the photograph per pixel of the result.
    step = largest_square(*image.size, angle) / size
    cos, sin = step * math.cos(math.radians(angle)), step * math.sin(math.radians(angle))
    half = size / 2
    left = image.width / 2 - half * (cos - sin)
    top = image.height / 2 - half * (sin + cos)
    # (x, y) of the result -> (cos x - sin y + left, sin x + cos y + top) of the photograph
    map_back = (cos, -sin, left, sin, cos, top)
    return image.transform((size, size), Image.Transform.AFFINE, map_back, Image.Resampling.BICUBIC)


def pick_angles(name: Path, count: int, seed: int) -> list[int]:
    """Pick the angles of a photograph's copies, whole degrees; more copies keep the first ones."""
    angles = list(range(1, 360))
    random.Random(f"{seed} {name.as_posix()}").shuffle(angles)
    return angles[:count]


def name_results(photos: list[Path]) -> dict[Path, str]:
    """Name the results as the photographs; those that would share a name keep their suffix too.

    Args:
        photos: paths below the source folder.

    Returns:
        For each photograph, the path below the output folder, without ".jpg".
    """
    names = {photo: str(photo.with_suffix("")) for photo in photos}
    while True:  # some file systems take A.jpg for a.jpg
        times = Counter(name.casefold() for name in names.values())
        shared = [p for p, name in names.items() if times[name.casefold()] > 1 and name != str(p)]
        if not shared:
            return names
        names |= {photo: str(photo) for photo in shared}


def transform(path: Path, name: str, args: argparse.Namespace) -> list[tuple[Path, bytes]]:
    """Make of a photograph what is not there yet: files and their content."""
    angles = pick_angles(path.relative_to(args.source), args.rotations, args.seed)
    resized = args.output / RESIZED_FOLDER / f"{name}.jpg"
    rotated = {a: args.output / ROTATED_FOLDER / f"{name}{ROTATED}_{a}.jpg" for a in angles}
    if resized.exists():
        with Image.open(resized) as there:
            if there.size != (args.size, args.size):
                raise PhotoError(f"{resized} is of another size; choose another OUTPUT folder")
    if resized.exists() and all(file.exists() for file in rotated.values()):
        return []
    photo = read_rgb(path, shortest_side=ENOUGH * args.size)
    images = {resized: square(photo, args.size)}
    images |= {file: rotated_square(photo, a, args.size) for a, file in rotated.items()}
    return [(file, to_jpeg(image)) for file, image in images.items() if not file.exists()]


def to_jpeg(image: Image.Image) -> bytes:
    """Encode an image."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    if not args.source.is_dir():
        print_error(f"{args.source}: no such folder", "download photographs: python dataset.py")
        return 2
    results = [args.output / RESIZED_FOLDER, args.output / ROTATED_FOLDER]
    if args.source.resolve() in [folder.resolve() for folder in (args.output, *results)]:
        print_error(f"{args.output}: is where the photographs are", "choose another OUTPUT folder")
        return 2
    photos = find_photos(args.source, without=args.output)
    if not photos:
        print_error(f"{args.source}: no photographs there", "download some: python dataset.py")
        return 2
    below = name_results([photo.relative_to(args.source) for photo in photos])
    names = dict(zip(photos, below.values(), strict=True))
    done, skipped, failed = 0, 0, 0
    interrupted = False
    try:
        # Threads decode and encode; the writing is left to this one.
        made = each_photo(photos, lambda path: transform(path, names[path], args))
        for path, files in progress(made, "transforming", len(photos)):
            try:
                if isinstance(files, PhotoError):
                    raise files
                for file, content in files:
                    write_bytes(file, content)
            except (PhotoError, OSError) as error:
                failed += 1
                print_error(f"{path}: {error}")
            else:
                done += bool(files)
                skipped += not files
    except KeyboardInterrupt:
        interrupted = True
    print(f"{done} transformed, {skipped} skipped, {failed} failed", file=sys.stderr)
    if interrupted:
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
