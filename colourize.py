"""Command: put colour into black-and-white photographs."""

import argparse
import gc
import io
import itertools
import json
import math
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from PIL import Image, ImageFile

from averages import Averages
from checkpoint import BUNDLED, CheckpointError
from coloured_file import (
    colour,
    draw_confidence,
    only_what_counts,
    provenance_tag,
    reduce_to,
    write_coloured,
)
from colourizer import VIVIDNESS, Colourings, Colourizer, reduced_lightness
from console import (
    PATIENCE,
    Interrupt,
    in_unit_range,
    list_hints,
    print_error,
    print_note,
    print_result,
    progress,
    run_command,
)
from decoder import SeveralPicturesError, open_image
from device import add_device_option, allow_open_files, count_cores, keep_freed_memory
from distributed import find_share
from encoder import save_image
from hints import Hint, HintError, parse_hint
from photo import (
    DISK_FULL,
    SUFFIXES,
    TARGETS,
    PartFile,
    Photo,
    PhotoError,
    errors_of_writing,
    find_photos,
    give_up_writing,
    is_photo_name,
    read_photo,
    remove_leftovers,
    spread,
    write_whole,
    written_name,
)
from prediction import MOST_VARIANTS, Reference
from recombine import to_grey
from threads import Aside, Room, each

DEFAULT_OUTPUT = "colourized"
TILE = 512  # pixels: the longest side of a picture on the sheet of variants
COMPARED = 1024  # pixels: the longest side of either picture of --compare
SHEET, SHEET_PHOTOS, SHEET_TILE = "contact_sheet.jpg", 48, 240  # of --compare; pixels
QUALITY = 90  # of JPEGs beside the photographs
OUR_SHEET = b"Image Colourizer's contact sheet"  # its comment, by which it is known again
# Pixels of the photographs that are in memory at the same time, over all threads: one for so many
# bytes of the machine's memory, but so many at least. A larger photograph is coloured alone.
MEMORY_PER_PIXEL, PIXELS_IN_FLIGHT = 64, 100_000_000
# A thread does each step for as many photographs as the network is given in so many rounds: what
# the step needs is near then.
ROUNDS = 4
PIXELS_TOGETHER = 40_000_000  # of the photographs that a thread works at at a time, if several
WAITING = 4  # groups whose files are on their way to the disk; there is a thread for each
SPARE_FILES = 100  # that are open besides photographs
SWITCH_SECONDS = 1e-4
THERE_ALREADY = "there already"


@dataclass(frozen=True, slots=True)  # there may be a million
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
    result: str  # colourized, skipped, failed, or stopped before its end
    files: list[Path] = field(default_factory=list)
    reason: str = ""
    hints: list[str] = field(default_factory=list)
    seconds: float = 0.0
    # Files that are written, but that the disk has to be waited for.
    parts: list[tuple[Path, PartFile]] = field(default_factory=list)

    def as_json(self) -> str:
        """Write it as one line of JSON."""
        row: dict[str, Any] = {"source": str(self.source), "result": self.result}
        row |= {"files": [str(path) for path in self.files], "seconds": round(self.seconds, 3)}
        return json.dumps(row | ({"reason": self.reason} if self.reason else {}))


@dataclass
class Unfinished:
    """What is to be done of a job."""

    job: Job
    wanted: list[Path]  # those of its files that are to be written
    opened: ImageFile.ImageFile | None  # the photograph, until it is read
    pixels: int  # of it
    outcome: Outcome


class Stopped(BaseException):
    """The run ends; what was begun is not finished."""


def path_or_stream(text: str) -> Path | None:
    """Be an argparse type: a path, or None for -, standard input."""
    return None if text == "-" else Path(text)


