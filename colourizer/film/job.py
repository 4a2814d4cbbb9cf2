"""Films one after the other: each decoded, coloured, encoded and joined, and its outcome."""

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
import torch

import colourizer
import Model_CNN
from colourizer.film.coherence import FilmColours
from colourizer.film.compare import compare_frame, compared_settings
from colourizer.film.container import FilmError, film_target
from colourizer.film.encode import (
    FieldMarker,
    VideoSettings,
    choose_settings,
    find_encoder,
)
from colourizer.film.file_end import is_cut_off
from colourizer.film.film_hints import FilmHint
from colourizer.film.join import JoinPlan, check_join, join_film
from colourizer.film.pictures import FilmPainter
from colourizer.film.probe import FilmInfo, open_film, probe_film, say
from colourizer.film.read import FilmReader
from colourizer.film.recode import Video, encode_frames
from colourizer.film.segments import SegmentStore, segments_folder
from colourizer.inference.batch import hash_unrecorded
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.hints import HintError
from colourizer.inference.outcome import COLOURIZED_BEFORE, Outcome
from colourizer.inference.output_plan import Job, OutputOptions
from colourizer.inference.prediction import Reference
from colourizer.inference.reruns import choose_files
from colourizer.inference.run import ColourOptions
from colourizer.photos.errors import PhotoError
from colourizer.photos.source import hash_source
from colourizer.record.row import Settings
from colourizer.record.row_index import RowIndex
from colourizer.record.tag import MADE_BY
from colourizer.runtime.atomic_file import DISK_FULL, remove_leftovers, write_atomically
from colourizer.runtime.cli import list_hints, progress
from colourizer.runtime.interrupt import Interrupt, Stopped
from colourizer.runtime.parallel import prefetch
from colourizer.runtime.process import count_cores

PROGRAM = Path(colourizer.__file__).parent, Path(Model_CNN.__file__)
FRAMES_AHEAD = 8  # decoded, and coloured, that wait for the next step
GOES_ON = "stopped; run this again, and it goes on there"
CUT_OFF_SECONDS = 0.5  # by so much a film ends before its header says, it was cut off


@dataclass(frozen=True)
class FilmOptions:
    """How films are coloured and written.

    settings: what moves their colours.
    codec: of --film-codec; None is that of the container.
    hints: known colours of places, from a time on.
    reference: a colour photograph whose colours are propagated to them.
    provenance: what coloured them, for their metadata; None leaves it out.
    """

    settings: Settings
    codec: str | None = None
    hints: tuple[FilmHint, ...] = ()
    reference: Reference | None = None
    provenance: str | None = None


@dataclass(frozen=True)
class FilmRun:
    """What the films of a run share.

    cores: that are this run's; by default all.
    recorded: what a report says of earlier runs; or None.
    """

    colourizer: Colourizer
    outputs: OutputOptions
    options: FilmOptions
    stop: Interrupt
    cores: int | None = None
    recorded: RowIndex | None = None


def film_options(
    colourizer: Colourizer,
    colours: ColourOptions,
    settings: Settings,
    codec: str | None,
    hints: tuple[FilmHint, ...],
) -> FilmOptions:
    """Return how films are coloured and written.

    Args:
        colourizer: the network.
        colours: how photographs are coloured.
        settings: of `film_settings`.
        codec: of --film-codec.
        hints: of the photograph or film that has hints.
    """
    return FilmOptions(
        settings=settings,
        codec=codec,
        hints=hints if settings.hints else (),
        reference=colours.reference,
        provenance=colourizer.provenance(settings) if colours.tag else None,
    )


def check_film_codec(name: str) -> None:
    """Check the encoder of --film-codec.

    Raises:
        FilmError: there is no such encoder of video.
    """
    find_encoder(name)


