"""Many photographs, several at a time: each is read, predicted, written and accounted for."""

import argparse
import gc
import itertools
import json
import os
import sys
import time
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

from colourizer.inference.colour_file import only_what_counts, write_coloured
from colourizer.inference.colourizer import Colourings, Colourizer
from colourizer.inference.fast.block_means import Averages
from colourizer.inference.hints import HintError
from colourizer.inference.lightness import to_grey
from colourizer.inference.output_plan import (
    DEFAULT_OUTPUT,
    Job,
    list_unfinished,
    place_sheet,
    take_share,
)
from colourizer.inference.prediction import Reference
from colourizer.inference.preprocess import reduced_lightness
from colourizer.inference.side_pictures import (
    QUALITY,
    colour,
    draw_confidence,
    put_side_by_side,
    reduce_to,
    write_contact_sheet,
)
from colourizer.photos.decode import open_image
from colourizer.photos.encode import save_image
from colourizer.photos.errors import PhotoError, SeveralPicturesError
from colourizer.photos.photo import Photo
from colourizer.photos.read import read_photo
from colourizer.photos.write import wrap_write_errors
from colourizer.runtime.atomic_file import DISK_FULL, PartFile, give_up_writing, remove_leftovers
from colourizer.runtime.cli import (
    PATIENCE,
    Interrupt,
    list_hints,
    print_error,
    print_note,
    print_result,
    progress,
)
from colourizer.runtime.parallel import BoundedExecutor, PixelBudget, map_ordered
from colourizer.runtime.process import allow_open_files, count_cores, find_share, keep_freed_memory

TILE = 512  # pixels: the longest side of a picture on the sheet of variants
COMPARED = 1024  # pixels: the longest side of either picture of --compare
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


@dataclass
class Run:
    """What the photographs of a run have in common."""

    colourizer: Colourizer
    args: argparse.Namespace
    tag: str | None  # what the files' metadata says
    reference: Reference | None
    pixels_together: int  # of the photographs that a thread works at at a time, if several
    budget: PixelBudget  # in pixels
    writer: BoundedExecutor  # waits for the disk
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
        with run.budget.hold(sum(item.pixels for item in unfinished[:count])):
            colourize(unfinished[:count], run)
        written = [item.outcome for item in unfinished[:count]]
        on_their_way.append(run.writer.submit(partial(finish, written, run)))
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
                with wrap_write_errors():
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
        with wrap_write_errors():
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
        writer = stack.enter_context(BoundedExecutor(WAITING))
        stop = stack.enter_context(Interrupt(PATIENCE, give_up_writing))
        room = pixels_in_flight()
        together = min(PIXELS_TOGETHER, room // threads)  # of the room, each thread has its share
        run = Run(colourizer, args, tag, reference, together, PixelBudget(room), writer, stop)
        groups = cut_into_groups(mine, most, threads)
        # Asked to stop, it takes no more; what is begun is waited for, but not for long.
        wanted = itertools.takewhile(lambda _: not run.ends(), groups)
        results = map_ordered(wanted, lambda group: attempt(group, run), threads, ahead=16 * threads)
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