def hint_option(text: str) -> Hint:
    """Be an argparse type: a hint."""
    try:
        return parse_hint(text)
    except HintError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line; every default stands here and nowhere else."""
    parser = argparse.ArgumentParser(
        description="Put colour into black-and-white photographs. Prints the files it wrote.",
        epilog="exit codes: 0 all done, 1 some failed, 2 bad usage, 130 or 143 interrupted. Under "
        "torchrun, processes share the photographs.",
    )
    add = parser.add_argument
    add("paths", nargs="+", type=path_or_stream, metavar="PATH",
        help="photographs, or folders of them with their subfolders; - for one photograph from "
        "standard input, coloured to standard output")  # fmt: skip
    add("-o", "--output", type=Path, metavar="DIR",
        help="where the coloured photographs go, in the same subfolders "
        f"(default: {DEFAULT_OUTPUT}/ and the folder's name)")  # fmt: skip
    add("--format", choices=tuple(TARGETS), help="write all as this (default: each as it was)")
    add("--overwrite", action="store_true", help="do again what is in the output folder already")
    add("--dry-run", action="store_true", help="only say which files would be written")
    add("--keep-luma", action="store_true",
        help="grey JPEGs: keep what they store bit for bit and put colour beside it; faster, but "
        "some programs do not read such files, and strong colours become lighter")  # fmt: skip
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

    add("--hint", type=hint_option, action="append", default=[], metavar="X,Y,#RRGGBB",
        help="the colour at a place of the photograph, in pixels from the left and from the top; "
        "what belongs to it follows. May be given several times; for one photograph "
        "alone")  # fmt: skip
    add("--reference", type=Path, metavar="PHOTO",
        help="a photograph in colour; its colours go where the others look like it")  # fmt: skip

    add = parser.add_argument_group("beside each photograph").add_argument
    add("--variants", type=int, choices=range(1, MOST_VARIANTS + 1), default=1, metavar="N",
        help="write N different plausible colourings: NAME, NAME_variant2 and so on, and "
        f"NAME_N_variants.png, which shows them side by side; at most {MOST_VARIANTS}")  # fmt: skip
    add("--confidence", action="store_true",
        help="write NAME_confidence.png: white where the network is sure of the "
        "colour")  # fmt: skip
    add("--compare", action="store_true",
        help="write NAME_compared.jpg, grey and coloured side by side, and "
        f"{SHEET} of them")  # fmt: skip

    add = parser.add_argument_group("reports").add_argument
    add("--json", action="store_true",
        help="print a line of JSON for each photograph, not the files")  # fmt: skip
    add("--report", type=Path, metavar="FILE",
        help="add such lines to a file as well; under torchrun, FILE_0, FILE_1 and so "
        "on")  # fmt: skip
    args = parser.parse_args(argv)
    if None in args.paths:
        if len(args.paths) > 1:
            parser.error("-: is one photograph alone; leave the other paths out")
        for name in ("output", "dry_run", "json", "report", "confidence", "compare"):
            if getattr(args, name):
                parser.error(f"--{name.replace('_', '-')}: has no meaning for -")
        if args.variants > 1:
            parser.error("--variants: has no meaning for -")
    if args.report and (args.report.suffix.lower() in SUFFIXES or args.report.is_dir()):
        parser.error(f"--report {args.report}: needs the name of a text file")
    return args


def find_all(paths: list[Path], output: Path) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Find the photographs that a command line names.

    Args:
        paths: photographs and folders.
        output: never searched for photographs.

    Returns:
        Each photograph and where below the output its result goes; and what is wrong with paths
        that are not there or may not be looked into.
    """
    found: list[tuple[Path, Path]] = []
    unreadable: list[OSError] = []
    wrong = [f"{path}: no such file or folder" for path in paths if not path.exists()]
    # A folder that is not there counts as well: names may not depend on that.
    folders = sum(p.is_dir() or not (p.exists() or is_photo_name(p)) for p in paths)
    keep_names = output == Path(DEFAULT_OUTPUT) or folders > 1
    for path in paths:
        if path.is_dir():
            root = Path(path.resolve().name if keep_names else "")
            photos = find_photos(path, without=output, unreadable=unreadable)
            found += [(photo, root / photo.relative_to(path)) for photo in photos]
        elif path.exists():
            found.append((path, Path(path.name)))
    wrong += [f"{error.filename}: {error.strerror}" for error in unreadable]
    return found, wrong


