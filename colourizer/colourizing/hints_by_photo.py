"""Which photograph or film of a run each --hint is for."""

from collections.abc import Iterable
from pathlib import PurePath

from colourizer.film.container import is_film_name
from colourizer.film.film_hints import FilmHint
from colourizer.inference.hints import Hint
from colourizer.inference.output_plan import Job, find_jobs_named, is_there
from colourizer.inference.stream_listing import spell_as_listed
from colourizer.runtime.cli import UsageError, list_hints
from colourizer.storage.address import Location, parse_location
from colourizer.storage.connection import StorageError


def group_hints(hints: Iterable[FilmHint], jobs: list[Job]) -> dict[Location, tuple[Hint, ...]]:
    """Return hints by the photographs that they are for.

    Raises:
        UsageError: it is not clear which one is meant, or it cannot have them.
    """
    grouped: dict[Location, tuple[Hint, ...]] = {}
    for hint in hints:
        meant = find_jobs_named(jobs, hint.source) if hint.source else jobs
        named = f"--hint{f' {hint.source}' if hint.source else ''}"
        if not meant:
            raise UsageError(f"{named}: no such photograph here")
        if len(meant) > 1:
            what = f"{named}: is for one photograph alone, and here are {len(meant)}"
            part = "a longer part of its path" if hint.source else "its name"
            raise UsageError(what, f"say which one by {part}: PHOTO:X,Y,#RRGGBB")
        (job,) = meant
        if job.is_film and len(jobs) > 1:
            raise UsageError(f"{named}: a film with hints needs a run of its own")
        if hint.seconds is not None and not job.is_film:
            raise UsageError("--hint: a photograph has no seconds")
        grouped[job.source] = (*grouped.get(job.source, ()), hint.hint)
    return grouped


def group_addressed_hints(
    hints: Iterable[FilmHint], named: list[Location], output: Location
) -> dict[Location, tuple[Hint, ...]]:
    """Return hints by the photographs that they name by their whole paths or addresses.

    Args:
        hints: each with a source.
        named: the photographs and folders of the command line.
        output: the folder of all results.

    Raises:
        UsageError: there is no such photograph, or it cannot have them.
    """
    grouped: dict[Location, tuple[Hint, ...]] = {}
    for hint in hints:
        place = parse_location(hint.source)
        spelled = [
            found for path in named if (found := spell_as_listed(place, path, output, is_film_name))
        ]
        source = place if place in spelled else next(iter(spelled), None)
        try:
            if not (source and is_there(source)):
                what = f"--hint {place}: no such photograph here"
                raise UsageError(what, "name it by its whole address, as the command line does")
        except StorageError as error:
            raise UsageError(f"--hint {place}: {error}", *list_hints(error)) from error
        is_film = is_film_name(PurePath(place.name))
        if is_film and named != [source]:
            raise UsageError(f"--hint {place}: a film with hints needs a run of its own")
        own = group_hints([hint._replace(source="")], [Job(source, [], is_film=is_film)])
        grouped[source] = (*grouped.get(source, ()), *own[source])
    return grouped
