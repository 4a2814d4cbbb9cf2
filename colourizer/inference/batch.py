"""Many photographs, several at a time: read, predicted, written, and their outcomes recorded."""

import io
import itertools
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from PIL import ImageFile
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from colourizer.inference.album import Album
from colourizer.inference.album_study import Workers, study_album
from colourizer.inference.colour_file import read_prepared, write_coloured
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import HintError
from colourizer.inference.outcome import COLOURIZED_BEFORE, Outcome
from colourizer.inference.output_plan import Job, OutputOptions, list_unfinished
from colourizer.inference.prediction import Prediction
from colourizer.inference.preprocess import PreparedPhoto
from colourizer.inference.provenance import is_colourized
from colourizer.inference.reruns import address_of, choose_files
from colourizer.inference.run import ColourOptions, Run, group_size, recorded_in, start_run
from colourizer.inference.side_pictures import (
    COMPARED_SIDE,
    SIDE_JPEG_QUALITY,
    VARIANT_SIDE,
    draw_comparison,
    draw_confidence,
    draw_variants,
)
from colourizer.inference.sidecars import copy_sidecars
from colourizer.photos.conversions import TURNED, describe_compression, describe_writing
from colourizer.photos.decode import open_image
from colourizer.photos.encode import save_image
from colourizer.photos.errors import PhotoError
from colourizer.photos.source import hash_source
from colourizer.photos.write import wrap_write_errors
from colourizer.record.row_index import RowIndex
from colourizer.record.tag import read_tag
from colourizer.runtime.array_file import ArrayFile
from colourizer.runtime.atomic_file import PartFile, remove_leftovers
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.storage.address import Address, Location
from colourizer.storage.files import StoredFile, open_file, read_content


@dataclass
class Unfinished:
    """A job that has files to be written.

    wanted: those files.
    content: the photograph's path, or what was read from its address; None once it is decoded.
    opened: the photograph, until it is decoded.
    pixels: how many it has.
    """

    job: Job
    wanted: list[Location]
    content: Path | io.BytesIO | None
    opened: ImageFile.ImageFile | None
    pixels: int
    outcome: Outcome


def colourize_jobs(
    jobs: Sequence[Job],
    colourizer: Colourizer,
    outputs: OutputOptions,
    colours: ColourOptions,
    stop: Interrupt,
    recorded: RowIndex | None = None,
) -> Iterator[Outcome]:
    """Colour the photographs of all jobs, several at a time.

    Args:
        jobs: from `plan_outputs` with the same outputs.
        colourizer: the network.
        outputs: which files are made.
        colours: how.
        stop: once it has an exit code no further photograph is begun.
        recorded: what a report says of earlier runs; or None.

    Yields:
        The outcome of each, in their order, once its files are on the disk.

    Raises:
        AlbumError: the album cannot be studied.
    """
    threads = max(1, min(count_cores(), len(jobs)))
    remove_leftovers({path.parent for job in jobs if isinstance(path := job.coloured[0], Path)})
    size = group_size(colourizer)
    with (
        start_run(colourizer, outputs, colours, stop, threads, recorded) as run,
        ArrayFile() as file,
    ):
        if colours.album:
            run.album = study_unfinished(jobs, run, file, threads)
        groups = cut_into_groups(jobs, size, threads)
        wanted = itertools.takewhile(lambda _: not run.ends, groups)
        results = map_ordered(wanted, partial(colourize_group, run=run), threads, 16 * threads)
        for _, result in results:
            if isinstance(result, Exception):
                raise result
            outcomes, flushes = result
            for flush in flushes:
                flush.result()
            yield from outcomes


def study_unfinished(jobs: Sequence[Job], run: Run, file: ArrayFile, threads: int) -> Album | None:
    """Return the album of all photographs; None if no file of any of them is to be written.

    Args:
        jobs: the photographs.
        run: how they will be coloured.
        file: for what is seen; open as long as the album is used.
        threads: that look at them.

    Raises:
        AlbumError: the album cannot be studied.
    """
    look = partial(list_unfinished, overwrite=run.outputs.overwrite)  # an error counts as some
    unfinished = (files for _, files in map_ordered(jobs, look, threads, threads))
    if not (run.outputs.update or any(unfinished)):
        return None
    workers = Workers(threads, run.budget.total, run.stop)
    colours = run.colours
    return study_album(jobs, run.colourizer, file, workers, colours.hints, colours.reference)