def plan(found: list[tuple[Path, Path]], output: Path, args: argparse.Namespace) -> list[Job]:
    """Pair every photograph with the files that it goes to, before anything is written.

    Two photographs never share a target, and none is another photograph: the later one gets a
    number.

    Args:
        found: photographs, and where below the output the results go.
        output: where the targets lie.
        args: the command line: in which format, and what is wanted beside each.
    """

    def key_of(path: Path) -> str:
        """Some file systems take A.jpg for a.jpg."""
        return os.path.abspath(path).casefold()  # noqa: PTH100 - ten times faster

    unique = {os.path.abspath(source): (source, below) for source, below in found}  # noqa: PTH100
    sources = {key.casefold() for key in unique}
    taken = {key_of(place_sheet({output / place for place in {b.parent for _, b in found}}))}

    def free(path: Path, source: Path | None = None) -> Path:
        """Number a name that is taken; that of the photograph itself is refused later."""
        n, numbered = 2, path
        while (key := key_of(numbered)) in taken or (
            key in sources and not (source and key == key_of(source))
        ):
            numbered = path.with_stem(f"{path.stem}_{n}")
            n += 1
        taken.add(key)
        return numbered

    # First the coloured photographs, whose names do not depend on what else is wanted.
    firsts = [
        (source, free(output / below.with_name(written_name(below, args.format)), source))
        for source, below in unique.values()
    ]
    if args.variants == 1 and not (args.confidence or args.compare):
        return [Job(source, [first]) for source, first in firsts]
    stems = Counter(key_of(first.with_suffix("")) for _, first in firsts)
    jobs = []
    for source, first in firsts:
        shared = stems[key_of(first.with_suffix(""))] > 1  # cat.jpg and cat.png
        name = first.name if shared else first.stem

        def beside(wanted: object, what: str, first: Path = first, name: str = name) -> Path | None:
            return free(first.with_name(f"{name}_{what}")) if wanted else None

        variants = range(2, args.variants + 1)
        others = [free(first.with_stem(f"{first.stem}_variant{n}")) for n in variants]
        sheet = beside(others, f"{args.variants}_variants.png")
        sure = beside(args.confidence, "confidence.png")
        compared = beside(args.compare, "compared.jpg")
        jobs.append(Job(source, [first, *others], sure, sheet, compared))
    return jobs


def place_sheet(folders: set[Path]) -> Path:
    """Say where the contact sheet of coloured photographs goes: where all their folders lie."""
    return Path(os.path.commonpath(folders)) / SHEET


def list_unfinished(job: Job, overwrite: bool) -> list[Path]:
    """List a job's files that are still to be written.

    Raises:
        PhotoError: one of them is the photograph itself, or has no possible name.
    """
    try:
        there = [path for path in job.targets() if path.exists()]
        if any(job.source.samefile(path) for path in there):
            raise PhotoError("would be written over itself; name another folder with -o")
    except OSError as error:
        raise PhotoError(f"cannot be written ({(error.strerror or str(error)).lower()})") from error
    return [path for path in job.targets() if overwrite or path not in there]


@dataclass
class Run:
    """What the photographs of a run have in common."""

    colourizer: Colourizer
    args: argparse.Namespace
    tag: str | None  # what the files' metadata says
    reference: Reference | None
    pixels_together: int  # of the photographs that a thread works at at a time, if several
    room: Room  # in pixels
    aside: Aside  # waits for the disk
    stop: Interrupt
    disk_full: bool = False  # no photograph after one that found it so can be written

    def ends(self) -> bool:
        """Say whether to begin no further photograph."""
        return bool(self.stop.exit_code) or self.disk_full

    def check(self) -> None:
        """Raise Stopped if the run is to end."""
        if self.ends():
            raise Stopped


@contextmanager
def noting(outcome: Outcome, run: Run) -> Iterator[None]:
    """Note in a photograph's outcome what goes wrong, and how long it takes."""
    begun = time.monotonic()
    try:
        yield
    except SeveralPicturesError as error:
        outcome.reason = str(error)
    except Stopped:
        outcome.result, outcome.reason = "stopped", "stopped"
    except Exception as error:  # one bad photograph never stops a folder
        disk_full = getattr(error.__cause__ or error, "errno", 0) in DISK_FULL
        if disk_full and run.disk_full:  # as is said already
            outcome.result, outcome.reason = "stopped", "stopped"
        else:
            outcome.result, outcome.reason = "failed", str(error) or type(error).__name__
            outcome.hints = list_hints(error)
        run.disk_full |= disk_full
    outcome.seconds += time.monotonic() - begun


