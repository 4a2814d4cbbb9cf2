"""Films of storages and clusters: copied to a local file, coloured, and sent whole."""

import re
import shutil
from contextlib import ExitStack
from pathlib import Path

from colourizer.film.container import MUXER_OF, FilmError
from colourizer.film.film_hints import FilmHint
from colourizer.film.film_settings import film_settings
from colourizer.inference.batch import hash_unrecorded
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import FoundPhoto, Job, OutputOptions
from colourizer.inference.reruns import choose_files
from colourizer.inference.run import Run, recorded_in
from colourizer.inference.stream_names import NUMBER, fit_distinct, next_name, place_below
from colourizer.runtime.temporary_folder import ROOM_HINT, kept_folder, temporary_folder
from colourizer.storage.address import Address, Location
from colourizer.storage.files import fetch_copy, send_file, stat_file

SUFFIXES = "|".join(suffix[1:] for suffix in MUXER_OF)
COMPARED = re.compile(rf"(?P<stem>.*\.(?:{SUFFIXES})_compared){NUMBER}", re.I | re.S)
ROOM = 4  # times a film's size: the copy, the segments, and the result of both
MADE = "coloured"  # the folder of segments and results


def plan_film(film: FoundPhoto, options: OutputOptions) -> Job:
    """Assign a film its output files by its name alone, as `plan_alone` does for photographs."""
    name = film.below.name
    if found := COMPARED.fullmatch(film.below.stem):
        name = next_name(found, film.below.suffix)
    first = place_below(options.output, film.below.with_name(name))
    compared = first.with_name(fit_distinct(name, "_compared.mp4")) if options.compare else None
    return Job(film.source, [first], compared=compared, named=film.named, is_film=True)


def colourize_found_film(
    film: FoundPhoto, run: Run, codec: str | None = None, hints: tuple[FilmHint, ...] = ()
) -> Outcome:
    """Colour a film of any storage; what lies in one is on the local disk meanwhile.

    Args:
        film: from `stream_photos`.
        run: how.
        codec: of --film-codec.
        hints: of the film that has hints.

    Returns:
        The outcome, once the files are written.
    """
    job = plan_film(film, run.outputs)
    outcome = Outcome(film.source, "skipped", job=job)
    with recorded_in(outcome, run), ExitStack() as stack:
        run.check()
        settings = film_settings(run.colourizer, run.colours, film.source, hints)
        wanted, outcome.reason = choose_files(job, run.outputs, lambda _: settings, run.recorded)
        hash_unrecorded(outcome, job, wanted, run.recorded)
        if wanted:
            from colourizer.film.job import (  # takes PyAV
                FilmRun,
                colourize_films,
                film_options,
                hash_films,
                hash_program,
            )

            outcome.settings = settings
            options = film_options(run.colourizer, run.colours, settings, codec, hints)
            made_by = options.settings, options.codec, options.provenance, hash_program()
            local = copy_film(job, repr(made_by), stack)
            run.check()
            how = FilmRun(run.colourizer, run.outputs, options, run.stop, run.cores)
            results = local.targets() if isinstance(run.outputs.output, Address) else []
            if results and all(path.exists() for path in results):  # made, but not all sent
                made = Outcome(local.source, "colourized", [*results], job=local)
                if run.outputs.hashed:
                    hash_films(local, made)
                send_films(made, job, wanted, outcome)
                return outcome
            for path in results:
                path.unlink(missing_ok=True)
            for done in colourize_films([local], how):
                send_films(done, job, wanted, outcome)
    if outcome.disk_full and isinstance(run.outputs.output, Address):  # with temporary files
        outcome.disk_full = run.disk_full = False
        outcome.hints.append(ROOM_HINT)
    run.disk_full |= outcome.disk_full
    return outcome


def copy_film(job: Job[Location], made_by: str, stack: ExitStack) -> Job[Path]:
    """Copy a film that lies in a storage, unless the last run has left its copy.

    Args:
        job: the film and its files.
        made_by: what its colours depend on.
        stack: removes the copy and what is made of it, once nothing of that is of use.

    Returns:
        A job of local files only.

    Raises:
        FilmError: there is too little room for temporary files.
        StorageError: it cannot be read.
    """
    source, folder = job.source, Path()
    if any(isinstance(place, Address) for place in (source, *job.targets())):
        version = stat_file(source)
        key = repr((str(source), [str(place) for place in job.targets()], version, made_by))
        folder = kept_folder(key, stack) or temporary_folder(stack)
        stack.callback(remove_done, folder)
        there = sum(path.stat().st_size for path in folder.rglob("*"))
        if ROOM * version[0] > shutil.disk_usage(folder).free + there:
            needed = f"{ROOM * version[0] / 1e6:.0f} MB"
            raise FilmError(f"needs {needed} for temporary files in {folder.parent}", ROOM_HINT)
    if isinstance(source, Address):
        copy = folder / "source" / source.name
        if not copy.exists():
            copy.parent.mkdir(exist_ok=True)
            fetch_copy(source, folder).replace(copy)
        source = copy

    def local(place: Location) -> Path:
        return place if isinstance(place, Path) else folder / MADE / place.name

    compared = local(job.compared) if job.compared else None
    coloured = [local(place) for place in job.coloured]
    return Job(source, coloured, compared=compared, named=job.named, is_film=True)


def remove_done(folder: Path) -> None:
    """Remove temporary files of a film, unless there are segments or results that were not sent."""
    if not any((folder / MADE).glob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def send_films(done: Outcome, job: Job, wanted: list[Location], outcome: Outcome) -> None:
    """Send a film's results to their places, and take over what came of it.

    Args:
        done: the outcome with local files.
        job: the film and its files.
        wanted: those of the files that are to be written.
        outcome: is updated.

    Raises:
        StorageError: a file cannot be written.
    """
    there = dict(zip(done.job.targets() if done.job else (), job.targets(), strict=True))
    for path in done.files:
        place = there[path]
        if place not in wanted:
            continue
        if isinstance(path, Path) and isinstance(place, Address):
            send_file(path, place)
        outcome.files.append(place)
        if path in done.hashes:
            outcome.hashes[place] = done.hashes[path]
    for path in done.files:
        if isinstance(path, Path) and isinstance(there[path], Address):
            path.unlink()
    outcome.result, outcome.reason = done.result, done.reason
    outcome.note, outcome.hints, outcome.disk_full = done.note, done.hints, done.disk_full
    outcome.match, outcome.source_hash = done.match, done.source_hash
    outcome.frames = done.frames
