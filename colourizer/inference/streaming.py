"""Photographs and films of a stream, in any storage: coloured without a list of them all."""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from colourizer.inference.batch import colourize_group, study_unfinished
from colourizer.inference.colourizer import Colourizer
from colourizer.inference.outcome import Outcome
from colourizer.inference.output_plan import FoundPhoto, Job, OutputOptions
from colourizer.inference.run import ColourOptions, Run, group_size, recorded_in, start_run
from colourizer.inference.stream_names import plan_alone
from colourizer.record.row_index import RowIndex
from colourizer.runtime.array_file import ArrayFile
from colourizer.runtime.interrupt import Interrupt
from colourizer.runtime.parallel import map_ordered
from colourizer.runtime.process import count_cores
from colourizer.storage.connection import StorageError

GROUP_BYTES = 64_000_000  # of files from a storage that a thread has in memory, at most, or one
READING_THREADS = 3  # for each core: while one computes, others wait for a storage
ALBUM_PHOTOS = 5000  # of an album: 1.5 GB of temporary files
AHEAD = 4  # groups for each thread that are listed before they are needed
FilmColourizer = Callable[[FoundPhoto, Run], Outcome]  # film.stored_films.colourize_found_film


def cut_stream(
    found: Iterable[FoundPhoto], size: int, workers: Callable[[], int]
) -> Iterator[list[FoundPhoto]]:
    """Yield photographs in groups, smaller ones towards the end, so that all workers end together.

    Args:
        found: the photographs; a few groups are read ahead.
        size: photographs in a group, at most.
        workers: returns how many groups are worked on at a time.
    """
    ahead: deque[FoundPhoto] = deque()
    found = iter(found)
    while True:
        ahead.extend(itertools.islice(found, max(0, AHEAD * size * workers() - len(ahead))))
        if not ahead:
            return
        group = [ahead.popleft()]
        most, total = max(1, min(size, (len(ahead) + 1) // (2 * workers()))), group[0].size
        while len(group) < most and ahead and (total := total + ahead[0].size) <= GROUP_BYTES:
            group.append(ahead.popleft())
        yield group


def set_films_aside(found: Iterable[FoundPhoto], films: list[FoundPhoto]) -> Iterator[FoundPhoto]:
    """Yield photographs; append films, which are coloured after all of them, to a list."""
    for photo in found:
        if photo.is_film:
            films.append(photo)
        else:
            yield photo


def colourize_found(group: Sequence[FoundPhoto], run: Run) -> list[Outcome]:
    """Colour a group of photographs; return the outcome of each, once its files are written."""
    jobs: list[Job] = []
    outcomes: list[Outcome] = []
    for photo in group:
        outcome = Outcome(photo.source, "failed")
        with recorded_in(outcome, run):
            jobs.append(plan_alone(photo, run.outputs))
            continue
        outcomes.append(outcome)
    coloured, flushes = colourize_group(jobs, run)
    for flush in flushes:
        flush.result()
    return [*coloured, *outcomes]


def colourize_groups(found: Iterable[FoundPhoto], run: Run, threads: int) -> Iterator[Outcome]:
    """Colour photographs in groups, several at a time; yield the outcome of each."""
    groups = cut_stream(found, group_size(run.colourizer), lambda: run.cores)
    wanted = itertools.takewhile(lambda _: not run.ends, groups)
    results = map_ordered(wanted, partial(colourize_found, run=run), threads, 2 * threads)
    for _, outcomes in results:
        if isinstance(outcomes, Exception):
            raise outcomes
        yield from outcomes


def cut_albums(found: Iterable[FoundPhoto]) -> Iterator[list[FoundPhoto]]:
    """Yield photographs in albums, of ALBUM_PHOTOS that were listed one after the other."""
    found = iter(found)
    while album := list(itertools.islice(found, ALBUM_PHOTOS)):
        yield album


def colourize_album(found: Sequence[FoundPhoto], run: Run, threads: int) -> Iterator[Outcome]:
    """Colour photographs as one album; yield the outcome of each. The run has one at a time.

    Raises:
        AlbumError: it cannot be studied.
    """
    jobs: list[Job] = []
    for photo in found:
        with suppress(StorageError):  # reported when it is coloured
            jobs.append(plan_alone(photo, run.outputs))
    with ArrayFile() as file:
        run.album = study_unfinished(jobs, run, file, threads)
        yield from colourize_groups(found, run, threads)
        run.album = None


def colourize_streamed(
    found: Iterable[FoundPhoto],
    colourizer: Colourizer,
    outputs: OutputOptions,
    colours: ColourOptions,
    stop: Interrupt,
    colourize_film: FilmColourizer,
    recorded: RowIndex | None = None,
) -> Iterator[Outcome]:
    """Colour photographs and films of any storage in this process.

    Args:
        found: from `stream_listing.stream_photos`.
        colourizer: the network.
        outputs: which files are made.
        colours: how.
        stop: once it has an exit code no further photograph is begun.
        colourize_film: is called for each film, after the photographs.
        recorded: what a report says of earlier runs; or None.

    Yields:
        The outcome of each, once its files are written; in their order, but what cannot be planned
        behind the others of its group, and films last.

    Raises:
        AlbumError: an album cannot be studied.
    """
    films: list[FoundPhoto] = []
    threads = READING_THREADS * count_cores()
    with start_run(colourizer, outputs, colours, stop, threads, recorded) as run:
        photos = set_films_aside(found, films)
        if colours.album:
            for album in itertools.takewhile(lambda _: not run.ends, cut_albums(photos)):
                yield from colourize_album(album, run, threads)
        else:
            yield from colourize_groups(photos, run, threads)
        for film in itertools.takewhile(lambda _: not run.ends, films):
            yield colourize_film(film, run)