def colourize_films(jobs: Sequence[Job], run: FilmRun) -> Iterator[Outcome]:
    """Colour films, one at a time on all cores.

    Args:
        jobs: each with a film as source.
        run: how; once `stop` has an exit code no further film is begun.

    Yields:
        The outcome of each, in their order, once its files are on the disk.
    """
    av.logging.set_level(av.logging.PANIC)  # what is wrong is said once, in words
    os.environ.setdefault("SVT_LOG", "1")
    cores = run.cores or count_cores()
    torch.set_num_threads(max(1, cores // 2))  # decoding and encoding take the others
    remove_leftovers({job.coloured[0].parent for job in jobs})
    settings = run.options.settings
    for job in jobs:
        if run.stop.exit_code:
            return
        outcome = Outcome(job.source, "skipped", job=job)
        begun = time.monotonic()
        try:
            wanted, outcome.reason = choose_files(
                job, run.outputs, lambda _: settings, run.recorded
            )
            hash_unrecorded(outcome, job, wanted, run.recorded)
            if wanted:
                outcome.settings = settings
                colourize_film(job, wanted, run, outcome)
            if run.outputs.hashed and outcome.files:
                hash_films(job, outcome)
        except Stopped:
            outcome.result = outcome.reason = "stopped"
            outcome.note = GOES_ON
        except Exception as error:
            outcome.result = "failed"
            full = find_full_disk(error)
            outcome.disk_full = full is not None
            is_ours = isinstance(error, (FilmError, HintError, PhotoError))
            outcome.reason = str(error) if is_ours else say(error)
            if full:
                outcome.reason = f"cannot be written ({say(full)})"
            elif isinstance(error, FilmError) and job.source.is_file() and is_cut_off(job.source):
                outcome.reason += "; it is cut off"
            outcome.hints = list_hints(error)
        outcome.seconds = time.monotonic() - begun
        yield outcome
        if outcome.disk_full:
            return


def hash_films(job: Job[Path], outcome: Outcome) -> None:
    """Add the hashes of a film and of its results to its outcome."""
    with suppress(OSError):  # it was removed meanwhile
        outcome.source_hash = hash_source(job.source)
    outcome.hashes = {path: hash_source(path) for path in outcome.files if isinstance(path, Path)}


def find_full_disk(error: BaseException | None) -> BaseException | None:
    """Return the error of a full disk that led to another one; PyAV hides it behind its own."""
    while error and getattr(error, "errno", 0) not in DISK_FULL:
        error = error.__cause__ or error.__context__
    return error


def colourize_film(job: Job, wanted: list[Path], run: FilmRun, outcome: Outcome) -> None:
    """Colour one film; what comes of it is recorded in its outcome.

    Raises:
        FilmError: it cannot be coloured.
        HintError: a hint lies outside its frames.
        OSError: a file cannot be written.
        Stopped: the run ends.
    """
    if not job.named and is_result(job.source):
        outcome.reason = COLOURIZED_BEFORE
        return
    info = probe_film(job.source)
    settings = choose_settings(info, film_target(job.coloured[0], run.options.codec))
    videos = plan_videos(job, wanted, info, settings)
    plans = [plan_join(video, job, info, run) for video in videos]
    for plan in plans:
        check_join(plan)  # now, not after hours
    job.coloured[0].parent.mkdir(parents=True, exist_ok=True)
    folder = segments_folder(job.coloured[0])
    with SegmentStore(folder, segments_key(job, videos, run), len(videos)) as store:
        made = encode_segments(job, info, settings, videos, store, run)
        outcome.match, outcome.frames = made
        if not store.segments:
            raise FilmError("has no frames that can be decoded")
        notes = join_videos(plans, store) + describe_late_hints(store, info, run.options.hints)
    store.remove()
    outcome.result, outcome.reason = "colourized", ""
    outcome.files = [video.path for video in videos]
    outcome.note = "; ".join(notes)


def encode_segments(
    job: Job,
    info: FilmInfo,
    settings: VideoSettings,
    videos: list[Video],
    store: SegmentStore,
    run: FilmRun,
) -> tuple[float | None, int]:
    """Encode those of a film's segments that are not on the disk.

    Decoding, the network and encoding each have a thread.

    Returns:
        The share of the frames that the reference matches, None without one or if all are there;
        and how many were encoded.

    Raises:
        FilmError: it cannot be decoded or encoded.
        HintError: a hint lies outside its frames.
        Stopped: the run ends.
    """
    if store.is_complete:
        return None, 0
    look, options = run.colourizer.look, run.options
    colours = FilmColours(run.colourizer, look, info.upright_size, options.reference)
    if store.segments and (state := store.load_state()) is not None:
        colours.restore(state)
    else:
        store.drop()
    after, done = store.position(), store.count_frames()
    start = store.segments[0].pts[0] if after else None
    reader = FilmReader(job.source, info, store.segments[-1].damaged if after else 0)
    painter = FilmPainter(info, settings.cell, colours, options.hints, start)
    with closing(prefetch(reader.frames(after), FRAMES_AHEAD)) as decoded:
        frames = painter.colourize(decoded, after.pts if after else None)
        with closing(prefetch(frames, FRAMES_AHEAD)) as coloured:
            total, name = info.frames or None, job.source.name
            with progress(coloured, name, total, unit="frame", initial=done, leave=False) as shown:
                encode_frames(shown, info, settings, videos, store, reader, run.stop)
    return colours.match, store.count_frames() - done


def is_result(path: Path) -> bool:
    """Return whether a film is a result of this program."""
    with open_film(path) as container:
        return any(MADE_BY in text for text in container.metadata.values())


def plan_videos(
    job: Job, wanted: list[Path], info: FilmInfo, settings: VideoSettings
) -> list[Video]:
    """Return the videos that are made of a film."""
    videos = []
    if job.coloured[0] in wanted:
        videos.append(Video(job.coloured[0], settings, FieldMarker(settings).mark))
    if job.compared and job.compared in wanted:
        compared = compared_settings(info, settings)
        videos.append(Video(job.compared, compared, lambda frame: compare_frame(frame, info)))
    return videos


def segments_key(job: Job, videos: list[Video], run: FilmRun) -> dict[str, Any]:
    """Return what a film's segments depend on: if it changes, none of them is used again."""
    status = job.source.stat()
    options = run.options
    return {
        "source": [str(job.source.resolve()), status.st_size, status.st_mtime_ns],
        "program": hash_program(),
        "network": run.colourizer.fingerprint,
        "look": repr(run.colourizer.look),
        "hints": [[*hint.hint, hint.seconds] for hint in options.hints],
        "reference": options.reference.sha256 if options.reference else "",
        "videos": [[str(video.path), repr(video.settings)] for video in videos],
        "PyAV": av.__version__,
    }


def hash_program() -> str:
    """Return the SHA-256 of the program's own files: another version makes other colours."""
    package, network = PROGRAM
    digest = hashlib.sha256()
    for path in (*sorted(package.rglob("*.py")), network):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def plan_join(video: Video, job: Job, info: FilmInfo, run: FilmRun) -> JoinPlan:
    """Return what a video is joined of."""
    return JoinPlan(
        path=video.path,
        source=job.source,
        info=info,
        settings=video.settings,
        provenance=run.options.provenance,
        is_compared=video.path == job.compared,
    )


def join_videos(plans: Sequence[JoinPlan], store: SegmentStore) -> list[str]:
    """Join the segments of each video to a file; return what is wrong with the film, in words."""
    notes: list[str] = []
    for number, plan in enumerate(plans):
        left_out, end = write_joined(plan, store, number)
        if not notes:
            notes = describe_losses(plan, store, end, [] if plan.is_compared else left_out)
    return notes


def write_joined(plan: JoinPlan, store: SegmentStore, video: int) -> tuple[list[str], float]:
    """Join the segments of one video to a file; return what `join_film` does."""
    results: list[tuple[list[str], float]] = []

    def write(file: BinaryIO) -> None:
        results.append(join_film(file, plan, store, video))

    write_atomically(plan.path, write)
    return results[0]


def describe_late_hints(
    store: SegmentStore, info: FilmInfo, hints: Sequence[FilmHint]
) -> list[str]:
    """Return in words which hints are for a time after a film's last frame."""
    end = float((store.segments[-1].pts[-1] - store.segments[0].pts[0]) * info.time_base)
    late = [hint.seconds for hint in hints if hint.seconds is not None and hint.seconds > end]
    return [f"ends before its hint at {seconds:g} s" for seconds in late]


def describe_losses(
    plan: JoinPlan, store: SegmentStore, sound_end: float, left_out: list[str]
) -> list[str]:
    """Return in words what of a film could not be had."""
    last = store.segments[-1]
    notes = []
    if last.damaged:
        frames = "frame is" if last.damaged == 1 else "frames are"
        notes.append(f"{last.damaged} {frames} damaged")
    with open_film(plan.source) as container:
        # Matroska counts from 0 on.
        is_from_start = not container.format.name.startswith("matroska")
        begin = (container.start_time or 0) / av.time_base if is_from_start else 0.0
        promised = (container.duration or 0) / av.time_base
    end = float((last.pts[-1] + last.duration) * plan.info.time_base)
    there = max(end, sound_end) - begin
    lacks, cut_off = there < promised - CUT_OFF_SECONDS, is_cut_off(plan.source)
    if lacks or cut_off:
        why = "is cut off: " if cut_off else ""
        of_all = f" of {promised:.1f} s" if lacks else ""
        notes.append(f"{why}ends after {there:.1f} s{of_all}")
    if left_out:
        notes.append(f"without its {', '.join(sorted(set(left_out)))}")
    return notes