def cut_into_groups(jobs: Sequence[Job], size: int, threads: int) -> Iterator[Sequence[Job]]:
    """Yield jobs in groups, smaller ones towards the end, so that all threads end together."""
    first = 0
    while left := len(jobs) - first:
        count = max(1, min(size, left // (2 * threads)))
        yield jobs[first : first + count]
        first += count


def colourize_group(jobs: Sequence[Job], run: Run) -> tuple[list[Outcome], list[Future[None]]]:
    """Colour those photographs of a group that have files to be written.

    Returns:
        The outcome of each; and futures, after all of which the files are on the disk.
    """
    outcomes = [Outcome(job.source, "skipped", job=job) for job in jobs]
    unfinished: list[Unfinished] = []
    flushes = []
    for job, outcome in zip(jobs, outcomes, strict=True):
        with recorded_in(outcome, run):
            settings = partial(run.settings, job.source)
            wanted, outcome.reason = choose_files(job, run.outputs, settings, run.recorded)
            hash_unrecorded(outcome, job, wanted, run.recorded)
            if wanted:
                content = read_content(job.source)
                if run.outputs.hashed and not isinstance(content, Path):  # others: `flush_files`
                    outcome.source_hash = hash_source(content)
                outcome.modified = read_time(job.source)
                image = open_image(content)
                outcome.settings = settings()
                pixels = image.width * image.height
                unfinished.append(Unfinished(job, wanted, content, image, pixels, outcome))
    while unfinished:
        sums = itertools.accumulate(item.pixels for item in unfinished)
        count = max(1, sum(pixels <= run.group_pixels for pixels in sums))
        with run.computing, run.budget.hold(sum(item.pixels for item in unfinished[:count])):
            colourize_unfinished(unfinished[:count], run)
        written = [item.outcome for item in unfinished[:count]]
        flushes.append(run.flusher.submit(partial(flush_files, written, run)))
        unfinished = unfinished[count:]
    return outcomes, flushes


def hash_unrecorded(
    outcome: Outcome, job: Job, wanted: Sequence[Location], recorded: RowIndex | None
) -> None:
    """Hash a job's files that are there already, if there is a report without hashes of them."""
    if recorded is None:
        return
    for path in (path for path in job.targets() if path not in wanted):
        row = recorded.find(address_of(job.source), address_of(path))
        if not (row and row.has_hashes):
            outcome.found[path] = hash_source(read_content(path))
    if outcome.found:
        outcome.source_hash = hash_source(read_content(job.source))
        with open_file(next(iter(outcome.found))) as file:
            tag = read_tag(file)
        outcome.found_settings = tag.settings if tag else None


def colourize_unfinished(unfinished: Sequence[Unfinished], run: Run) -> None:
    """Read, predict and write a few photographs; their outcomes are updated."""
    read: list[tuple[Unfinished, PreparedPhoto]] = []
    for item in unfinished:
        with recorded_in(item.outcome, run):
            run.check()
            image, item.opened = item.opened, None
            content, item.content = item.content or read_content(item.job.source), None
            target, keep_luma = run.outputs.target, run.colours.keep_luma
            prepared = read_prepared(content, target, keep_luma, image)
            if is_colourized(prepared.photo.metadata) and not item.job.named:
                item.outcome.reason = COLOURIZED_BEFORE
                continue
            read.append((item, prepared))
    begun = time.monotonic()
    try:
        colourings = predict_colourings([(item.job.source, photo) for item, photo in read], run)
    except Exception as error:
        for item, _ in read:
            if len(read) > 1:  # one of them failed: each is tried alone
                colourize_unfinished([item], run)
                continue
            with recorded_in(item.outcome, run):
                raise error
        return
    seconds = (time.monotonic() - begun) / max(1, len(read))
    for (item, prepared), (ab, confidence, match) in zip(read, colourings, strict=True):
        item.outcome.seconds += seconds
        item.outcome.match = match
        with recorded_in(item.outcome, run):
            write_files(item, prepared, ab, confidence, run)


def predict_colourings(
    photos: Sequence[tuple[Location, PreparedPhoto]], run: Run
) -> list[tuple[list[Tensor], Tensor | None, float | None]]:
    """Predict the colourings and the confidence of photographs.

    Returns:
        For each the ab (1, 2, h, w) in Lab units of all its variants; the confidence
        (1, 1, h, w) in (0, 1], None without likelihoods; and the share of it that the reference
        matches, of the first variant, None without a reference.

    Raises:
        PhotoError: a hint lies outside the photograph.
    """
    colours, look, album = run.colours, run.colourizer.look, run.album
    hints = {
        path: [
            *colours.hints.get(path, ()),
            *(album.hints.get(path, ()) if album else ()),
        ]
        for path, _ in photos
    }
    steered = any(hints.values()) or colours.reference is not None
    predictions = run.colourizer.predict([photo.lightness for _, photo in photos], steered)

    def read_out(
        prediction: Prediction, path: Location, photo: PreparedPhoto
    ) -> tuple[list[Tensor], Tensor | None, float | None]:
        sure = prediction.confidence()
        if album:
            prediction = album.share(path, prediction)
        found = [
            prediction.ab_and_match(look, variant, hints[path], photo.size, colours.reference)
            for variant in range(run.outputs.variants)
        ]
        return [ab for ab, _ in found], sure, found[0][1]

    try:
        return [
            read_out(prediction, path, photo)
            for prediction, (path, photo) in zip(predictions, photos, strict=True)
        ]
    except HintError as error:
        raise PhotoError(str(error)) from error


def write_files(
    item: Unfinished,
    prepared: PreparedPhoto,
    colourings: list[Tensor],
    confidence: Tensor | None,
    run: Run,
) -> None:
    """Write the wanted files of a photograph; `flush_files` then flushes them to disk.

    Raises:
        PhotoError: one cannot be written.
        Stopped: the run ends before they are.
    """
    job, wanted, photo = item.job, item.wanted, prepared.photo

    def write(path: Location, encode: Callable[[BinaryIO], object]) -> None:
        part = StoredFile(path) if isinstance(path, Address) else PartFile(path)
        with wrap_write_errors():
            part.write(encode)
        item.outcome.parts.append((path, part))

    folder = job.coloured[0].parent
    if isinstance(folder, Path) and not folder.is_dir():
        with wrap_write_errors():
            folder.mkdir(parents=True, exist_ok=True)
    target = run.outputs.target
    for variant, (path, ab) in enumerate(zip(job.coloured, colourings, strict=True)):
        if path in wanted:
            tag = run.provenance(job.source, variant)

            def encode(file: BinaryIO, ab: Tensor = ab, tag: str | None = tag) -> None:
                write_coloured(file, prepared, ab, target, tag, run.check)

            write(path, encode)
    run.check()
    provenance = run.provenance(job.source)
    text = PngInfo()
    if provenance:
        text.add_text("Software", provenance)
    if job.sheet in wanted and job.sheet:
        sheet = draw_variants(photo, colourings, VARIANT_SIDE)
        write(job.sheet, lambda file: save_image(sheet, file, "PNG", pnginfo=text))
    if job.confidence in wanted and job.confidence and confidence is not None:
        drawn = draw_confidence(confidence, *prepared.size)
        write(job.confidence, lambda file: save_image(drawn, file, "PNG", pnginfo=text))
    if job.compared in wanted and job.compared:
        pair = draw_comparison(photo, colourings[0], COMPARED_SIDE)
        options = {"quality": SIDE_JPEG_QUALITY, "comment": provenance or ""}
        write(job.compared, lambda file: save_image(pair, file, "JPEG", **options))
    item.outcome.result, item.outcome.reason = "colourized", ""
    item.outcome.note = photo.note or describe_compression(photo, target)
    item.outcome.converted = describe_writing(photo, target)


def read_time(source: Location) -> int | None:
    """Return a local file's time in nanoseconds since 1970; None if it is not there or stored."""
    with suppress(OSError):
        return source.stat().st_mtime_ns if isinstance(source, Path) else None
    return None


def flush_files(outcomes: Sequence[Outcome], run: Run) -> None:
    """Flush the files of a few photographs to disk and rename them into place, with sidecars.

    Hashes are computed here, while the files are flushed and other threads wait for the disk.
    """
    for outcome in outcomes:
        if run.outputs.hashed:
            for _, file in outcome.parts:
                file.begin_flush()
        if run.outputs.hashed and isinstance(outcome.source, Path):
            with suppress(OSError):  # of one that cannot be read it is known by now
                outcome.source_hash = hash_source(outcome.source)
        with recorded_in(outcome, run):
            if outcome.parts and read_time(outcome.source) not in (None, outcome.modified):
                raise PhotoError("was changed while it was coloured; run this again")
            for path, file in outcome.parts:
                with wrap_write_errors():
                    if run.outputs.hashed:
                        outcome.hashes[path] = file.digest()
                    if (job := outcome.job) and path in job.coloured:
                        is_upright = TURNED not in outcome.converted
                        copy_sidecars(job.source, path, job.sidecars, is_upright)
                    file.finish(outcome.modified)
                outcome.files.append(path)
        for _, file in outcome.parts[len(outcome.files) :]:
            file.discard()