def attempt(jobs: Sequence[Job], run: Run) -> tuple[list[Outcome], list[Future[None]]]:
    """Colourize a few photographs, as far as they are not done, whatever comes of it.

    Returns:
        What became of each; and what has to be waited for until that is so.
    """
    outcomes = [Outcome(job.source, "skipped", reason=THERE_ALREADY) for job in jobs]
    unfinished: list[Unfinished] = []
    on_their_way = []
    for job, outcome in zip(jobs, outcomes, strict=True):
        with noting(outcome, run):
            if wanted := list_unfinished(job, run.args.overwrite):
                image = open_image(job.source)
                pixels = image.width * image.height
                unfinished.append(Unfinished(job, wanted, image, pixels, outcome))
    while unfinished:
        sums = itertools.accumulate(item.pixels for item in unfinished)
        count = max(1, sum(pixels <= run.pixels_together for pixels in sums))
        with run.room.take(sum(item.pixels for item in unfinished[:count])):
            colourize(unfinished[:count], run)
        written = [item.outcome for item in unfinished[:count]]
        on_their_way.append(run.aside.do(partial(finish, written, run)))
        unfinished = unfinished[count:]
    return outcomes, on_their_way


def colourize(unfinished: Sequence[Unfinished], run: Run) -> None:
    """Colourize a few photographs; what becomes of them is noted in their outcomes."""
    args = run.args
    to_colour: list[tuple[Unfinished, Seen]] = []
    for item in unfinished:
        with noting(item.outcome, run):
            run.check()
            image, item.opened = item.opened, None
            photo = read_photo(item.job.source, with_scans=args.keep_luma, opened=image)
            to_colour.append((item, see(photo, args)))
    variants = len(unfinished[0].job.coloured)
    begun = time.monotonic()
    try:
        photos = [seen for _, seen in to_colour]
        predicted = predict(photos, variants, args, run.colourizer, run.reference)
    except Exception as error:
        for item, _ in to_colour:
            if len(to_colour) > 1:  # whichever of them it was, the others get their colours
                colourize([item], run)
                continue
            with noting(item.outcome, run):
                raise error
        return
    seconds = (time.monotonic() - begun) / max(1, len(to_colour))
    for (item, seen), colourings in zip(to_colour, predicted, strict=True):
        item.outcome.seconds += seconds
        with noting(item.outcome, run):
            write_all(item, seen, colourings, run)


def finish(outcomes: Sequence[Outcome], run: Run) -> None:
    """Wait till the disk has the files of a few photographs."""
    for outcome in outcomes:
        with noting(outcome, run):
            for path, file in outcome.parts:
                with errors_of_writing():
                    file.finish()
                outcome.files.append(path)


@dataclass
class Seen:
    """A photograph, and what the network is to see of it: lightness (1, h, w) in [0, 100]."""

    photo: Photo
    averages: Averages  # of its pixels
    lightness: torch.Tensor


def see(photo: Photo, args: argparse.Namespace) -> Seen:
    """Reduce a photograph, at once: its pixels are still near."""
    photo = only_what_counts(photo, args.format)
    averages = Averages(photo.pixels)
    return Seen(photo, averages, reduced_lightness(photo.pixels, averages))


def predict(
    photos: Sequence[Seen],
    variants: int,
    args: argparse.Namespace,
    colourizer: Colourizer,
    reference: Reference | None,
) -> list[Colourings]:
    """Predict colours of photographs as the command line wants them.

    Raises:
        PhotoError: a hint lies outside the photograph.
    """
    if not args.hint and reference is None:
        return colourizer.predict_together([seen.lightness for seen in photos], variants)
    predicted: list[Colourings] = []
    for seen in photos:
        prediction = colourizer.study(seen.lightness)
        size = seen.photo.pixels.shape[0], seen.photo.pixels.shape[1]
        try:
            colourings = [
                prediction.ab(colourizer.vividness, variant, args.hint, size, reference)
                for variant in range(variants)
            ]
        except HintError as error:
            raise PhotoError(str(error)) from error
        predicted.append((colourings, prediction.confidence()))
    return predicted


