"""Command: put colour into black-and-white photographs."""

import argparse
import io
import json
import math
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from checkpoint import BUNDLED, CheckpointError, fingerprint
from colourizer import VIVIDNESS, Colourizer, reduced_lightness
from console import (
    Interrupt,
    in_unit_range,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from decoder import SeveralPicturesError
from device import add_device_option, cores
from photo import (
    SUFFIXES,
    TARGETS,
    Photo,
    PhotoError,
    count_pixels,
    each,
    encode_photo,
    find_photos,
    read_photo,
    remove_leftovers,
    spread,
    write_bytes,
    write_photo,
    write_whole,
    written_format,
    written_name,
)
from recombine import enlarged, rgb_strips, ycbcr_strips
from room import Room

DEFAULT_OUTPUT = "colourized"
STREAM = "-"  # as a path: standard input, and output
MOST_VARIANTS = 24
TILE = 512  # pixels: the longest side of a picture on the sheet of variants
COMPARED = 1024  # pixels: the longest side of either picture of --compare
SHEET, SHEET_PHOTOS, SHEET_TILE = "contact_sheet.jpg", 48, 240  # of --compare; pixels
# In flight at the same time, over all threads: what bounds the memory. A larger photograph is
# coloured alone.
PIXELS_IN_FLIGHT = 60_000_000
THERE_ALREADY = "there already"


@dataclass(frozen=True)
class Job:
    """A photograph and the files that what is made of it goes to."""

    source: Path
    coloured: list[Path]  # one, or one for each variant
    confidence: Path | None = None
    sheet: Path | None = None
    compared: Path | None = None

    def targets(self) -> list[Path]:
        """List the files."""
        beside = [path for path in (self.confidence, self.sheet, self.compared) if path]
        return [*self.coloured, *beside]


@dataclass
class Outcome:
    """What became of a photograph."""

    source: Path
    result: str  # colourized, skipped or failed
    files: list[Path] = field(default_factory=list)
    reason: str = ""
    hints: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> str:
        """Write it as one line of JSON."""
        row: dict[str, Any] = {"source": str(self.source), "result": self.result}
        row |= {"files": [str(path) for path in self.files], "seconds": round(self.seconds, 3)}
        return json.dumps(row | ({"reason": self.reason} if self.reason else {}))


class StoppedError(Exception):
    """The user has asked to stop; what was begun is not finished."""


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Put colour into black-and-white photographs. Prints the files it wrote.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 interrupted. Under "
        "torchrun, processes share the photographs.",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=Path, metavar="PATH",
        help="photographs, or folders of them with their subfolders; - for one photograph from "
        "standard input, coloured to standard output")  # fmt: skip
    add("-o", "--output", type=Path, metavar="DIR",
        help="where the coloured photographs go, in the same subfolders "
        f"(default: {DEFAULT_OUTPUT}/ and the folder's name)")  # fmt: skip
    add("--format", choices=tuple(TARGETS), help="write all as this (default: each as it was)")
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add("--dry-run", action="store_true", help="only say which files would be written")
    add("--no-tag", action="store_true",
        help="do not say in the files' metadata what coloured them")  # fmt: skip
    add_device_option(parser)

    add = parser.add_argument_group("colours").add_argument
    add("--checkpoint", type=Path, default=BUNDLED, metavar="FILE",
        help="a checkpoint of train.py, or of the original project (default: the bundled "
        "one)")  # fmt: skip
    add("--vividness", type=in_unit_range, metavar="V",
        help="0: the safe mean of all likely colours; 1: the most vivid "
        f"(default: {VIVIDNESS})")  # fmt: skip

    add = parser.add_argument_group("beside each photograph").add_argument
    add("--variants", type=int, choices=range(1, MOST_VARIANTS + 1), default=1, metavar="N",
        help="write N different plausible colourings: NAME, NAME_variant2 and so on, and "
        f"NAME_N_variants.png, which shows them side by side; at most {MOST_VARIANTS}")  # fmt: skip
    add("--confidence", action="store_true",
        help="write NAME_confidence.png: white where the network is sure of the "
        "colour")  # fmt: skip
    add("--compare", action="store_true",
        help="write NAME_compared.jpg, grey and coloured side by side, and "
        f"{SHEET} of all")  # fmt: skip

    add = parser.add_argument_group("reports").add_argument
    add("--json", action="store_true",
        help="print a line of JSON for each photograph, not the files")  # fmt: skip
    add("--report", type=Path, metavar="FILE", help="write such lines to a file as well")
    return parser.parse_args(argv)


