"""Command: put colour into black-and-white photographs."""

import argparse
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from checkpoint import BUNDLED, CheckpointError
from colourizer import VIVIDNESS, Colourizer, join, photo_lightness, to_photo_size
from console import (
    in_unit_range,
    print_error,
    print_result,
    print_skipped,
    progress,
    run_command,
)
from decoder import SeveralPicturesError
from device import add_device_option
from photo import (
    SUFFIXES,
    PhotoError,
    find_photos,
    read_photo,
    write_photo,
    write_whole,
    written_name,
)

DEFAULT_OUTPUT = "colourized"
MOST_VARIANTS = 24
TILE = 512  # pixels: the longest side of a picture on the sheet of variants


@dataclass(frozen=True)
class Job:
    """A photograph and the files that what is made of it goes to."""

    source: Path
    coloured: list[Path]  # one, or one for each variant
    confidence: Path | None
    sheet: Path | None

    def targets(self) -> list[Path]:
        """List the files."""
        beside = [path for path in (self.confidence, self.sheet) if path]
        return [*self.coloured, *beside]


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Put colour into black-and-white photographs. Prints the files it wrote.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 interrupted",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH", help="photographs, or folders of them")
    add(
        "-o",
        "--output",
        type=Path,
        metavar="DIR",
        help="where the coloured photographs go, in the same subfolders "
        f"(default: {DEFAULT_OUTPUT}/ and the folder's name)",
    )
    add(
        "--checkpoint",
        type=Path,
        default=BUNDLED,
        metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled one)",
    )
    add(
        "--vividness",
        type=in_unit_range,
        metavar="V",
        help=f"0: the safe mean of all likely colours; 1: the most vivid (default: {VIVIDNESS})",
    )
    add(
        "--confidence",
        action="store_true",
        help="write NAME_confidence.png beside each: white where the network is sure of the colour",
    )
    add(
        "--variants",
        type=int,
        choices=range(1, MOST_VARIANTS + 1),
        default=1,
        metavar="N",
        help="write N different plausible colourings: NAME, NAME_variant2 and so on, and "
        f"NAME_N_variants.png, which shows them side by side; at most {MOST_VARIANTS}",
    )
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add_device_option(parser)
    return parser.parse_args(argv)


def plan(
    paths: list[Path],
    output: Path,
    keep_names: bool,
    variants: int = 1,
    confidence: bool = False,
) -> list[Job]:
    """Pair every photograph with the files that it goes to, before anything is written.

    Two photographs never share a target: the later one gets a number.

    Args:
        paths: photographs and folders, all there.
        output: where the targets lie; never searched for photographs.
        keep_names: put a folder's photographs into a folder of its name below output.
        variants: how many colourings of each.
        confidence: whether there is a map beside each.
    """
    found: list[tuple[Path, Path]] = []  # source, path below output
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name if keep_names else "")
            found += [(p, root / p.relative_to(path)) for p in find_photos(path, without=output)]
        else:
            found.append((path, Path(path.name)))
    # First the coloured photographs, whose names do not depend on what else is wanted.
    sources, coloured = [], []
    taken: set[str] = set()

    def free(path: Path) -> Path:
        """Number a name that is taken; some file systems take A.jpg for a.jpg."""
        n, numbered = 2, path
        while str(numbered.absolute()).casefold() in taken:
            numbered = path.with_stem(f"{path.stem}_{n}")
            n += 1
        taken.add(str(numbered.absolute()).casefold())
        return numbered

    seen: set[Path] = set()
    for source, below in found:
        if source.absolute() not in seen:
            seen.add(source.absolute())
            sources.append(source)
            coloured.append(free(output / below.with_name(written_name(below))))
    # Then what lies beside each; never a photograph that is to be read.
    taken |= {str(source.absolute()).casefold() for source in sources}
    jobs = []
    for source, first in zip(sources, coloured, strict=True):
        others = [free(first.with_stem(f"{first.stem}_variant{n}")) for n in range(2, variants + 1)]
        sheet = free(first.with_name(f"{first.stem}_{variants}_variants.png")) if others else None
        sure = free(first.with_name(f"{first.stem}_confidence.png")) if confidence else None
        jobs.append(Job(source, [first, *others], sure, sheet))
    return jobs