def write_all(item: Unfinished, seen: Seen, predicted: Colourings, run: Run) -> None:
    """Write the files of a photograph that are to be written; `finish` waits for the disk.

    Raises:
        PhotoError: one cannot be written.
        Stopped: the run ends before they are.
    """
    args, job, wanted, photo = run.args, item.job, item.wanted, seen.photo
    colourings, sure = predicted

    def write(path: Path, content: Callable[[BinaryIO], object]) -> None:
        part = PartFile(path)
        with errors_of_writing():
            part.write(content)
        item.outcome.parts.append((path, part))

    folder = job.coloured[0].parent
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
    for path, ab in zip(job.coloured, colourings, strict=True):
        if path in wanted:
            how = {"target": args.format, "tag": run.tag, "check": run.check}
            write(path, partial(write_coloured, photo=photo, ab=ab, averages=seen.averages, **how))
    run.check()
    if job.sheet in wanted and job.sheet:
        small = reduce_to(photo, TILE)
        sheet = put_side_by_side([colour(small, ab) for ab in colourings])
        write(job.sheet, lambda file: save_image(sheet, file, "PNG"))
    if job.confidence in wanted and job.confidence and sure is not None:
        drawn = draw_confidence(sure, *photo.pixels.shape[:2])
        write(job.confidence, lambda file: save_image(drawn, file, "PNG"))
    if job.compared in wanted and job.compared:
        small = reduce_to(photo, COMPARED)
        grey = Image.fromarray(to_grey(small)).convert("RGB")
        compared = put_side_by_side([grey, colour(small, colourings[0])])
        write(job.compared, lambda file: save_image(compared, file, "JPEG", quality=QUALITY))
    item.outcome.result, item.outcome.reason = "colourized", ""


def read_reference(path: Path, colourizer: Colourizer) -> Reference:
    """Read a photograph whose colours others are to get.

    Raises:
        PhotoError: it cannot be read, or has no colours.
    """
    try:
        return colourizer.study_reference(read_photo(path).pixels)
    except ValueError as error:
        raise PhotoError(str(error)) from error