def plan(paths: list[Path], output: Path, keep_names: bool, args: argparse.Namespace) -> list[Job]:
    """Pair every photograph with the files that it goes to, before anything is written.

    Two photographs never share a target: the later one gets a number.

    Args:
        paths: photographs and folders, all there.
        output: where the targets lie; never searched for photographs.
        keep_names: put a folder's photographs into a folder of its name below output.
        args: the command line: in which format, and what is wanted beside each.
    """
    found: list[tuple[Path, Path]] = []  # source, path below output
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name if keep_names else "")
            found += [(p, root / p.relative_to(path)) for p in find_photos(path, without=output)]
        else:
            found.append((path, Path(path.name)))
    taken: set[str] = set()

    def free(path: Path) -> Path:
        """Number a name that is taken; some file systems take A.jpg for a.jpg."""
        n, numbered = 2, path
        while (key := os.path.abspath(numbered).casefold()) in taken:  # noqa: PTH100 - 10x faster
            numbered = path.with_stem(f"{path.stem}_{n}")
            n += 1
        taken.add(key)
        return numbered

    # First the coloured photographs, whose names do not depend on what else is wanted.
    firsts: dict[str, tuple[Path, Path]] = {}
    for source, below in found:
        if (key := os.path.abspath(source)) not in firsts:  # noqa: PTH100 - 10x faster
            name = written_name(below, args.format)
            firsts[key] = (source, free(output / below.with_name(name)))
    # Then what lies beside each; never a photograph that is to be read.
    taken |= {key.casefold() for key in firsts}
    jobs = []
    for source, first in firsts.values():
        variants = range(2, args.variants + 1)
        others = [free(first.with_stem(f"{first.stem}_variant{n}")) for n in variants]

        def beside(wanted: object, what: str, first: Path = first) -> Path | None:
            return free(first.with_name(f"{first.stem}_{what}")) if wanted else None

        sheet = beside(others, f"{args.variants}_variants.png")
        sure = beside(args.confidence, "confidence.png")
        compared = beside(args.compare, "compared.jpg")
        jobs.append(Job(source, [first, *others], sure, sheet, compared))
    return jobs


def unfinished(job: Job, overwrite: bool) -> list[Path]:
    """List a job's files that are still to be written.

    Raises:
        PhotoError: one of them is the photograph itself.
    """
    there = [path for path in job.targets() if path.exists()]
    if any(job.source.samefile(path) for path in there):
        raise PhotoError("would be written over itself; name another folder with -o")
    return [path for path in job.targets() if overwrite or path not in there]


def colour_and_write(
    job: Job, colourizer: Colourizer, args: argparse.Namespace, tag: str | None, stop: Interrupt
) -> list[Path]:
    """Colourize one photograph, as far as it is not done.

    Args:
        job: the photograph.
        colourizer: what colours it.
        args: the command line.
        tag: what the files' metadata says.
        stop: asked between strips.

    Returns:
        The files that were written.

    Raises:
        PhotoError: it cannot be read or written.
        StoppedError: the user does not want to wait for it.
    """
    if stop.exit_code:
        raise StoppedError
    wanted = unfinished(job, args.overwrite)
    photo = read_photo(job.source)
    colourings, sure = colourizer.predict(reduced_lightness(photo.pixels), len(job.coloured))
    job.coloured[0].parent.mkdir(parents=True, exist_ok=True)
    for path, ab in zip(job.coloured, colourings, strict=True):
        if path in wanted:
            write_coloured(path, photo, ab, args.format, tag, stop)
    if job.sheet in wanted and job.sheet:
        small = shown(photo, TILE)
        write_picture(job.sheet, side_by_side([coloured(small, ab) for ab in colourings]))
    if job.confidence in wanted and job.confidence and sure is not None:
        height, width = photo.pixels.shape[:2]
        grey = next(enlarged(sure, height, width, rows=height)).clamp(0, 1) * 255
        write_picture(job.confidence, Image.fromarray(grey[0].round().byte().numpy()))
    if job.compared in wanted and job.compared:
        small = shown(photo, COMPARED)
        pair = [Image.fromarray(small).convert("RGB"), coloured(small, colourings[0])]
        write_picture(job.compared, side_by_side(pair))
    return wanted