def colourize(job: Job, colourizer: Colourizer, overwrite: bool) -> list[Path]:
    """Colourize one photograph, as far as it is not done; return the files that were written."""
    there = [path for path in job.targets() if path.exists()]
    if any(job.source.samefile(path) for path in there):
        raise PhotoError("would be written over itself; name another folder with -o")
    wanted = [path for path in job.targets() if overwrite or path not in there]
    if not wanted:
        return []
    photo = read_photo(job.source)
    lightness = photo_lightness(photo.pixels)
    colourings, sure = colourizer.predict(lightness, len(job.coloured))
    size = lightness.shape[-2:]
    job.coloured[0].parent.mkdir(parents=True, exist_ok=True)
    pictures = []
    for path, ab in zip(job.coloured, colourings, strict=True):
        if path not in wanted and job.sheet not in wanted:
            continue
        rgb = join(lightness, to_photo_size(ab, *size))
        if path in wanted:
            write_photo(path, rgb, like=photo)
        if job.sheet:
            pictures.append(Image.fromarray(rgb))
            pictures[-1].thumbnail((TILE, TILE))
    if job.confidence and job.confidence in wanted and sure is not None:
        grey = to_photo_size(sure, *size).clamp(0, 1) * 255
        write_png(job.confidence, Image.fromarray(grey[0].round().byte().numpy()))
    if job.sheet and job.sheet in wanted:
        write_png(job.sheet, side_by_side(pictures))
    return wanted


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Put pictures of one size into rows, about as many rows as columns."""
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(pictures) / columns)))
    for n, picture in enumerate(pictures):
        sheet.paste(picture, (n % columns * width, n // columns * height))
    return sheet


def write_png(path: Path, image: Image.Image) -> None:
    """Write a picture that is made beside a photograph."""
    write_whole(path, lambda file: image.save(file, format="PNG"))


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    output = args.output or Path(DEFAULT_OUTPUT)
    try:
        missing = [path for path in args.paths if not path.exists()]
        for path in missing:
            print_error(f"{path}: no such file or folder")
        folders = [path for path in args.paths if path.is_dir()]
        if any(path.resolve() == output.resolve() for path in folders):
            print_error(f"{output}: is where the photographs are", "name another folder with -o")
            return 2
        keep_names = args.output is None or len(folders) > 1
        there = [path for path in args.paths if path not in missing]
        jobs = plan(there, output, keep_names, args.variants, args.confidence)
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}")
        return 2
    if not jobs:
        if not missing:
            hint = "looked for " + " ".join(sorted(SUFFIXES))
            print_error(f"{args.paths[0]}: no photographs there", hint)
        return 2
    try:
        vividness = VIVIDNESS if args.vividness is None else args.vividness
        colourizer = Colourizer.load(args.checkpoint, args.device, vividness)
        asked = args.confidence or args.variants > 1 or args.vividness is not None
        if asked and not colourizer.knows_likelihoods:
            what = "its network has one answer only, and does not know how sure it is"
            hint = "leave out --vividness, --confidence and --variants"
            print_error(f"{args.checkpoint}: {what}", hint)
            return 2
    except CheckpointError as error:
        print_error(error)
        return 2

    done, skipped, left_alone, failed = 0, 0, 0, len(missing)
    begun = time.monotonic()
    interrupted = False
    bar = progress(jobs, "colourizing")
    try:
        for job in bar:
            try:
                written = colourize(job, colourizer, args.overwrite)
            except SeveralPicturesError as reason:
                left_alone += 1
                print_skipped(job.source, reason)
                continue
            except Exception as error:  # one bad photograph never stops a folder
                failed += 1
                hints = getattr(error, "__notes__", ())
                message = f"{job.source}: {str(error) or type(error).__name__}"
                print_error(message, *(note.removeprefix("hint: ") for note in hints))
                continue
            done += bool(written)
            skipped += not written
            for path in written:
                print_result(path)
    except KeyboardInterrupt:
        interrupted = True
    bar.close()
    rate = done / max(time.monotonic() - begun, 1e-9)
    total_skipped = skipped + left_alone
    counts = f"{done} colourized, {total_skipped} skipped, {failed} failed ({rate:.1f} photos/s)"
    print(counts, file=sys.stderr)
    if skipped:
        hint = f"skipped: there already in {output}; --overwrite does them again"
        print(f"hint: {hint}", file=sys.stderr)
    if interrupted:
        return 130
    return 1 if failed else 0


if __name__ == "__main__":
    run_command(main)