def put_side_by_side(pictures: list[Image.Image]) -> Image.Image:
    """Put pictures of one size into rows, about as many rows as columns."""
    width, height = pictures[0].size
    columns = math.ceil(math.sqrt(len(pictures)))
    sheet = Image.new("RGB", (width * columns, height * math.ceil(len(pictures) / columns)))
    for n, picture in enumerate(pictures):
        sheet.paste(picture, (n % columns * width, n // columns * height))
    return sheet


def write_contact_sheet(path: Path, compared: list[Path]) -> None:
    """Show small versions of some of the pictures of --compare; replace only a sheet of ours."""
    if path.exists():
        with Image.open(path) as sheet:
            if sheet.info.get("comment") != OUR_SHEET:
                raise PhotoError("is not ours and was left alone; move it, or name another -o")
    tiles = []
    for pair in spread([pair for pair in compared if pair.exists()], SHEET_PHOTOS):
        tile = Image.new("RGB", (2 * SHEET_TILE, SHEET_TILE))
        with Image.open(pair) as picture:
            picture.thumbnail(tile.size)
            tile.paste(picture, ((tile.width - picture.width) // 2, 0))
        tiles.append(tile)
    if tiles:
        whole, options = put_side_by_side(tiles), {"comment": OUR_SHEET, "quality": QUALITY}
        write_whole(path, lambda file: save_image(whole, file, "JPEG", **options))


def colourize_stream(
    colourizer: Colourizer, args: argparse.Namespace, tag: str | None, reference: Reference | None
) -> int:
    """Colour one photograph from standard input to standard output; return the exit code."""
    file = io.BytesIO()  # encoders go back to earlier places
    try:
        file_in = io.BytesIO(sys.stdin.buffer.read())
        seen = see(read_photo(file_in, with_scans=args.keep_luma), args)
        [((ab,), _)] = predict([seen], 1, args, colourizer, reference)
        write_coloured(file, seen.photo, ab, args.format, tag, lambda: None, seen.averages)
    except Exception as error:  # what cannot be read, or has no room in the format
        print_error(f"standard input: {str(error) or type(error).__name__}", *list_hints(error))
        return 1
    try:
        sys.stdout.buffer.write(file.getvalue())
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        print_error("standard output: was closed before the photograph was written")
        return 1
    return 0


def take_share(jobs: list[Job], output: Path, rank: int, processes: int) -> list[Job]:
    """Pick a process's photographs; by their names, so that no other file changes who does what."""
    if processes == 1:
        return jobs

    def owner(job: Job) -> int:
        name = os.path.relpath(job.coloured[0], output)
        return zlib.crc32(os.fsencode(name)) % processes

    return [job for job in jobs if owner(job) == rank]


def wait_for_disk(
    results: Iterator[tuple[Any, tuple[list[Outcome], list[Future[None]]]]],
) -> Iterator[Outcome]:
    """Give the outcomes of attempts, when the disk has all files of an attempt."""
    for _, (outcomes, on_their_way) in results:
        for writing in on_their_way:
            writing.result()
        yield from outcomes


def cut_into_groups(jobs: Sequence[Job], together: int, threads: int) -> Iterator[Sequence[Job]]:
    """Cut jobs into groups of so many, and of fewer in the end.

    There no thread is to be left with many while the others have none.
    """
    first = 0
    while left := len(jobs) - first:
        count = max(1, min(together, left // (2 * threads)))
        yield jobs[first : first + count]
        first += count


def wait_for_others(processes: int) -> None:
    """Wait until all processes are here: torchrun stops the others when one has ended with 1."""
    if processes > 1:
        if not torch.distributed.is_initialized():
            torch.distributed.init_process_group("gloo", timeout=timedelta(days=30))
        torch.distributed.barrier()


def main(argv: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    args = parse_args(argv)
    stream = args.paths == [None]
    jobs: list[Job] = []
    failed: list[str] = []
    if not stream:
        output = args.output or Path(DEFAULT_OUTPUT)
        for path in args.paths:
            if path.is_dir() and path.resolve() == output.resolve():
                what = f"{output}: is where the photographs are"
                print_error(what, "name another folder with -o")
                return 2
        found, failed = find_all(args.paths, output)
        for what in failed:
            print_error(what)
        if not found:
            if not failed:
                hint = "looked for " + " ".join(sorted(SUFFIXES))
                print_error(f"{args.paths[0]}: no photographs there", hint)
            return 2
        if args.hint and len(found) > 1:
            print_error(f"--hint: is for one photograph alone, and here are {len(found)}")
            return 2
        jobs = plan(found, output, args)
        if args.dry_run:
            return dry_run(jobs, args, len(failed))
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
    try:
        reference = read_reference(args.reference, colourizer) if args.reference else None
    except PhotoError as error:
        print_error(f"--reference {args.reference}: {error}", *list_hints(error))
        return 2
    tag = None if args.no_tag else provenance_tag(args.checkpoint)
    if stream:
        return colourize_stream(colourizer, args, tag, reference)
    return colourize_all(jobs, colourizer, args, tag, reference, len(failed))


def dry_run(jobs: list[Job], args: argparse.Namespace, failed: int) -> int:
    """Say what would be written; return the exit code."""
    counts = Counter(failed=failed)
    lines = []
    for job in jobs:
        try:
            wanted = list_unfinished(job, args.overwrite)
        except PhotoError as error:
            counts["failed"] += 1
            print_error(f"{job.source}: {error}")
            continue
        counts["skipped" if not wanted else "planned"] += 1
        if args.json:
            reason = "" if wanted else THERE_ALREADY
            outcome = Outcome(job.source, "planned" if wanted else "skipped", wanted, reason)
            lines.append(outcome.as_json())
        else:
            lines += [str(path) for path in wanted]
    if lines:
        print_result("\n".join(lines))
    done = f"{counts['planned']} would be colourized, {counts['skipped']} skipped"
    print_note(f"{done}, {counts['failed']} failed")
    return 1 if counts["failed"] else 0


def pixels_in_flight() -> int:
    """Say how many pixels of photographs may be in memory at the same time."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return PIXELS_IN_FLIGHT
    return max(PIXELS_IN_FLIGHT, memory // MEMORY_PER_PIXEL)


def colourize_all(
    jobs: list[Job],
    colourizer: Colourizer,
    args: argparse.Namespace,
    tag: str | None,
    reference: Reference | None,
    failed: int,
) -> int:
    """Colour the photographs of all jobs, several at the same time.

    Args:
        jobs: the photographs, this process's and all others'.
        colourizer: what colours them.
        args: the command line.
        tag: what the files' metadata says.
        reference: whose colours they are to get, if any.
        failed: how many paths that were asked for are not there.

    Returns:
        The exit code.
    """
    output = args.output or Path(DEFAULT_OUTPUT)
    rank, processes = find_share()
    mine = take_share(jobs, output, rank, processes)
    threads = max(1, min(count_cores(), len(mine)))
    # Photographs beside each other use the cores better than one photograph on all of them.
    torch.set_num_threads(max(1, count_cores() // threads))
    # A thread that is back from a computation waits for Python's lock no longer than this.
    sys.setswitchinterval(SWITCH_SECONDS)
    keep_freed_memory()
    gc.freeze()  # what is there by now stays, and need not be looked through again and again
    # A GPU is given the photographs of all threads together, as soon as each has one.
    most = ROUNDS * colourizer.together if colourizer.together > 1 else 1  # photographs of a group
    of_each = 1 + len(mine[0].targets()) if mine else 0  # files; all jobs have as many
    allow_open_files((threads + WAITING) * most * of_each + SPARE_FILES)
    remove_leftovers({job.coloured[0].parent for job in mine})
    counts = Counter({"colourized": 0, "skipped": 0, "failed": failed})
    there_already = 0
    begun = time.monotonic()
    with ExitStack() as stack:
        report = None
        if args.report:
            share = f"_{rank}" if processes > 1 else ""
            path = args.report.with_stem(args.report.stem + share)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                report = stack.enter_context(path.open("a"))
            except OSError as error:
                print_error(f"--report {path}: {error.strerror}")
                return 2
        aside = stack.enter_context(Aside(WAITING))
        stop = stack.enter_context(Interrupt(PATIENCE, give_up_writing))
        room = pixels_in_flight()
        together = min(PIXELS_TOGETHER, room // threads)  # of the room, each thread has its share
        run = Run(colourizer, args, tag, reference, together, Room(room), aside, stop)
        groups = cut_into_groups(mine, most, threads)
        # Asked to stop, it takes no more; what is begun is waited for, but not for long.
        wanted = itertools.takewhile(lambda _: not run.ends(), groups)
        results = each(wanted, lambda group: attempt(group, run), threads, ahead=16 * threads)
        for outcome in progress(wait_for_disk(results), "colourizing", len(mine)):
            counts[outcome.result] += 1
            there_already += outcome.reason == THERE_ALREADY
            if outcome.result == "failed":
                print_error(f"{outcome.source}: {outcome.reason}", *outcome.hints)
            elif outcome.result == "skipped" and outcome.reason != THERE_ALREADY:
                print_note(f"skipped: {outcome.source}: {outcome.reason}")
            if args.json:
                print_result(outcome.as_json())
            else:
                for path in outcome.files:
                    print_result(path)
            if report:
                print(outcome.as_json(), file=report, flush=True)
        seconds = max(time.monotonic() - begun, 1e-9)
        if not stop.exit_code:
            wait_for_others(processes)
            compared = [job.compared for job in jobs if job.compared]
            if compared and rank == 0:
                sheet = place_sheet({job.coloured[0].parent for job in jobs})
                try:
                    write_contact_sheet(sheet, compared)
                except (OSError, PhotoError) as error:
                    counts["failed"] += 1
                    print_error(f"{sheet}: {getattr(error, 'strerror', None) or error}")
    done = ", ".join(f"{counts[result]} {result}" for result in ("colourized", "skipped", "failed"))
    who = f"process {rank + 1} of {processes}: " if processes > 1 else ""
    print_note(f"{who}{done} ({counts['colourized'] / seconds:.3g} photos/s)")
    if run.disk_full:
        print_error(f"{output}: the disk is full", "make room and run this again; it goes on there")
    if there_already:
        print_note(f"hint: skipped: there already in {output}; --overwrite does them again")
    if not stop.exit_code:
        wait_for_others(processes)
    return stop.exit_code or (1 if counts["failed"] else 0)


if __name__ == "__main__":
    run_command(main)