def attempt(
    job: Job,
    colourizer: Colourizer,
    args: argparse.Namespace,
    tag: str | None,
    room: Room,
    stop: Interrupt,
) -> Outcome:
    """Colourize one photograph, whatever comes of it; arguments as `colour_and_write`.

    room: pixels that may be in memory.
    """
    begun = time.monotonic()
    outcome = Outcome(job.source, "skipped", reason=THERE_ALREADY)
    try:
        if not unfinished(job, args.overwrite):
            return outcome
        with room.take(count_pixels(job.source)):
            begun = time.monotonic()
            outcome.files = colour_and_write(job, colourizer, args, tag, stop)
        outcome.result, outcome.reason = "colourized", ""
    except SeveralPicturesError as error:
        outcome.reason = str(error)
    except StoppedError:
        outcome.result = "stopped"
    except Exception as error:  # one bad photograph never stops a folder
        outcome.result, outcome.reason = "failed", str(error) or type(error).__name__
        outcome.hints = [note.removeprefix("hint: ") for note in getattr(error, "__notes__", ())]
    outcome.seconds = time.monotonic() - begun
    return outcome


def write_coloured(
    path: Path,
    photo: Photo,
    ab: torch.Tensor,
    target: str | None,
    tag: str | None,
    stop: Interrupt | None = None,
) -> None:
    """Put colour into a photograph, strip by strip, into a file.

    Args:
        path: the file.
        photo: the photograph.
        ab: (1, 2, h, w) in Lab units.
        target: the format; None: as it was.
        tag: what the file's metadata says.
        stop: asked between strips.
    """
    ycbcr, strips = coloured_strips(photo, ab, target)

    def until_stopped() -> Iterator[np.ndarray]:
        for strip in strips:
            if stop and stop.exit_code:
                raise StoppedError
            yield strip

    write_photo(path, until_stopped(), photo, target=target, ycbcr=ycbcr, tag=tag)


def coloured_strips(
    photo: Photo, ab: torch.Tensor, target: str | None
) -> tuple[bool, Iterator[np.ndarray]]:
    """Choose the road to a format; return whether it is YCbCr's, and the strips."""
    grey = photo.pixels.ndim == 2 and photo.pixels.dtype == np.uint8
    if grey and written_format(photo.format, target) == "JPEG":
        return True, ycbcr_strips(photo.pixels, ab)
    return False, rgb_strips(photo.pixels, ab)


def shown(photo: Photo, side: int) -> np.ndarray:
    """Reduce a photograph's pixels to a longest side; (h, w) or (h, w, 3), uint8."""
    pixels = photo.pixels if photo.pixels.dtype == np.uint8 else (photo.pixels >> 8).astype("u1")
    image = Image.fromarray(pixels)
    image.thumbnail((side, side))
    return np.asarray(image)


def coloured(pixels: np.ndarray, ab: torch.Tensor) -> Image.Image:
    """Put colour into a small picture."""
    return Image.fromarray(np.concatenate(list(rgb_strips(pixels, ab))))


def side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Put pictures of one size into rows, about as many rows as columns."""
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(pictures) / columns)))
    for n, picture in enumerate(pictures):
        sheet.paste(picture, (n % columns * width, n // columns * height))
    return sheet


def contact_sheet(paths: list[Path]) -> Image.Image:
    """Put small versions of pictures of any size on a sheet."""
    tiles = []
    for path in paths:
        tile = Image.new("RGB", (2 * SHEET_TILE, SHEET_TILE))
        with Image.open(path) as picture:
            picture.thumbnail(tile.size)
            tile.paste(picture, ((tile.width - picture.width) // 2, 0))
        tiles.append(tile)
    return side_by_side(tiles)


def write_picture(path: Path, image: Image.Image) -> None:
    """Write a picture that is made beside a photograph; its name says the format."""
    file_format = "JPEG" if path.suffix == ".jpg" else "PNG"
    write_whole(path, lambda file: image.save(file, format=file_format, quality=90))


def colourize_stream(colourizer: Colourizer, args: argparse.Namespace, tag: str | None) -> int:
    """Colour one photograph from standard input to standard output; return the exit code."""
    try:
        photo = read_photo(io.BytesIO(sys.stdin.buffer.read()))
        (ab,), _ = colourizer.predict(reduced_lightness(photo.pixels), variants=1)
        ycbcr, strips = coloured_strips(photo, ab, args.format)
        file = io.BytesIO()  # encoders go back to earlier places
        encode_photo(file, strips, photo, target=args.format, ycbcr=ycbcr, tag=tag)
    except PhotoError as error:
        hints = [note.removeprefix("hint: ") for note in getattr(error, "__notes__", ())]
        print_error(f"standard input: {error}", *hints)
        return 1
    sys.stdout.buffer.write(file.getvalue())
    sys.stdout.buffer.flush()
    return 0


def share_of_process() -> tuple[int, int]:
    """Say which of how many processes this is, as torchrun tells it."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    output = args.output or Path(DEFAULT_OUTPUT)
    rank, processes = share_of_process()
    stream = args.paths == [Path(STREAM)]
    missing: list[Path] = []
    jobs: list[Job] = []
    if not stream:
        try:
            missing = [path for path in args.paths if not path.exists()]
            for path in missing:
                print_error(f"{path}: no such file or folder")
            folders = [path for path in args.paths if path.is_dir()]
            if any(path.resolve() == output.resolve() for path in folders):
                what = f"{output}: is where the photographs are"
                print_error(what, "name another folder with -o")
                return 2
            keep_names = args.output is None or len(folders) > 1
            there = [path for path in args.paths if path not in missing]
            jobs = plan(there, output, keep_names, args)
        except OSError as error:
            print_error(f"{error.filename}: {error.strerror}")
            return 2
        if not jobs:
            if not missing:
                hint = "looked for " + " ".join(sorted(SUFFIXES))
                print_error(f"{args.paths[0]}: no photographs there", hint)
            return 2
        jobs = jobs[rank::processes]
        if args.dry_run:
            return dry_run(jobs, args, len(missing))
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
    tag = None
    if not args.no_tag:
        name = f"{args.checkpoint.name}, sha256 {fingerprint(args.checkpoint)[:12]}"
        tag = f"colourized with Image Colourizer ({name})"
    if stream:
        return colourize_stream(colourizer, args, tag)
    return colourize_all(jobs, colourizer, args, tag, len(missing))


def dry_run(jobs: list[Job], args: argparse.Namespace, failed: int) -> int:
    """Say what would be written; return the exit code."""
    new = 0
    for job in jobs:
        wanted = [path for path in job.targets() if args.overwrite or not path.exists()]
        new += bool(wanted)
        for path in wanted:
            print_result(path)
    skipped = len(jobs) - new
    print_note(f"{new} would be colourized, {skipped} skipped, {failed} failed")
    return 1 if failed else 0


def colourize_all(
    jobs: list[Job], colourizer: Colourizer, args: argparse.Namespace, tag: str | None, failed: int
) -> int:
    """Colour the photographs of all jobs, several at the same time.

    Args:
        jobs: the photographs.
        colourizer: what colours them.
        args: the command line.
        tag: what the files' metadata says.
        failed: how many photographs that were asked for are not there.

    Returns:
        The exit code.
    """
    output = args.output or Path(DEFAULT_OUTPUT)
    rank, processes = share_of_process()
    threads = min(cores(), len(jobs))
    # Photographs beside each other use the cores better than one photograph on all of them.
    torch.set_num_threads(max(1, torch.get_num_threads() // threads))
    room = Room(PIXELS_IN_FLIGHT)
    remove_leftovers({job.coloured[0].parent for job in jobs})
    counts = {"colourized": 0, "skipped": 0, "failed": failed}
    there_already = 0
    rows: list[str] = []
    begun = time.monotonic()
    with Interrupt() as stop:

        def work(job: Job) -> Outcome:
            return attempt(job, colourizer, args, tag, room, stop)

        bar = progress(each(jobs, work, threads), "colourizing", len(jobs))
        for _, outcome in bar:
            if isinstance(outcome, Exception):  # none of the photograph's
                raise outcome
            if outcome.result == "stopped":
                break
            counts[outcome.result] += 1
            there_already += outcome.reason == THERE_ALREADY
            if outcome.result == "failed":
                print_error(f"{outcome.source}: {outcome.reason}", *outcome.hints)
            elif outcome.reason and outcome.reason != THERE_ALREADY:
                print_note(f"skipped: {outcome.source}: {outcome.reason}")
            rows.append(outcome.as_json())
            for line in rows[-1:] if args.json else outcome.files:
                print_result(line)
            if stop.exit_code:
                break
        bar.close()
    seconds = max(time.monotonic() - begun, 1e-9)
    try:
        if args.report:
            share = f"_{rank}" if processes > 1 else ""
            report = args.report.with_stem(args.report.stem + share)
            write_bytes(report, "".join(f"{row}\n" for row in rows).encode())
        pairs = [job.compared for job in jobs if job.compared and job.compared.exists()]
        if pairs and counts["colourized"]:
            sheet = output / (SHEET if processes == 1 else f"{rank}_{SHEET}")
            write_picture(sheet, contact_sheet(spread(pairs, SHEET_PHOTOS)))
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}")
        counts["failed"] += 1
    rate = f"({counts['colourized'] / seconds:.3g} photos/s)"
    print_note(", ".join(f"{n} {result}" for result, n in counts.items()) + f" {rate}")
    if there_already:
        print_note(f"hint: skipped: there already in {output}; --overwrite does them again")
    return stop.exit_code or (1 if counts["failed"] else 0)


if __name__ == "__main__":
    run_command(main)
